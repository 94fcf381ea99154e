"""PNG and JPEG files to pixels: one function of TensorFlow for training and for served models.

The decoders of TensorFlow and Pillow differ by several grey levels in a JPEG. All that is done to a
file on its way to the network is therefore done here, eagerly or inside a graph: decoding, the
channels, the turn that a camera has noted (EXIF), the size.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_efgsm.data.image_size import resize_images

_HEAD = 2**18  # bytes in which the EXIF segment of a JPEG must lie: a segment has at most 2**16
_START_OF_SCAN, _APP1 = 0xDA, 0xE1
_ORIENTATION = 274  # number of its tag


def pixels_of_file(
    contents: Any, channels: int, size: tuple[int, int] | None = None, name: str | None = None
) -> tf.Tensor:
    """Decodes one PNG or JPEG file as a network sees it.

    Grey is made of colour and colour of grey; alpha is dropped where `channels` has none; of 16
    bits the upper 8 are taken; a JPEG is turned as its EXIF data say.

    Args:
        contents: string `()`, the whole file.
        channels: 1, 3 or 4 (PNG only).
        size: `(height, width)` to resize to. Defaults to the size that the file has.
        name: name of the decoder in the graph, which its errors give. Defaults to TensorFlow's.

    Returns:
        Uint8 `(height, width, channels)`.

    Raises:
        tf.errors.InvalidArgumentError: if the file is damaged.

    Example:

    ```python
    import tensorflow as tf
    from keras_efgsm.data.image_files import pixels_of_file

    file = tf.io.encode_png(tf.zeros((6, 4, 3), tf.uint8))
    assert pixels_of_file(file, channels=1, size=(8, 8)).shape == (8, 8, 1)
    ```
    """
    pixels, orientation = decoded_file(contents, channels, name)
    return upright_pixels(pixels, orientation, channels, size)


def decoded_file(
    contents: Any, channels: int, name: str | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes one PNG or JPEG file as its pixels lie in it, for `upright_pixels`.

    Args:
        contents: string `()`, the whole file.
        channels: as in `pixels_of_file`.
        name: likewise.

    Returns:
        Uint8 `(height, width, channels)`, or three channels in place of one for a JPEG of four
        inks, and its orientation, int32 `()`.
    """
    contents = tf.convert_to_tensor(contents, tf.string)
    jpeg = is_jpeg(contents)

    def decode(wanted: int) -> tf.Tensor:
        return tf.io.decode_image(contents, channels=wanted, expand_animations=False, name=name)

    def grey() -> tf.Tensor:
        # The decoder makes no grey of the four inks that a print has (CMYK).
        inks = tf.cond(
            jpeg,
            lambda: tf.image.extract_jpeg_shape(contents, name=name)[2] == 4,
            lambda: tf.constant(False),
        )
        return tf.cond(inks, lambda: decode(3), lambda: decode(1))

    pixels = grey() if channels == 1 else decode(channels)
    if channels == 4:  # no JPEG has four
        return pixels, tf.constant(1)
    return pixels, tf.cond(jpeg, lambda: jpeg_orientation(contents), lambda: tf.constant(1))


def upright_pixels(
    pixels: Any, orientation: Any, channels: int, size: tuple[int, int] | None = None
) -> tf.Tensor:
    """Resizes what `decoded_file` returns, and turns it upright.

    In that order, as a photograph of 50 megapixels would else be held several times.

    Args:
        pixels: uint8 `(height, width, c)`, as they lie in the file.
        orientation: int32 `()`, from 1 (upright) to 8.
        channels: 1, 3 or 4.
        size: `(height, width)` to resize to. Defaults to the size that the file has.

    Returns:
        Uint8 `(height, width, channels)`.
    """
    pixels, orientation = tf.convert_to_tensor(pixels), tf.convert_to_tensor(orientation)
    if size is not None:
        lying = tf.where(orientation >= 5, size[::-1], size)
        pixels = resize_images(pixels, lying)
    if channels == 1:
        pixels = tf.cond(
            tf.shape(pixels)[-1] == 3,
            lambda: tf.image.rgb_to_grayscale(pixels),
            lambda: pixels,
        )
    if channels != 4:
        pixels = tf.cond(
            tf.equal(orientation, 1), lambda: pixels, lambda: _turned(pixels, orientation)
        )
    pixels.set_shape((*(size or (None, None)), channels))
    return pixels


