"""How much a file may ask for: one that asks for more is refused by its headers.

A file of a few kilobytes can say that it has millions of classes, or unpack to gigabytes. Every
reader asks here before it makes room, so that a stranger's file costs no memory.
"""

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace

MOST_TEXT = 8 * 2**20
"""Bytes of a text such as a list of the names of 65,536 classes."""

# No photograph or drawing packs better than this; zeros do, by a factor of 1,000.
_PACKING = 100
# Bytes that a packed file may unpack to however well it packs, in pixels of `max_pixels`.
_BYTES_PER_PIXEL = 4


class TooLarge(ValueError):
    """A file asks for more than the bounds allow."""


@dataclass(frozen=True)
class Limits:
    """The bounds of what is read.

    Args:
        max_classes: most classes of a data set. Defaults to 65,536, three times those of
            ImageNet-21k.
        max_pixels: most pixels of one image file. Defaults to 61 million, as many as a camera of 60
            megapixels gives, which take 190 MB. By default a kind of file whose decoder holds each
            pixel several times may have a part of them: a fifth (WebP), a quarter (GIF, BMP), a
            third or, of coarser colour, half (progressive JPEG). A packed file may unpack to four
            bytes for each of them, or to 100 times its size, whichever is more.
    """

    max_classes: int = 2**16
    max_pixels: int = 61_000_000


_CURRENT: ContextVar[Limits] = ContextVar("limits", default=Limits())  # noqa: B039 (frozen)


def limits() -> Limits:
    """The bounds that hold here.

    Example:

    ```python
    limits().max_pixels  # 61000000
    ```
    """
    return _CURRENT.get()


@contextlib.contextmanager
def raised_limits(
    *, max_classes: int | None = None, max_pixels: int | None = None
) -> Iterator[Limits]:
    """Has other bounds inside a `with` block, as `--max-classes` and `--max-pixels` do.

    Args:
        max_classes: as in `Limits`. Defaults to the bound that holds.
        max_pixels: likewise.

    Raises:
        ValueError: if one is no whole number above 0.

    Example:

    ```python
    from keras_efgsm.data import load_npz

    with raised_limits(max_classes=1_000_000):
        data = load_npz("mnist.npz")
    ```
    """
    # Here, as `--help` says the bounds and needs no NumPy.
    from keras_efgsm.checks import check_count

    given = {"max_classes": max_classes, "max_pixels": max_pixels}
    changes = {k: check_count(v, k) for k, v in given.items() if v is not None}
    token = _CURRENT.set(replace(_CURRENT.get(), **changes))
    try:
        yield _CURRENT.get()
    finally:
        _CURRENT.reset(token)


def check_num_classes(count: int, received: str) -> None:
    """Refuses a data set of too many classes.

    Args:
        count: how many it says it has.
        received: what was given, such as `"path='a.npz'"`.

    Raises:
        TooLarge: a `ValueError`, if there are more than `max_classes`.
    """
    most = limits().max_classes
    if count > most:
        raise TooLarge(
            f"A data set may have at most {most} classes; `--max-classes` raises that, "
            "`raised_limits(max_classes=...)` in Python. "
            f"Received: {received} with {count} classes"
        )


def check_unpacked(unpacked: int, packed: int, received: str) -> None:
    """Refuses a packed file that unpacks to far more than images do.

    Args:
        unpacked: bytes that it says it unpacks to.
        packed: bytes of the file.
        received: what was given, such as `"path='a.npz'"`.

    Raises:
        TooLarge: a `ValueError`, if it unpacks to more than `max_pixels` allows.
    """
    most = max(_BYTES_PER_PIXEL * limits().max_pixels, _PACKING * packed)
    if unpacked > most:
        raise TooLarge(
            f"A packed file of {packed / 1e6:.3g} MB may unpack to at most {most / 1e6:.0f} MB; "
            "`--max-pixels` raises that, `raised_limits(max_pixels=...)` in Python. "
            f"Received: {received}, which unpacks to {unpacked / 1e6:.0f} MB"
        )


def check_is_file(path: str | os.PathLike[str]) -> None:
    """Refuses a pipe or a device, whose reading may never end; what is not there goes through.

    Args:
        path: what is to be opened.

    Raises:
        ValueError: if it is one.
    """
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise ValueError(f"It must be a file, no pipe or device. Received: {_of(path)}")


def read_file(path: str | os.PathLike[str], most: int | None = None) -> bytes:
    """Reads a whole file of bounded size.

    Args:
        path: the file.
        most: bytes that it may have. Defaults to those of an image of `max_pixels`.

    Raises:
        TooLarge: a `ValueError`, if it has more.
        ValueError: if it is a pipe or a device.
        OSError: if it cannot be read.

    Example:

    ```python
    read_file("runs/mnist/config.json", MOST_TEXT).decode()
    ```
    """
    check_is_file(path)
    most = _BYTES_PER_PIXEL * limits().max_pixels if most is None else most
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise TooLarge(f"The file must have at most {most / 2**20:.3g} MiB. Received: {_of(path)}")
    return content


def _of(path: str | os.PathLike[str]) -> str:
    return f"path={os.fspath(path)!r}"
