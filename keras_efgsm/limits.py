"""How much a file may ask for: one that asks for more is refused by its headers.

A file of a few kilobytes can say that it has millions of classes, or unpack to gigabytes. Every
reader asks here before it makes room, so that a stranger's file costs no memory.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace

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
        max_pixels: most pixels of one image file. Defaults to 67,108,864, more than a camera of 50
            megapixels gives. A packed file may unpack to four bytes for each of them, or to 100
            times its size, whichever is more.
    """

    max_classes: int = 2**16
    max_pixels: int = 2**26


_CURRENT: ContextVar[Limits] = ContextVar("limits", default=Limits())  # noqa: B039 (frozen)


def limits() -> Limits:
    """The bounds that hold here.

    Example:

    ```python
    limits().max_pixels  # 67108864
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
