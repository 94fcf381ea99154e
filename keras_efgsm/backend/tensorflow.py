"""TensorFlow: gradients by `tf.GradientTape`, per-sample storage in a `tf.Variable`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_efgsm import equations

Tensor = Any


def input_gradient(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], x: Tensor, scale: float = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient with respect to the images of a scalar per sample.

    Args:
        function: maps images `(B, H, W, C)` to `(values, aux)`, values of shape `(B,)`; sample b's
            value must depend on image b alone.
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
        if count == 1:
            # Without a gather: its gradient would be a scatter.
            values = [equations.margin(logits, labels)]
        else:
            count = min(count or logits.shape[-1] - 1, logits.shape[-1] - 1)
            rivals = equations.nearest_rivals(tf.stop_gradient(logits), labels, count)
            values = tf.unstack(equations.margins(logits, labels, rivals), num=count, axis=1)
        targets = [value * scale for value in values]
    gradients = [
        tape.gradient(target, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        for target in targets
    ]
    if scale != 1.0:
        gradients = [gradient / scale for gradient in gradients]
    return logits, values, gradients


def compiled(function: Callable) -> Callable:
    """The function as a graph, traced once for each signature of its tensors."""
    return tf.function(function, reduce_retracing=True)


def enable_determinism() -> None:
    """Makes all operations of this process give the same bits each time, from now on."""
    tf.config.experimental.enable_op_determinism()


class SampleTable:
    """Rows of a fixed shape, one for each training sample, gathered and written by sample id.

    Args:
        shape: `(num_samples, ...)`.
        dtype: how the rows are stored.
    """

    def __init__(self, shape: tuple[int, ...], dtype: str):
        # A raw variable in a plain object: Keras tracks neither, so no snapshot, checkpoint of
        # best weights, tuner trial or export ever copies it.
        with tf.init_scope():
            self._variable = tf.Variable(
                tf.zeros(shape, dtype), trainable=False, name="per_sample_momentum"
            )

    def gather(self, ids: Tensor) -> Tensor:
        """Rows `(B, ...)` of these ids."""
        return tf.gather(self._variable, ids)

    def write(self, ids: Tensor, rows: Tensor) -> None:
        """Replaces the rows of these ids; ids are distinct within a batch."""
        self._variable.scatter_update(tf.IndexedSlices(rows, ids))

    def numpy(self) -> np.ndarray:
        return self._variable.numpy()

    def assign(self, values: np.ndarray) -> None:
        self._variable.assign(values)


class TrainStep:
    """Mixin for a `keras.Model`: one training step of attack and objective under GradientTape."""

    def train_step(self, data: Any) -> dict:
        batch = self.unpack_training_batch(data)
        if self.attack.makes_updates:
            perturbed, result = self.attack_now().replay(self, batch)
        else:
            perturbed = self.perturb(batch)
            result, gradients, _ = self.gradients_on(batch, perturbed, of_images=False)
            self.apply_gradients(gradients)
        return self.update_training_metrics(batch, perturbed, result)

    def gradients_on(
        self,
        batch: Any,
        perturbed: Any,
        *,
        of_images: bool = True,
        at_first_layer: bool = False,
    ) -> tuple[Any, list[Tensor], Tensor | None]:
        """The objective on perturbed images and its gradients, from one backward pass.

        Args:
            batch: the training batch.
            perturbed: what the attack made of it.
            of_images: whether the gradient of the images is wanted.
            at_first_layer: whether it is wanted at the output of the first layer instead.

        Returns:
            `(result, weight_gradients, image_gradient)`. The loss is scaled as the optimizer asks
            for, so that only the sign of `image_gradient` means something in float16.
        """
        weights = self.trainable_weights
        images = perturbed.images
        classifier = self.classify_in_training
        hidden = []
        if at_first_layer:

            def classifier(x):
                output = self.split.first(x, training=True)
                # An objective may classify the clean images as well.
                if x is images:
                    hidden.append(output)
                return tf.cast(self.split.rest(output, training=True), tf.float32)

        with tf.GradientTape() as tape:
            if of_images:
                tape.watch(images)
            result = self.training_losses(batch, perturbed, classifier)
            loss = self.optimizer.scale_loss(result.loss)
        inner = hidden if at_first_layer else [images] if of_images else []
        gradients = tape.gradient(loss, [*inner, *weights])
        slope = gradients[0] if inner else None
        if slope is not None:
            # A loss scale may overflow; NaN would stay in a perturbation for ever.
            slope = tf.where(tf.math.is_finite(slope), slope, tf.zeros_like(slope))
        return result, gradients[len(inner) :], slope

    def apply_gradients(self, gradients: list[Tensor]) -> None:
        """One step of the optimizer."""
        pairs = zip(gradients, self.trainable_weights, strict=True)
        self.optimizer.apply_gradients(pairs)


class WeightAverager:
    """Running average of a list of Keras variables, exchanged with them in one compiled call each.

    Args:
        variables: the Keras variables; those that are not floating-point are left alone.
    """

    def __init__(self, variables: list):
        self._live = [v.value for v in variables if v.value.dtype.is_floating]
        self._average = [tf.Variable(v, trainable=False) for v in self._live]
        self._raw = [tf.Variable(v, trainable=False) for v in self._live]
        self._compiled_update = tf.function(self._update)

    def _update(self, momentum: Tensor) -> None:
        for average, live in zip(self._average, self._live, strict=True):
            average.assign_add((live - average) * tf.cast(1.0 - momentum, live.dtype))

    def update(self, momentum: float) -> None:
        """Moves the average towards the variables."""
        self._compiled_update(tf.constant(momentum, tf.float32))

    def put_in(self) -> None:
        """Gives the variables their averages and keeps their raw values."""
        for raw, average, live in zip(self._raw, self._average, self._live, strict=True):
            raw.assign(live)
            live.assign(average)

    def take_out(self) -> None:
        """Gives the variables their raw values back."""
        for raw, live in zip(self._raw, self._live, strict=True):
            live.assign(raw)

    def values(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Averages, and the raw values kept when these were last put in."""
        return [v.numpy() for v in self._average], [v.numpy() for v in self._raw]

    def set_values(self, averages: list[np.ndarray], raw: list[np.ndarray]) -> None:
        """Takes back what `values()` gave; no raw values where the averages are not in place."""
        for variable, value in zip(self._average, averages, strict=True):
            variable.assign(value)
        for variable, value in zip(self._raw if raw else [], raw, strict=True):
            variable.assign(value)
