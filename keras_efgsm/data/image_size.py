"""Bringing images of any size to one size, the same way for every source of data."""

import numpy as np

from keras_efgsm.checks import check_count


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
    return height, width


def resize_image(image: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Returns 8-bit images at another size, by antialiased bilinear interpolation.

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
    import tensorflow as tf

    resized = tf.image.resize(image, size, antialias=True)
    return np.clip(np.rint(resized.numpy()), 0, 255).astype("uint8")
