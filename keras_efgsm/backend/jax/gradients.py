"""Gradients on JAX, by `jax.grad`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras

from keras_efgsm import equations
from keras_efgsm.backend.jax.scopes import apply_updates, with_updates
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
        scale: factor on the values that are differentiated, taken out of the gradient again, so
            that a float16 network's gradients do not underflow. Defaults to 1.

    Returns:
        `(values, aux, gradient)`; the gradient is zero where it is not finite.
    """
    pure = with_updates(function)

    def total(images: Tensor) -> tuple[Tensor, tuple[Any, ...]]:
        (values, aux), updates = pure(images)
        return jnp.sum(values * scale), (values, aux, updates)

    gradient, (values, aux, updates) = jax.grad(total, has_aux=True)(jnp.asarray(x))
    apply_updates(updates)
    # A network that saturates may have NaN here; one would be in the image from then on.
    gradient = jnp.where(jnp.isfinite(gradient), gradient, jnp.zeros_like(gradient))
    return values, aux, gradient / scale if scale != 1.0 else gradient


def rival_margins_and_gradients(
    logits_fn: Callable[[Tensor], Tensor],
    x: Tensor,
    labels: Tensor,
    count: int | None,
    scale: float = 1.0,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Margins of the `count` nearest rivals and their gradients, from one forward pass.

    Args:
        logits_fn: maps images to logits `(B, K)`.
        x: images `(B, H, W, C)`.
        labels: true classes `(B,)`.
        count: number of rivals M; 1 is the runner-up alone, None all K - 1 of them.
        scale: as in `input_gradient`.

    Returns:
        logits `(B, K)`, M margins `(B,)`, M gradients `(B, H, W, C)`.
    """
    logits, backward, updates = jax.vjp(with_updates(logits_fn), jnp.asarray(x), has_aux=True)
    apply_updates(updates)
    count = min(count or logits.shape[-1] - 1, logits.shape[-1] - 1)
    slopes = equations.margin_slopes(
        logits, labels, equations.nearest_rivals(logits, labels, count)
    )
    values = [jnp.sum(slope * logits, axis=-1) for slope in slopes]
    gradients = [backward(slope * scale)[0] for slope in slopes]
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
    aux, (gradients,) = _gradients(losses, weights)
    return aux, gradients


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
    if split is None:
        aux, (gradients, slope) = _gradients(lambda x: losses(x, None), weights, images)
    else:

        def shifted(shift: Tensor) -> tuple[Tensor, Any]:
            def classifier(x: Tensor) -> Tensor:
                output = split.first(x, training=True)
                # An objective may classify the clean images as well.
                if x is images:
                    output = output + shift
                return keras.ops.cast(split.rest(output, training=True), "float32")

            return losses(images, classifier)

        # A shift of zero has the gradient of what it is added to.
        hidden = jax.eval_shape(lambda x: split.first(x, training=False), images)
        shift = jnp.zeros(hidden.shape, hidden.dtype)
        aux, (gradients, slope) = _gradients(shifted, weights, shift)
    # A loss scale may overflow; NaN would stay in a perturbation for ever.
    return aux, gradients, jnp.where(jnp.isfinite(slope), slope, jnp.zeros_like(slope))


def _gradients(
    losses: Callable[..., tuple[Tensor, Any]], weights: list[keras.Variable], *inputs: Tensor
) -> tuple[Any, tuple[Any, ...]]:
    """`(aux, gradients)` of a loss with respect to weights and each of its inputs."""

    def loss_of(weight_values: list[Tensor], *inputs: Tensor) -> tuple[Tensor, Any]:
        for weight, value in zip(weights, weight_values, strict=True):
            weight.assign(value)
        return losses(*inputs)

    pure = with_updates(loss_of)
    changed = {id(weight) for weight in weights}

    def total(
        weight_values: list[Tensor], *inputs: Tensor
    ) -> tuple[Tensor, tuple[Any, dict[str, Any]]]:
        (loss, aux), updates = pure(weight_values, *inputs)
        return loss, (aux, {k: v for k, v in updates.items() if k not in changed})

    wanted = tuple(range(1 + len(inputs)))
    gradients, (aux, updates) = jax.grad(total, wanted, has_aux=True)(
        [weight.value for weight in weights], *inputs
    )
    apply_updates(updates)
    return aux, gradients


def apply_gradients(
    optimizer: keras.optimizers.Optimizer, gradients: list[Tensor], weights: list[keras.Variable]
) -> None:
    """One step of the optimizer."""
    if not optimizer.built:
        optimizer.build(weights)
    # Not `apply`: an optimizer that scales losses decides under `jax.lax.cond` what it writes.
    values, state = optimizer.stateless_apply(
        [variable.value for variable in optimizer.variables],
        gradients,
        [weight.value for weight in weights],
    )
    for variable, value in zip([*weights, *optimizer.variables], [*values, *state], strict=True):
        variable.assign(value)
