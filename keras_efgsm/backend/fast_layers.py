"""Keras's layers by faster operations of TensorFlow: the same functions up to rounding.

Keras normalizes a batch by about ten elementwise operations on float32 copies. The fused operation
makes a pass over the activations as they are, in bfloat16 too, and another one for the gradient.
"""

from functools import partial
from typing import Any

import keras
import tensorflow as tf

from keras_efgsm.backend.small_convolution import convolve, is_small_convolution
from keras_efgsm.typing import Tensor


def use_fast_layers(network: keras.Model) -> None:
    """Has batch norm, and convolutions to small images, of a network compute faster from now on.

    The same function of the same weights up to rounding. The layers remain Keras's own, so that a
    file of the network, or a clone, is what it was. Layers that the faster operations do not
    cover, by their axis, rank or type, are left alone.

    Args:
        network: functional or sequential model, built.
    """
    for layer in network._flatten_layers(include_self=False, recursive=True):
        if type(layer) is keras.layers.BatchNormalization and _is_covered(layer):
            layer.call = partial(_call, layer)
        elif is_small_convolution(layer):
            layer.convolution_op = partial(convolve, layer)


def _is_covered(layer: keras.layers.BatchNormalization) -> bool:
    return (
        layer.built
        and layer.axis in (-1, 3)
        and not getattr(layer, "renorm", False)
        and layer.compute_dtype in ("float32", "bfloat16")
        and layer.variable_dtype == "float32"
    )


def _call(
    layer: keras.layers.BatchNormalization,
    inputs: Tensor,
    training: bool | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    if (
        mask is not None
        or layer.synchronized
        or len(inputs.shape) != 4
        or not isinstance(inputs, tf.Tensor)
    ):
        return type(layer).call(layer, inputs, training=training, mask=mask)
    training = bool(training) and layer.trainable
    x = tf.cast(inputs, layer.compute_dtype)
    channels = x.shape[-1]
    gamma = tf.convert_to_tensor(layer.gamma) if layer.scale else tf.ones(channels)
    beta = tf.convert_to_tensor(layer.beta) if layer.center else tf.zeros(channels)
    if not training:
        mean, variance = (
            tf.convert_to_tensor(v) for v in (layer.moving_mean, layer.moving_variance)
        )
        scale = gamma * tf.math.rsqrt(variance + layer.epsilon)
        return _affine(x, scale, beta - mean * scale)
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=gamma,
        offset=beta,
        mean=tf.zeros(0),
        variance=tf.zeros(0),
        epsilon=layer.epsilon,
        is_training=True,
    )
    # The operation gives the unbiased variance, Keras averages the biased one.
    count = tf.cast(tf.size(x) // channels, "float32")
    variance = variance * ((count - 1.0) / count)
    for average, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moved = average * layer.momentum + tf.stop_gradient(value) * (1.0 - layer.momentum)
        average.assign(moved)
    return outputs


@tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow has no types
def _affine(x: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Any]:
    """`x * scale + shift` by channel; its gradient without the passes that TensorFlow's makes."""
    y = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=scale,
        offset=shift,
        mean=tf.zeros_like(scale),
        variance=tf.ones_like(scale),
        epsilon=0.0,
        is_training=False,
    ).y

    def gradient(slope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # A graph computes only those that are asked for.
        axes = list(range(len(x.shape) - 1))
        wide = tf.cast(slope, "float32")
        return (
            slope * tf.cast(scale, slope.dtype),
            tf.reduce_sum(wide * tf.cast(x, "float32"), axes),
            tf.reduce_sum(wide, axes),
        )

    return y, gradient
