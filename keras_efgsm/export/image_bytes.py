"""PNG and JPEG files to pixels inside a graph: the header is read before anything is decoded."""

import tensorflow as tf

from keras_efgsm.data.image_files import is_jpeg, jpeg_size, pixels_of_file
from keras_efgsm.data.image_size import MAX_PIXELS
from keras_efgsm.export.refusals import is_batch_of, refuse_unless, unknown_shape
from keras_efgsm.form import Contract

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES = 24  # of a PNG: signature, length and name of the first chunk, width, height
# TensorFlow's decoders do not say which input they failed at; the name of the node does.
_DECODER = "image_bytes_must_be_whole_image_files"


def pixels_of_files(image_bytes: tf.Tensor, contract: Contract) -> tf.Tensor:
    """Decodes image files as the images of a training are, and refuses others inside the graph.

    What is not a PNG or JPEG is refused before it is decoded, and so is what has another size than
    the classifier's by its own header, or too many pixels where the contract resizes: a file of a
    few bytes can decode to gigabytes. JPEG files have no fourth channel, so a classifier of RGBA
    images takes PNG alone. Other numbers of channels are converted, photographs are turned as their
    EXIF data say: `keras_efgsm.data.image_files.pixels_of_file`, which a training reads files with.

    Args:
        image_bytes: string `(batch,)`, whole files.
        contract: for the size and the channels of an image, and whether others are resized.

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
    jpeg = is_jpeg(heads)
    is_known = tf.logical_or(is_png, jpeg) if takes_jpeg else is_png
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
    sizes = _sizes(files, heads, jpeg) if takes_jpeg else _png_sizes(heads)
    if contract.resizes:
        # As floats, in which no product overflows.
        pixels = tf.reduce_prod(tf.cast(sizes, tf.float64), axis=1)
        is_right = tf.logical_and(pixels > 0.0, pixels <= MAX_PIXELS)
        wanted = f"of at most {MAX_PIXELS} pixels, and of one at least"
    else:
        is_right = tf.reduce_all(tf.equal(sizes, [height, width]), axis=1)
        wanted = f"of {height} x {width} pixels; they are not resized here"
    wrong = _first_false(is_right)
    files = refuse_unless(
        tf.reduce_all(is_right),
        f"`image_bytes` must hold images {wanted}. "
        "Received: index, height, width by the file header=",
        tf.concat([[wrong], sizes[wrong]], axis=0),
        files,
    )

    def decode(contents: tf.Tensor) -> tf.Tensor:
        size = (height, width) if contract.resizes else None
        pixels = pixels_of_file(contents, channels, size, name=_DECODER)
        pixels.set_shape(contract.image_shape)
        return pixels

    spec = tf.TensorSpec(contract.image_shape, tf.uint8)
    return tf.map_fn(decode, files, fn_output_signature=spec)


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


def _sizes(files: tf.Tensor, heads: tf.Tensor, jpeg: tf.Tensor) -> tf.Tensor:
    def size_of(elements: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        contents, png_size, this_is_jpeg = elements
        return tf.cond(
            this_is_jpeg,
            lambda: jpeg_size(contents, name=_DECODER),
            lambda: png_size,
        )

    spec = tf.TensorSpec((2,), tf.int32)
    return tf.map_fn(size_of, (files, _png_sizes(heads), jpeg), fn_output_signature=spec)
