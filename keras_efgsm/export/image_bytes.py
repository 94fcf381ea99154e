"""PNG and JPEG files to pixels inside a graph: the header is read before anything is decoded."""

import tensorflow as tf

from keras_efgsm.export.refusals import is_batch_of, refuse_unless, unknown_shape
from keras_efgsm.form import Contract

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8\xff"
_HEADER_BYTES = 24  # of a PNG: signature, length and name of the first chunk, width, height
# TensorFlow's decoders do not say which input they failed at; the name of the node does.
_DECODER = "image_bytes_must_be_whole_image_files"
# A larger image is not resized: 32 megapixels are 400 MB on the way.
MOST_PIXELS = 2**25


def pixels_of_files(image_bytes: tf.Tensor, contract: Contract) -> tf.Tensor:
    """Decodes image files to the classifier's size, and refuses all others inside the graph.

    What is no PNG or JPEG, and what has another size by its own header, is refused before it is
    decoded: a file of a few bytes can decode to gigabytes. Where the contract says that files are
    resized, only those of more than 32 megapixels are. JPEG files have no fourth channel, so
    a classifier of RGBA images takes PNG alone. Other numbers of channels are converted.

    Args:
        image_bytes: string `(batch,)`, whole files.
        contract: for the size and the channels of an image.

    Returns:
        uint8 `(batch, H, W, C)`.
    """
    height, width, channels = contract.image_shape
    files = _refuse_other_ranks(unknown_shape(image_bytes))
    takes_jpeg = channels != 4
    heads = tf.strings.substr(files, 0, _HEADER_BYTES)
    # `substr` fails beyond the end of a string, with a message that says nothing to a client.
    heads = tf.strings.join([heads, b"\0" * _HEADER_BYTES])
    is_png = tf.logical_and(
        tf.equal(tf.strings.substr(heads, 0, 8), _PNG_SIGNATURE),
        tf.equal(tf.strings.substr(heads, 12, 4), b"IHDR"),
    )
    is_jpeg = tf.equal(tf.strings.substr(heads, 0, 3), _JPEG_SIGNATURE)
    is_known = tf.logical_or(is_png, is_jpeg) if takes_jpeg else is_png
    wrong = _first_false(is_known)
    start = tf.io.decode_raw(tf.strings.substr(heads[wrong], 0, 8), tf.uint8)
    length = tf.strings.length(files[wrong])
    files = refuse_unless(
        tf.reduce_all(is_known),
        f"`image_bytes` must hold whole {'PNG or JPEG' if takes_jpeg else 'PNG'} files. Received: "
        "index, number of bytes, first 8 bytes (0 beyond the end)=",
        tf.concat([[wrong, length], tf.cast(start, tf.int32)], axis=0),
        files,
    )
    sizes = _sizes(files, heads, is_jpeg) if takes_jpeg else _png_sizes(heads)
    if contract.resizes:
        # As floats, in which no product overflows.
        pixels = tf.reduce_prod(tf.cast(sizes, tf.float32), axis=1)
        is_right = tf.logical_and(pixels > 0.0, pixels <= float(MOST_PIXELS))
        wanted = f"at most {MOST_PIXELS} pixels; make larger ones smaller first. "
    else:
        is_right = tf.reduce_all(tf.equal(sizes, [height, width]), axis=1)
        wanted = f"{height} x {width} pixels; they are not resized here. "
    wrong = _first_false(is_right)
    files = refuse_unless(
        tf.reduce_all(is_right),
        f"`image_bytes` must hold images of {wanted}"
        "Received: index, height, width by the file header=",
        tf.concat([[wrong], sizes[wrong]], axis=0),
        files,
    )

    def decode(contents: tf.Tensor) -> tf.Tensor:
        pixels = tf.io.decode_image(
            contents, channels=channels, expand_animations=False, name=_DECODER
        )
        if contract.resizes:
            pixels.set_shape((None, None, channels))
            pixels = resized(pixels, (height, width))
        pixels.set_shape(contract.image_shape)
        return pixels

    spec = tf.TensorSpec(contract.image_shape, tf.uint8)
    return tf.map_fn(decode, files, fn_output_signature=spec)


def resized(pixels: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Returns an image at another size, as `keras_efgsm.data` resizes those of a training.

    Args:
        pixels: uint8 `(h, w, channels)`.
        size: `(height, width)`.

    Returns:
        uint8 `(height, width, channels)`.
    """
    shape = tf.shape(pixels)[:2]
    # At its own size an image stays as it is, in training as well.
    return tf.cond(
        tf.reduce_all(tf.equal(shape, size)),
        lambda: pixels,
        lambda: tf.cast(
            tf.clip_by_value(tf.round(tf.image.resize(pixels, size, antialias=True)), 0.0, 255.0),
            tf.uint8,
        ),
    )


def _refuse_other_ranks(files: tf.Tensor) -> tf.Tensor:
    shape = tf.shape(files)
    files = refuse_unless(
        tf.logical_and(is_batch_of(shape, ()), tf.greater(tf.size(files), 0)),
        "`image_bytes` must be a vector of at least one file, shape (batch,). "
        "Received: image_bytes.shape=",
        shape,
        files,
    )
    files.set_shape((None,))
    return files


def _first_false(flags: tf.Tensor) -> tf.Tensor:
    return tf.argmin(tf.cast(flags, tf.int32), output_type=tf.int32)


def _png_sizes(heads: tf.Tensor) -> tf.Tensor:
    width_height = tf.io.decode_raw(tf.strings.substr(heads, 16, 8), tf.int32, little_endian=False)
    return tf.reverse(width_height, axis=[1])


def _sizes(files: tf.Tensor, heads: tf.Tensor, is_jpeg: tf.Tensor) -> tf.Tensor:
    def size_of(elements: tuple[tf.Tensor, ...]) -> tf.Tensor:
        contents, png_size, this_is_jpeg = elements
        return tf.cond(
            this_is_jpeg,
            lambda: tf.image.extract_jpeg_shape(contents, name=_DECODER)[:2],
            lambda: png_size,
        )

    spec = tf.TensorSpec((2,), tf.int32)
    return tf.map_fn(size_of, (files, _png_sizes(heads), is_jpeg), fn_output_signature=spec)
