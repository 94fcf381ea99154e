"""Packages that the machine lacks, from wheels carried beside the checkout; no pip, no network."""

import importlib.metadata
import importlib.util
import platform
import sys
import zipfile
from pathlib import Path

CARRIED = ("keras", "optree", "namex", "typing_extensions")
"""What is carried: Keras, and what it needs that comes with no other package."""

NEEDED = ("jax", "numpy", "PIL", "absl", "h5py", "ml_dtypes", "packaging", "rich", *CARRIED)
"""What must be there in the end, as it is imported: JAX, NumPy, Pillow, and what Keras needs."""


def unpack_missing(wheels: Path, into: Path) -> list[str]:
    """Unpacks the wheels of packages that are not installed, and lets them be imported.

    Args:
        wheels: folder of `.whl` files, for several versions of Python if need be.
        into: folder for the packages, which goes to the front of `sys.path`.

    Returns:
        The names of the files that were unpacked.

    Raises:
        ValueError: if a package is missing after that.
    """
    there = sorted(wheels.glob("*.whl"))
    wanted = [path for path in there if is_for_here(path.name) and not _is_installed(path)]
    for path in wanted:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(into)
    if wanted:
        sys.path.insert(0, str(into))
        importlib.invalidate_caches()
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        here = f"Python {sys.version_info[0]}.{sys.version_info[1]} on {platform.machine()}"
        raise ValueError(
            f"{', '.join(missing)} cannot be imported here ({here}): `pack.py --python VERSION "
            f"--also NAME` fetches wheels. Received: wheels={[path.name for path in there]}"
        )
    return [path.name for path in wanted]


def is_for_here(name: str) -> bool:
    """Whether a wheel is for this Python and processor, or for any.

    Args:
        name: of the file, `name-version-python-abi-platform.whl`.
    """
    python, _, system = name.removesuffix(".whl").split("-")[-3:]
    is_here = system == "any" or system.endswith(f"_{platform.machine()}")
    version = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    return is_here and bool({"py3", version} & set(python.split(".")))


def _is_installed(wheel: Path) -> bool:
    try:
        importlib.metadata.distribution(wheel.name.split("-")[0])
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
