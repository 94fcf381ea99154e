"""Bringing images of any size to one size, the same way in training and in a served model."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_efgsm.checks import check_count
from keras_efgsm.limits import Limits, limits

if TYPE_CHECKING:
    import tensorflow as tf

# What a served model refuses, whatever bound the process that exported it had.
MAX_PIXELS = Limits().max_pixels

_AT_ONCE = 256  # images resized together: bounds the memory of their float pixels


def check_image_size(image_size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Returns `image_size` as `(height, width)`, or `None` where none is asked for.

    Args:
        image_size: side of a square or `(height, width)`, in pixels.

    Raises:
        ValueError: if it is neither.
    """
    if image_size is None:
        return None
    sides = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
    if len(sides) != 2:
        raise ValueError(
            "`image_size` must be one number of pixels or (height, width). "
            f"Received: image_size={image_size!r}"
        )
    height, width = (check_count(side, "image_size") for side in sides)
    if height * width > limits().max_pixels:
        raise ValueError(
            f"`image_size` must ask for at most {limits().max_pixels} pixels. "
            f"Received: image_size={image_size!r}"
        )
    return height, width


def resize_images(images: Any, size: Any) -> tf.Tensor:
    """Resizes 8-bit images by antialiased bilinear interpolation, eagerly or in a graph.

    Training, evaluation and the export's `serving_bytes` all call this function, so that a file
    gives the same pixels in each of them. The sides are scaled separately: the aspect ratio is not
    kept. Values are rounded half to even.

    Args:
        images: uint8 tensor `(height, width, channels)` or `(n, height, width, channels)`; the
            sides need not be known when a graph is traced.
        size: `(height, width)` wanted, numbers or an int32 tensor. The present size changes
            nothing.

    Returns:
        Uint8 tensor of the same rank.

    Example:

    ```python
    import numpy as np
    from keras_efgsm.data.image_size import resize_images

    assert resize_images(np.zeros((6, 4, 3), "uint8"), (8, 8)).shape == (8, 8, 3)
    ```
    """
    import tensorflow as tf

    resized = tf.image.resize(images, size, antialias=True)
    return tf.saturate_cast(tf.round(resized), tf.uint8)


def resize_image(image: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Returns 8-bit images at another size, see `resize_images`.

    Args:
        image: uint8 array `(height, width, channels)` or `(n, height, width,
            channels)`.
        size: `(height, width)` wanted; `None` or the present size changes
            nothing.

    Returns:
        Uint8 array of the same rank.
    """
    if size is None or image.shape[-3:-1] == size:
        return image
    if image.ndim == 3:
        return np.asarray(resize_images(image, size))
    resized = empty_images(len(image), (*size, image.shape[-1]))
    for start in range(0, len(image), _AT_ONCE):
        chosen = slice(start, start + _AT_ONCE)
        resized[chosen] = resize_images(image[chosen], size)
    return resized


def empty_images(count: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Returns room for images, see `check_memory`.

    Args:
        count: how many images.
        shape: `(height, width, channels)` of each.

    Returns:
        Uint8 array `(count, height, width, channels)`, not initialised.

    Raises:
        ValueError: if it takes more than the memory of this machine.
    """
    check_memory(count, shape)
    return np.empty((count, *shape), "uint8")


def check_memory(count: int, shape: tuple[int, int, int]) -> None:
    """Refuses images that this machine's memory cannot hold.

    Args:
        count: how many images.
        shape: `(height, width, channels)` of each.

    Raises:
        ValueError: if they take more than the memory of this machine.
    """
    needed, memory = math.prod((count, *shape)), _physical_memory()
    if memory and needed > memory:
        height, width, channels = shape
        raise ValueError(
            f"the images must fit into memory: {count} of {height} x {width} pixels and {channels} "
            f"channels take {needed / 1e9:.1f} GB, and this machine has {memory / 1e9:.1f} GB. "
            "Give a smaller size, `--image-size H W` or `image_size=(H, W)`. "
            f"Received: image_size={(height, width)}"
        )


def _physical_memory() -> int:
    """Bytes, or 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0
