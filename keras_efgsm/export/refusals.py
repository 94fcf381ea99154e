"""Checks in the graph of a served classifier, which refuse invalid images.

Each is an `Assert` that the answer depends on. A server, a session and the C API compare nothing
with the signature themselves: they feed by name.
"""

from collections.abc import Sequence

import tensorflow as tf

from keras_efgsm.form import Contract

# Room for what a client's own arithmetic does to 0 and 1.
PIXEL_TOLERANCE = 1e-3


def unknown_shape(value: tf.Tensor) -> tf.Tensor:
    """Returns `value` with its static shape hidden.

    From the shape of the signature TensorFlow would conclude that a check of the shape always
    passes, and drop it.
    """
    return tf.raw_ops.PlaceholderWithDefault(input=value, shape=tf.TensorShape(None))


def refuse_other_images(image: tf.Tensor, contract: Contract, name: str) -> tf.Tensor:
    """Returns `image` once the graph has seen that it is a batch of the right size.

    Args:
        image: what was fed, of any shape.
        contract: for the size of one image.
        name: the input's name, for the message.
    """
    height, width, channels = contract.image_shape
    image = unknown_shape(image)
    received = tf.shape(image)
    shape = f"(batch, {height}, {width}, {channels})"
    image = refuse_unless(
        is_batch_of(received, contract.image_shape),
        f"`{name}` must hold images of {height} x {width} pixels with {channels} channel(s), shape "
        f"{shape}; they are not resized here. Received: {name}.shape=",
        received,
        image,
    )
    image = refuse_unless(
        tf.greater(tf.size(image), 0),
        f"`{name}` must hold at least one image, shape {shape}. Received: {name}.shape=",
        received,
        image,
    )
    image.set_shape((None, *contract.image_shape))
    return image


def is_batch_of(shape: tf.Tensor, element_shape: Sequence[int]) -> tf.Tensor:
    """Returns whether `shape` is `(batch, *element_shape)`, for any batch, as a boolean scalar.

    By values alone: `tf.rank` is taken from the signature by some runtimes, even behind
    `unknown_shape`, and shapes of other ranks would broadcast.
    """
    wanted = [*element_shape, -1]
    padded = tf.concat([shape, [-1] * (len(wanted) + 1)], axis=0)[: len(wanted) + 1]
    return tf.logical_and(padded[0] >= 0, tf.reduce_all(tf.equal(padded[1:], wanted)))


def refuse_other_pixels(image: tf.Tensor, name: str) -> tf.Tensor:
    """Returns `image` once the graph has seen that its pixels are finite and in [0, 1].

    Args:
        image: float32 batch of images, not empty.
        name: the input's name, for the message.
    """
    broken = tf.math.count_nonzero(tf.logical_not(tf.math.is_finite(image)))
    image = refuse_unless(
        tf.equal(broken, 0),
        f"`{name}` must hold finite pixels in [0, 1]. "
        f"Received: number of values of {name} that are NaN or infinite=",
        broken,
        image,
    )
    limits = tf.stack([tf.reduce_min(image), tf.reduce_max(image)])
    return refuse_unless(
        tf.logical_and(limits[0] >= -PIXEL_TOLERANCE, limits[1] <= 1.0 + PIXEL_TOLERANCE),
        f"`{name}` must hold pixels in [0, 1]: divide bytes by 255, or send them to the signature "
        f"`serving_uint8`. Received: smallest and largest value of {name}=",
        limits,
        image,
    )


def refuse_unless(
    condition: tf.Tensor, message: str, received: tf.Tensor, value: tf.Tensor
) -> tf.Tensor:
    """Returns `value`, which can be read only where `condition` holds.

    Args:
        condition: boolean scalar.
        message: what was expected, up to `Received: name=`.
        received: what the message ends with; no strings, as a message that is not UTF-8 breaks
            the clients that read it.
        value: what must not be used otherwise.
    """
    check = tf.raw_ops.Assert(condition=condition, data=[message, received], summarize=16)
    with tf.control_dependencies([check]):
        return tf.identity(value)
