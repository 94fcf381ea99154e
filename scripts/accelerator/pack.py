"""Packs what a bare accelerator needs beside the checkout: CIFAR-10, and wheels of Keras.

    TFDS_DATA_DIR=... python scripts/accelerator/pack.py [--to runs/accelerator/carried]
        [--python 3.12] [--also NAME] [--no-wheels]

Writes `train.npz` (JPEG files without their common header), `test.npz` (the exact pixels of all
test images, as TensorFlow decodes them) and `wheels/` into a folder that git ignores. It prints the
size of what travels, this folder and the checkout, and fails if that is 60 MiB or more.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from accelerator.carried import TEST_FILE, TRAIN_FILE, write_test, write_train
from accelerator.jpeg_records import read_jpegs
from accelerator.wheels import CARRIED

DATASET = "cifar10_jpeg75"
DEFAULT_FOLDER = ROOT / "runs" / "accelerator" / "carried"
LIMIT = 60 << 20
_PLATFORMS = [f"manylinux_2_{n}_x86_64" for n in (28, 27, 24, 17)] + ["manylinux2014_x86_64"]


def pack_data(to: Path, data_dir: str | None) -> None:
    """Writes the two files of images.

    Args:
        to: the folder.
        data_dir: folder of prepared tensorflow-datasets. Defaults to `TFDS_DATA_DIR`.

    Raises:
        ValueError: if the data set is not there.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from keras_efgsm.data import load_data
    from keras_efgsm.data.tfds_builder import resolve_data_dir

    test = load_data(DATASET, "test", data_dir)
    shards = sorted(resolve_data_dir(data_dir).glob(f"{DATASET}/*/{DATASET}-train.tfrecord-*"))
    files, labels = read_jpegs(shards)
    if not files:
        raise ValueError(
            f"The training images must lie in TFRecord files. Received: dataset={DATASET!r}, "
            f"data_dir={data_dir!r}"
        )
    write_train(to / TRAIN_FILE, files, labels, test.class_names)
    write_test(to / TEST_FILE, test.images, test.labels)


def fetch_wheels(to: Path, python: str, names: Sequence[str]) -> None:
    """Downloads the wheels of packages at the versions that are installed here.

    Args:
        to: the folder of wheels.
        python: version of Python on the machine, `"3.12"`.
        names: the packages.

    Raises:
        ValueError: if pip cannot get one.
    """
    from importlib.metadata import version

    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(to)]
    words += ["--only-binary=:all:", "--python-version", python, "--implementation", "cp"]
    for platform in _PLATFORMS:
        words += ["--platform", platform]
    done = subprocess.run(
        [*words, *(f"{name}=={version(name)}" for name in names)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"pip could not get the wheels of {', '.join(names)}: {done.stderr}")


def sizes_of(folder: Path) -> dict[str, int]:
    """Bytes of the files in a folder, by their path in it."""
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def checkout_files(root: Path) -> list[Path]:
    """The files of the checkout that travel: all that git tracks or would track.

    Args:
        root: its folder.

    Raises:
        ValueError: if git cannot tell.
    """
    words = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"git cannot list the checkout ({done.stderr.strip()}): root={root}")
    names = dict.fromkeys(done.stdout.split("\0"))
    return [root / name for name in names if name and (root / name).is_file()]


def report(to: Path, root: Path) -> int:
    """Prints the sizes of what travels and returns their sum in bytes.

    Args:
        to: the packed folder.
        root: the checkout.
    """
    sizes = sizes_of(to)
    sizes["the checkout"] = sum(path.stat().st_size for path in checkout_files(root))
    for name, size in sizes.items():
        print(f"{size:>12,}  {name}")
    total = sum(sizes.values())
    print(f"{total:>12,}  together: {total / 2**20:.1f} MiB of at most {LIMIT / 2**20:.0f}")
    return total


def main() -> int:
    """Reads the options; bad input is told of in one line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--to", type=Path, default=DEFAULT_FOLDER, help="folder to write")
    parser.add_argument("--data-dir", help="of prepared data sets; default: TFDS_DATA_DIR")
    parser.add_argument("--python", default="3.12", help="of the machine; default: 3.12")
    parser.add_argument("--also", nargs="+", default=[], help="more packages to carry as wheels")
    parser.add_argument("--no-wheels", action="store_true", help="pack the data alone")
    options = parser.parse_args()
    try:
        wheels = options.to / "wheels"
        wheels.mkdir(parents=True, exist_ok=True)
        pack_data(options.to, options.data_dir)
        if not options.no_wheels:
            fetch_wheels(wheels, options.python, [*CARRIED, *options.also])
        total = report(options.to, ROOT)
        if total >= LIMIT:
            raise ValueError(f"What travels must be below {LIMIT:,} bytes. Received: {total:,}")
    except (ValueError, OSError) as error:
        print(f"pack: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
