"""Where a data set of tensorflow-datasets lies prepared, and how one that does not is downloaded.

What is prepared on disk is read as it lies there, with no network and no registered builder; only
otherwise is a download tried.
"""

from __future__ import annotations

import difflib
import os
import re
import socket
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from keras_efgsm.checks import first_words
from keras_efgsm.data.source import UnknownDataset

# tensorflow-datasets is imported inside the functions, see `tfds_source`.

MNIST_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def resolve_data_dir(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """Returns the folder of prepared data sets that `load_tfds` looks in.

    Args:
        data_dir: the folder. Defaults to the environment variable
            `TFDS_DATA_DIR`, or where that is not set to the default of
            tensorflow-datasets.
    """
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR")
    if not chosen:
        import tensorflow_datasets as tfds

        chosen = tfds.core.constants.DATA_DIR
    return Path(chosen).expanduser()


def prepared_names(data_dir: str | os.PathLike[str] | None = None) -> list[str]:
    """Returns the names of the data sets that lie prepared in `data_dir`, sorted.

    Args:
        data_dir: as for `load_tfds`.

    Returns:
        Names such as `"mnist/3.0.1"`, each ready for `load_tfds`.
    """
    base = resolve_data_dir(data_dir)
    found = {
        info.parent.relative_to(base).as_posix()
        for depth in ("*/*", "*/*/*")
        for info in base.glob(f"{depth}/features.json")
    }
    return sorted(found)


def _prepared_folder(name: str, base: Path) -> Path | None:
    """The newest version of `name` prepared below `base`, if there is one."""
    folder = base / name.replace(":", "/")
    if (folder / "features.json").exists():
        return folder
    versions = [
        info.parent
        for info in folder.glob("*/features.json")
        if re.fullmatch(r"\d+\.\d+\.\d+", info.parent.name)
    ]
    return max(versions, key=lambda v: [int(n) for n in v.name.split(".")], default=None)


def is_name(name: Any) -> bool:
    """Whether it is written as the name of a data set.

    Args:
        name: anything.
    """
    return isinstance(name, str) and bool(re.fullmatch(r"\w[\w.+\-]*([/:][\w.+\-]+)*", name))


def find_builder(name: str, base: Path) -> Any:
    """The builder of a data set that is prepared, or else downloaded now.

    Args:
        name: as for `load_tfds`.
        base: the folder of prepared data sets.

    Raises:
        ValueError: if it is no name, or the data set cannot be had; the message says what to try.
    """
    if not is_name(name):
        raise ValueError(
            '`name` must be the name of a data set, such as "mnist" or "mnist/3.0.1". '
            f"Received: name={name!r}"
        )
    import tensorflow_datasets as tfds

    folder = _prepared_folder(name, base)
    if folder is not None:
        return tfds.builder_from_directory(str(folder))
    # tensorflow-datasets writes versions after a colon only.
    registered = re.sub(r"/(\d+\.\d+\.\d+)$", r":\1", name)
    before = _folders(base)
    try:
        builder = tfds.builder(registered, data_dir=str(base))
        _check_reachable(builder, base / "downloads")
        builder.download_and_prepare()
    except tfds.core.DatasetNotFoundError:
        # Its message lists a thousand names.
        raise _cannot_be_had(name, base, "no builder has that name") from None
    except Exception as error:  # network, checksum, disk and builder errors share no base class
        first_line = first_words(error)
        reason = f"{type(error).__name__}: {first_line[:300]}"
        raise _cannot_be_had(name, base, reason, registered=True) from error
    finally:
        _remove_new_empty_folders(base, before)
    return builder


def _check_reachable(builder: Any, downloads: Path) -> None:
    """Fails at once where a download would, minutes and forty warnings later."""
    # Behind a proxy names need not resolve here, and files of an earlier attempt may be enough.
    if urllib.request.getproxies() or any(downloads.glob("*.INFO")):
        return
    for url, info in (builder.url_infos or {}).items():
        if not (downloads / "manual" / info.filename).exists():
            host = urllib.parse.urlsplit(url).hostname
            try:
                socket.getaddrinfo(host, None)
            except OSError as error:
                raise ConnectionError(f"no network: cannot find {host}") from error
            return


def _folders(base: Path) -> set[Path]:
    """`base`, its parents and the folders below it, as far as they exist."""
    existing = {parent for parent in (base, *base.parents) if parent.is_dir()}
    return existing | {Path(folder) for folder, _, _ in os.walk(base)}


def _remove_new_empty_folders(base: Path, before: set[Path]) -> None:
    """Undoes the folders of an attempt that put nothing into them."""
    below = [Path(folder) for folder, _, _ in os.walk(base, topdown=False)]
    for folder in [*below, *base.parents]:
        if folder not in before and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _cannot_be_had(name: str, base: Path, reason: str, registered: bool = False) -> UnknownDataset:
    import tensorflow_datasets as tfds

    known = prepared_names(base)
    short = re.split(r"[/:]", name)[0]
    tries = [f"one prepared in this folder: {', '.join(known)}"] if known else []
    tries.append(
        f"`data_dir=` (or the environment variable TFDS_DATA_DIR) naming a folder that holds "
        f"{short}/<version>/features.json"
    )
    if short == "mnist":
        files = ", ".join(MNIST_FILES)
        tries.append(f"MNIST without a network: put {files} into {base}/downloads/manual/")
    elif registered:
        tries.append(f"where there is a network: `tfds build {short} --data_dir={base}`")
    near = [] if registered else difflib.get_close_matches(short, tfds.list_builders(), n=3)
    if near:
        tries.append(f"a name that tensorflow-datasets knows: {', '.join(near)}")
    listed = "".join(f"\n  - {line}" for line in tries)
    return UnknownDataset(
        f"the data set is not prepared in {base} and could not be downloaded ({reason}). "
        f"Try:{listed}",
        name,
    )