def is_jpeg(contents: tf.Tensor) -> tf.Tensor:
    """Whether files, strings of any shape, begin as a JPEG does."""
    return tf.equal(tf.strings.substr(contents, 0, 3), b"\xff\xd8\xff")


def jpeg_size(contents: tf.Tensor, name: str | None = None) -> tf.Tensor:
    """Reads height and width of a JPEG from its header, as it is seen once it is turned.

    Args:
        contents: string `()`, the file.
        name: as in `pixels_of_file`.

    Returns:
        Int32 `(2,)`.
    """
    sides = tf.image.extract_jpeg_shape(contents, name=name)[:2]
    return tf.where(jpeg_orientation(contents) >= 5, sides[::-1], sides)


def jpeg_orientation(contents: tf.Tensor) -> tf.Tensor:
    """Reads from 1 (upright) to 8 how a camera was held, from the EXIF data of a JPEG.

    Args:
        contents: string `()`, the file.

    Returns:
        Int32 `()`; 1 where nothing, or nothing sensible, is said.
    """
    head = tf.io.decode_raw(tf.strings.substr(contents, 0, _HEAD), tf.uint8)
    end = tf.size(head)
    head = tf.concat([head, tf.zeros(16, tf.uint8)], axis=0)

    def number(at: tf.Tensor, size: int, little: tf.Tensor | bool = False) -> tf.Tensor:
        value = tf.cast(head[at : at + size], tf.int32)
        value = tf.where(little, value[::-1], value)
        powers = tf.constant([256 ** (size - 1 - i) for i in range(size)], tf.int32)
        # Beyond the file whatever a damaged one names; kept from wrapping round.
        return tf.clip_by_value(tf.reduce_sum(value * powers), 0, end)

    def is_exif(at: tf.Tensor) -> tf.Tensor:
        marker = tf.constant([0xFF, _APP1], tf.uint8)
        word = tf.constant(list(b"Exif\0\0"), tf.uint8)
        return tf.reduce_all(head[at : at + 2] == marker) & tf.reduce_all(
            head[at + 4 : at + 10] == word
        )

    def goes_on(at: tf.Tensor) -> tf.Tensor:
        inside = (at + 4 <= end) & (head[at] == 0xFF) & (head[at + 1] != _START_OF_SCAN)
        return inside & ~is_exif(at)

    def next_segment(at: tf.Tensor) -> tuple[tf.Tensor]:
        return (tf.minimum(at + 2 + number(at + 2, 2), end),)

    (at,) = tf.while_loop(goes_on, next_segment, (tf.constant(2),), maximum_iterations=64)

    def orientation() -> tf.Tensor:
        start = at + 10
        little = head[start] == ord("I")
        entries = tf.minimum(start + number(start + 4, 4, little), end)
        count = tf.minimum(number(entries, 2, little), (end - entries - 2) // 12)
        table = head[entries + 2 : entries + 2 + 12 * tf.maximum(count, 0)]
        table = tf.cast(tf.reshape(table, (-1, 6, 2)), tf.int32)
        table = tf.where(little, table[..., ::-1], table)
        pairs = table[..., 0] * 256 + table[..., 1]
        # Tag and value of an entry are its first and its fifth pair of bytes.
        found = tf.boolean_mask(pairs[:, 4], pairs[:, 0] == _ORIENTATION)
        value = tf.concat([found, [1]], axis=0)[0]
        return tf.where((value >= 1) & (value <= 8), value, 1)

    return tf.cond((at + 20 <= end) & is_exif(at), orientation, lambda: tf.constant(1))


def _turned(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """The image upright: transposed first where it lies, then mirrored."""
    mirrored = tf.reduce_any(orientation == [2, 3, 6, 7])
    upside_down = tf.reduce_any(orientation == [3, 4, 7, 8])
    pixels = tf.cond(orientation >= 5, lambda: _transposed(pixels), lambda: pixels)
    pixels = tf.cond(mirrored, lambda: pixels[:, ::-1], lambda: pixels)
    return tf.cond(upside_down, lambda: pixels[::-1], lambda: pixels)


def _transposed(pixels: tf.Tensor) -> tf.Tensor:
    # By the places of the pixels: `tf.transpose` of bytes makes oneDNN log an error on many
    # processors, also as floats, as the graph is optimised to transpose before the cast.
    height, width, channels = tf.unstack(tf.shape(pixels), num=3)
    places = tf.range(width)[:, tf.newaxis] + width * tf.range(height)
    return tf.gather(tf.reshape(pixels, (height * width, channels)), places)
