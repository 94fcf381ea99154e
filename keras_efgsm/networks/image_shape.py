"""Which image shapes a network takes."""

from typing import Any

from keras_efgsm.checks import check_count


def check_image_shape(image_shape: Any, network: str, minimum: int = 1) -> tuple[int, int, int]:
    """Checks the shape of the images that a network is to be made for.

    Args:
        image_shape: `(H, W, C)`.
        network: name of the network, for the error.
        minimum: fewest pixels of the height and of the width that it can be made for. Defaults
            to 1.

    Returns:
        The shape as a tuple of ints.

    Raises:
        ValueError: if it is not three whole numbers of at least 1, or an image is too small; the
            error names the option that enlarges the images.

    Example:

    ```python
    check_image_shape([28, 28, 1], "mnist")  # (28, 28, 1)
    ```
    """
    if not isinstance(image_shape, (tuple, list)) or len(image_shape) != 3:
        raise ValueError(
            "`image_shape` must be (height, width, channels). "
            f"Received: image_shape={image_shape!r}"
        )
    height, width, channels = (check_count(size, "image_shape") for size in image_shape)
    if min(height, width) < minimum:
        # So that the sides keep their ratio, up to rounding.
        factor = minimum / min(height, width)
        larger = f"{round(height * factor)} {round(width * factor)}"
        raise ValueError(
            f"The network {network!r} takes images of at least {minimum} x {minimum} pixels; "
            f"enlarge them by `--image-size {larger}` or choose another network. "
            f"Received: image_shape={(height, width, channels)}"
        )
    return height, width, channels
