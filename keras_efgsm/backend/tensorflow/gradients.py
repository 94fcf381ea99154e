"""Gradients on TensorFlow, by `tf.GradientTape`."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_efgsm import equations
from keras_efgsm.typing import Tensor


def input_gradient(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], x: Tensor, scale: float = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient with respect to the images of a scalar per sample.

    Args:
        function: maps images `(B, H, W, C)` to `(values, aux)`, values of shape `(B,)`. The
            gradient is that of their sum: of each sample's value where that depends on its image
            alone, or on the others through the statistics of batch norm.
        x: images `(B, H, W, C)`.
        scale: factor on the values inside the tape, taken out of the gradient again, so that a
            float16 network's gradients do not underflow. Defaults to 1.

    Returns:
        `(values, aux, gradient)`; the gradient is zero where it is not finite.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        values, aux = function(x)
        target = values * scale
    gradient = tape.gradient(target, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    # A network that saturates may have NaN here; one would be in the image from then on.
    gradient = tf.where(tf.math.is_finite(gradient), gradient, tf.zeros_like(gradient))
    return values, aux, gradient / scale if scale != 1.0 else gradient


def rival_margins_and_gradients(
    logits_fn: Callable[[Tensor], Tensor],
    x: Tensor,
    labels: Tensor,
    count: int | None,
    scale: float = 1.0,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Margins of the `count` nearest rivals and their gradients, from one forward pass.

    One backward pass for each rival on a persistent tape; on a CPU this is cheaper than
    `batch_jacobian`.

    Args:
        logits_fn: maps images to logits `(B, K)`.
        x: images `(B, H, W, C)`.
        labels: true classes `(B,)`.
        count: number of rivals M; 1 is the runner-up alone, None all K - 1 of them.
        scale: as in `input_gradient`.

    Returns:
        logits `(B, K)`, M margins `(B,)`, M gradients `(B, H, W, C)`.
    """
    with tf.GradientTape(persistent=count != 1, watch_accessed_variables=False) as tape:
        tape.watch(x)
        logits = logits_fn(x)
    count = min(count or logits.shape[-1] - 1, logits.shape[-1] - 1)
    slopes = equations.margin_slopes(
        logits, labels, equations.nearest_rivals(logits, labels, count)
    )
    values = [tf.reduce_sum(slope * logits, axis=-1) for slope in slopes]
    gradients = [
        tape.gradient(
            logits,
            x,
            output_gradients=slope * scale,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        for slope in slopes
    ]
    if scale != 1.0:
        gradients = [gradient / scale for gradient in gradients]
    return logits, values, gradients


def weight_gradients(
    losses: Callable[[], tuple[Tensor, Any]], weights: list[keras.Variable]
) -> tuple[Any, list[Tensor]]:
    """Gradients of a loss with respect to weights.

    Args:
        losses: returns `(loss, aux)`, the loss a scalar.
        weights: the variables that are differentiated by.

    Returns:
        `(aux, gradients)`.
    """
    with tf.GradientTape() as tape:
        loss, aux = losses()
    return aux, tape.gradient(loss, weights)


def weight_and_image_gradients(
    losses: Callable[[Tensor, Any], tuple[Tensor, Any]],
    weights: list[keras.Variable],
    images: Tensor,
    split: Any = None,
) -> tuple[Any, list[Tensor], Tensor]:
    """Gradients of a loss with respect to weights and images, from one backward pass.

    Args:
        losses: maps images and a classifier to `(loss, aux)`, the loss a scalar. The classifier
            maps images to float32 logits in training mode; it is None without a `split`.
        weights: the variables that are differentiated by.
        images: `(B, H, W, C)`.
        split: a classifier in two parts, `first` and `rest`, for the gradient at the output of the
            first part on these images in place of theirs. Defaults to none.

    Returns:
        `(aux, weight_gradients, slope)`; the slope is zero where it is not finite.
    """
    hidden: list[Tensor] = []

    def classifier(x: Tensor) -> Tensor:
        output = split.first(x, training=True)
        # An objective may classify the clean images as well.
        if x is images:
            hidden.append(output)
        return tf.cast(split.rest(output, training=True), tf.float32)

    with tf.GradientTape() as tape:
        tape.watch(images)
        loss, aux = losses(images, None if split is None else classifier)
    inner = [images] if split is None else hidden
    gradients = tape.gradient(loss, [*inner, *weights])
    slope = gradients[0]
    # A loss scale may overflow; NaN would stay in a perturbation for ever.
    slope = tf.where(tf.math.is_finite(slope), slope, tf.zeros_like(slope))
    return aux, gradients[len(inner) :], slope


def apply_gradients(
    optimizer: keras.optimizers.Optimizer, gradients: list[Tensor], weights: list[keras.Variable]
) -> None:
    """One step of the optimizer."""
    optimizer.apply_gradients(zip(gradients, weights, strict=True))
