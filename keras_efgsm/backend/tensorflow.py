"""TensorFlow: gradients by `tf.GradientTape`, per-sample storage in a `tf.Variable`."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_efgsm import equations
from keras_efgsm.backend.fast_layers import use_fast_layers as use_fast_layers
from keras_efgsm.distribution.replicas import (
    batch_positions as batch_positions,
)
from keras_efgsm.distribution.replicas import (
    outside_strategies,
    share_of_batch,
    wait_for_local_replicas,
)
from keras_efgsm.distribution.replicas import (
    replica_count as replica_count,
)
from keras_efgsm.distribution.replicas import (
    without_empty_batch as without_empty_batch,
)
from keras_efgsm.distribution.workers import own_shard

Tensor = Any


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


def compiled(function: Callable, reads: Sequence[keras.Variable] = ()) -> Callable:
    """The function as a graph, traced once for each signature of its tensors.

    Args:
        function: takes and returns tensors.
        reads: the variables it reads, which a graph finds by itself. Defaults to none.
    """
    return tf.function(function, reduce_retracing=True)


def compiled_once(function: Callable, reads: Sequence[keras.Variable] = ()) -> Callable:
    """The function as a graph, traced once for each shape of its first argument.

    Calling the graph itself also keeps TensorFlow's warning about retracing quiet: a model that is
    evaluated every epoch looks to it like one function that is traced again and again.

    Args:
        function: takes and returns tensors.
        reads: the variables it reads, which a graph finds by itself. Defaults to none.
    """
    return traced_by_shape(tf.function(function, autograph=False))


def traced_by_shape(function: Any) -> Callable:
    """A `tf.function` as one that is traced once for each shape of its first argument.

    Args:
        function: the `tf.function`; all its arguments are tensors.
    """
    graphs = {}

    def run(*arguments: Tensor) -> Any:
        shape = tuple(arguments[0].shape)
        if shape not in graphs:
            graphs[shape] = function.get_concrete_function(*arguments)
        return graphs[shape](*arguments)

    return run


def is_symbolic(value: Any) -> bool:
    """Whether it is a tensor of a graph that is being made, without a value.

    Args:
        value: anything.
    """
    return tf.is_symbolic_tensor(value)


def call_on_host(function: Callable, x: Tensor, width: int) -> Tensor:
    """A function of NumPy arrays within a graph; no gradient goes through it.

    Args:
        function: maps `(B, ...)` to float32 `(B, width)`.
        x: `(B, ...)`.
        width: size of the result's second axis.
    """
    result = tf.numpy_function(function, [x], tf.float32)
    result.set_shape((x.shape[0], width))
    return result


def accelerators() -> list[str]:
    """Names of the GPUs."""
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return [detail.get("device_name", "GPU") for detail in details]


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
        # best weights, tuner trial or export ever copies it; and one for all replicas of this
        # process, as none writes a row of another.
        def make() -> tf.Variable:
            with tf.init_scope():
                return tf.Variable(
                    tf.zeros(shape, dtype), trainable=False, name="per_sample_momentum"
                )

        self._variable = outside_strategies(make)

    def gather(self, ids: Tensor) -> Tensor:
        """Rows `(B, ...)` of these ids."""
        with tf.device(self._variable.device):
            rows = tf.gather(self._variable, ids)
        wait_for_local_replicas()
        return rows

    def write(self, ids: Tensor, rows: Tensor) -> None:
        """Replaces the rows of these ids; ids are distinct within a batch."""
        with tf.device(self._variable.device):
            self._variable.scatter_update(tf.IndexedSlices(rows, ids))

    def numpy(self) -> np.ndarray:
        return self._variable.numpy()

    def assign(self, values: np.ndarray) -> None:
        self._variable.assign(values)


class HostTable:
    """A `SampleTable` whose rows an object on the host keeps, on disk say.

    Args:
        rows: has `shape`, `dtype`, `read(ids)`, `write(ids, rows)`, `chunks()` and
            `assign_chunks(chunks)`, see `DiskRows`.
    """

    def __init__(self, rows: Any):
        self._rows = rows

        def make() -> tf.Variable:
            with tf.init_scope(), tf.device("CPU:0"):
                return tf.Variable(0, dtype=tf.int64, trainable=False, name="calls_of_the_host")

        # Calls to the host are kept in no order of their own; changes of one variable are, from
        # step to step of a compiled loop too.
        self._calls = outside_strategies(make)

    def gather(self, ids: Tensor) -> Tensor:
        """Rows `(B, ...)` of these ids."""
        with tf.device(self._calls.device):
            ids = tf.convert_to_tensor(ids)
            with tf.control_dependencies([self._calls.assign_add(1)]):
                rows = tf.numpy_function(self._rows.read, [ids], tf.as_dtype(self._rows.dtype))
            rows = tf.ensure_shape(rows, [*ids.shape, *self._rows.shape[1:]])
            with tf.control_dependencies([rows]):
                self._calls.assign_add(1)
        wait_for_local_replicas()
        return rows

    def write(self, ids: Tensor, rows: Tensor) -> None:
        """Replaces the rows of these ids; ids are distinct within a batch."""
        with tf.device(self._calls.device):
            with tf.control_dependencies([self._calls.assign_add(1)]):
                done = tf.numpy_function(self._put, [ids, rows], tf.int64)
            with tf.control_dependencies([done]):
                self._calls.assign_add(1)

    def _put(self, ids: np.ndarray, rows: np.ndarray) -> np.int64:
        self._rows.write(ids, rows)
        return np.int64(len(ids))

    def numpy(self) -> np.ndarray:
        return np.concatenate(list(self._rows.chunks()))

    def assign(self, values: np.ndarray) -> None:
        self._rows.assign_chunks([values])


class TrainStep:
    """Mixin for a `keras.Model`: one training step of attack and objective under GradientTape."""

    def train_step(self, data: Any) -> dict:
        return self._logs(self.training_step(data))

    def test_step(self, data: Any) -> dict:
        return self._logs(self.evaluation_step(data))

    def _logs(self, logs: dict) -> dict:
        # With several workers Keras takes their mean along an axis, which scalars have not.
        if own_shard(self.distribute_strategy).count > 1:
            return {name: tf.reshape(value, [1]) for name, value in logs.items()}
        return logs

    def _get_metrics_result_or_logs(self, logs: dict) -> dict:
        # The logs of a step are the mean of what each replica counted; Keras takes those where
        # not all metrics are in them, as in an evaluation.
        if self.distribute_strategy.num_replicas_in_sync > 1:
            counted = self.get_metrics_result()
            return {name: counted.get(name, value) for name, value in logs.items()}
        return super()._get_metrics_result_or_logs(logs)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # Keras takes the mean of what the replicas have of a batch, which fails where they have
        # not equally many images; it looks at the shapes alone.
        strategy = self.distribute_strategy
        if iterator is not None and strategy.num_replicas_in_sync > 1:
            _, _, batches = next(iter(iterator))
            iterator, data_batch = (
                None,
                tf.nest.map_structure(
                    lambda values: strategy.experimental_local_results(values)[0], next(batches)
                ),
            )
        super()._maybe_symbolic_build(iterator, data_batch)

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
            loss = self._own_scaled_loss(batch, result)
        inner = hidden if at_first_layer else [images] if of_images else []
        gradients = tape.gradient(loss, [*inner, *weights])
        slope = gradients[0] if inner else None
        if slope is not None:
            # A loss scale may overflow; NaN would stay in a perturbation for ever.
            slope = tf.where(tf.math.is_finite(slope), slope, tf.zeros_like(slope))
        return result, gradients[len(inner) :], slope

    def gradients_through_attack(self, batch: Any) -> tuple[Any, Any, list[Tensor]]:
        """The attack and the objective of a batch, whose gradients go through both passes.

        For an objective of the logits at the attack's start: these come from the attack's own
        forward pass. No gradient goes through the adversarial images themselves.

        Args:
            batch: the training batch.

        Returns:
            `(perturbed, result, weight_gradients)`.
        """
        with tf.GradientTape() as tape:
            perturbed = self.perturb(batch)
            perturbed = perturbed._replace(images=tf.stop_gradient(perturbed.images))
            result = self.training_losses(batch, perturbed)
            loss = self._own_scaled_loss(batch, result)
        return perturbed, result, tape.gradient(loss, self.trainable_weights)

    def _own_scaled_loss(self, batch: Any, result: Any) -> Tensor:
        """The loss as this replica differentiates it, scaled as the optimizer asks for."""
        share = share_of_batch(batch.count)
        # The optimizer adds up the gradients of the replicas.
        return self.optimizer.scale_loss(result.loss if share is None else result.loss * share)

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
