"""Grey made of colour and colour of grey, for images that are in memory already."""

import numpy as np

from keras_efgsm.checks import check_choice

CHANNELS = (1, 3, 4)
NAMES = {1: "grey", 2: "grey with alpha", 3: "colour", 4: "colour with alpha"}
# ITU-R BT.601, as the decoders of PNG and JPEG files and `tf.image.rgb_to_grayscale` have them.
_LUMA = np.array([0.2989, 0.587, 0.114], "float32")
_AT_ONCE = 1024


def check_channels(channels: int | None) -> int | None:
    """Returns `channels` if images can be given so many.

    Args:
        channels: 1 for grey, 3 for colour, 4 for colour with alpha, or `None` for what they have.

    Raises:
        ValueError: otherwise.
    """
    check_choice(channels, "channels", (None, *CHANNELS))
    return channels


def with_channels(images: np.ndarray, channels: int | None) -> np.ndarray:
    """Returns 8-bit images with another number of channels.

    Grey is the luma `0.2989 R + 0.587 G + 0.114 B`; colour of grey repeats it. Alpha is dropped,
    what it hides is shown; alpha that is added is opaque.

    Args:
        images: uint8 array `(n, height, width, c)`, `c` from 1 to 4.
        channels: 1, 3 or 4; `None` or the present number changes nothing.

    Returns:
        Uint8 array `(n, height, width, channels)`.
    """
    present = images.shape[-1]
    if channels is None or channels == present:
        return images
    if present == 2:
        images, present = images[..., :1], 1
    if channels == 1:
        if present == 1:
            return images
        grey = np.empty((*images.shape[:-1], 1), "uint8")
        for start in range(0, len(images), _AT_ONCE):
            chosen = slice(start, start + _AT_ONCE)
            grey[chosen, ..., 0] = np.rint(images[chosen, ..., :3].astype("float32") @ _LUMA)
        return grey
    colour = np.repeat(images, 3, axis=-1) if present == 1 else images[..., :3]
    if channels == 3:
        return np.ascontiguousarray(colour)
    return np.concatenate([colour, np.full_like(colour[..., :1], 255)], axis=-1)
