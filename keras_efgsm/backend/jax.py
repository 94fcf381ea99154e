"""JAX: gradients by `jax.grad`, a stateless training step, per-sample storage passed beside it.

Keras variables are written within a `keras.StatelessScope`, which a transformation of JAX must not
reach over: what is computed under `jax.grad` gets a scope of its own, and hands out as ordinary
results what it would have written.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.experimental import io_callback

from keras_efgsm import equations

Tensor = Any

# The scope of the running step; Keras has no public way to ask for it.
_scopes: list[keras.StatelessScope] = []


def _in_scope(function: Callable, scope: keras.StatelessScope) -> Callable:
    """The function, run with its reads and writes of variables in this scope."""

    def run(*args):
        _scopes.append(scope)
        try:
            with scope:
                return function(*args)
        finally:
            _scopes.pop()

    return run


def _with_updates(function: Callable) -> Callable:
    """A pure function of the same arguments that returns `(result, updates)`.

    `updates` are the values that variables were given, by their identity; see `_apply_updates`.
    """
    known = _scopes[-1].state_mapping if _scopes else {}

    def pure(*args):
        # With losses, which layers add as they are called: activity regularisers.
        scope = keras.StatelessScope(collect_losses=True)
        scope.state_mapping.update(known)
        result = _in_scope(function, scope)(*args)
        updates = {
            key: value for key, value in scope.state_mapping.items() if value is not known.get(key)
        }
        # Without a running step, variables are read only, and nothing is to be carried out.
        return result, updates if _scopes else {}

    return pure


def _apply_updates(updates: dict[int, Tensor]) -> None:
    if _scopes:
        _scopes[-1].state_mapping.update(updates)


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
    pure = _with_updates(function)

    def total(images):
        (values, aux), updates = pure(images)
        return jnp.sum(values * scale), (values, aux, updates)

    gradient, (values, aux, updates) = jax.grad(total, has_aux=True)(jnp.asarray(x))
    _apply_updates(updates)
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
    logits, backward, updates = jax.vjp(_with_updates(logits_fn), jnp.asarray(x), has_aux=True)
    _apply_updates(updates)
    count = min(count or logits.shape[-1] - 1, logits.shape[-1] - 1)
    slopes = equations.margin_slopes(
        logits, labels, equations.nearest_rivals(logits, labels, count)
    )
    values = [jnp.sum(slope * logits, axis=-1) for slope in slopes]
    gradients = [backward(slope * scale)[0] for slope in slopes]
    if scale != 1.0:
        gradients = [gradient / scale for gradient in gradients]
    return logits, values, gradients


def compiled(function: Callable, reads: Sequence[keras.Variable] = ()) -> Callable:
    """The function as a compiled one, traced once for each signature of its tensors.

    Args:
        function: takes and returns tensors.
        reads: the variables it reads, such as `classifier.variables`; of those not named here it
            would keep the values of its first call. Defaults to none.
    """
    reads = list(reads)

    def pure(values, *args):
        scope = keras.StatelessScope(state_mapping=list(zip(reads, values, strict=True)))
        return _in_scope(function, scope)(*args)

    jitted = jax.jit(pure)
    return lambda *args: jitted([variable.value for variable in reads], *args)


def compiled_once(function: Callable, reads: Sequence[keras.Variable] = ()) -> Callable:
    """As `compiled`, which traces once for each shape anyway."""
    return compiled(function, reads)


def is_symbolic(value: Any) -> bool:
    """Whether it is an array of a function that is being traced, without a value.

    Args:
        value: anything.
    """
    return isinstance(value, jax.core.Tracer)


def call_on_host(function: Callable, x: Tensor, width: int) -> Tensor:
    """A function of NumPy arrays within a compiled one; no gradient goes through it.

    Args:
        function: maps `(B, ...)` to float32 `(B, width)`.
        x: `(B, ...)`.
        width: size of the result's second axis.
    """
    result = jax.ShapeDtypeStruct((x.shape[0], width), "float32")
    return jax.pure_callback(
        lambda values: function(np.asarray(values)), result, jax.lax.stop_gradient(x)
    )


def accelerators() -> list[str]:
    """Names of the GPUs, or of other devices that are no processor of the host."""
    return [device.device_kind for device in jax.local_devices() if device.platform != "cpu"]


def enable_determinism() -> None:
    """Makes all operations of this process give the same bits each time, from now on.

    A processor's do so anyway; those of a GPU follow a flag that is read when JAX first uses it.
    """
    flag = "--xla_gpu_deterministic_ops=true"
    flags = os.environ.get("XLA_FLAGS", "")
    if flag not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {flag}".strip()


def use_fast_layers(network: keras.Model) -> None:
    """Leaves the network as it is: XLA fuses its operations by itself."""


def replica_count() -> int:
    """How many replicas take a step together: one."""
    return 1


def without_empty_batch(element: Any) -> tuple[Any, None]:
    """The batch as it is: the one replica has all of it."""
    return element, None


def batch_positions(count: Tensor) -> Tensor:
    """Positions of a batch of so many images, int32 `(count,)`."""
    return keras.ops.arange(count, dtype="int32")


class SampleTable:
    """Rows of a fixed shape, one for each training sample, gathered and written by sample id.

    Args:
        shape: `(num_samples, ...)`.
        dtype: how the rows are stored.
    """

    def __init__(self, shape: tuple[int, ...], dtype: str):
        # In a plain object, which Keras does not look into: no snapshot, checkpoint of best
        # weights, tuner trial or export ever copies it.
        self.variable = keras.Variable(
            "zeros", shape=shape, dtype=dtype, trainable=False, name="per_sample_momentum"
        )

    def gather(self, ids: Tensor) -> Tensor:
        """Rows `(B, ...)` of these ids."""
        return self.variable.value.at[jnp.asarray(ids)].get(mode="clip")

    def write(self, ids: Tensor, rows: Tensor) -> None:
        """Replaces the rows of these ids; ids are distinct within a batch."""
        self.variable.assign(
            self.variable.value.at[jnp.asarray(ids)].set(rows, unique_indices=True)
        )

    def numpy(self) -> np.ndarray:
        return np.array(self.variable.value)

    def assign(self, values: np.ndarray) -> None:
        self.variable.assign(values)


class HostTable:
    """A `SampleTable` whose rows an object on the host keeps, on disk say.

    Args:
        rows: has `shape`, `dtype`, `read(ids)`, `write(ids, rows)`, `chunks()` and
            `assign_chunks(chunks)`, see `DiskRows`.
    """

    def __init__(self, rows: Any):
        self._rows = rows

    def gather(self, ids: Tensor) -> Tensor:
        """Rows `(B, ...)` of these ids."""
        ids = jnp.asarray(ids)
        shape = (*ids.shape, *self._rows.shape[1:])
        result = jax.ShapeDtypeStruct(shape, self._rows.dtype)
        return io_callback(self._rows.read, result, ids, ordered=True)

    def write(self, ids: Tensor, rows: Tensor) -> None:
        """Replaces the rows of these ids; ids are distinct within a batch."""
        io_callback(self._rows.write, None, ids, rows, ordered=True)

    def numpy(self) -> np.ndarray:
        return np.concatenate(list(self._rows.chunks()))

    def assign(self, values: np.ndarray) -> None:
        self._rows.assign_chunks([values])


class TrainStep:
    """Mixin for a `keras.Model`: one training step of attack and objective under `jax.grad`.

    The step is a pure function of the state that Keras hands it, and of the sample tables, which
    travel beside that state, as they are no weights. All of it is donated, so that a table is
    changed in place.
    """

    def make_train_function(self, force: bool = False) -> None:
        if self.train_function is not None and not force:
            return
        tables = [table.variable for table in self.sample_tables()]
        step = self._stateless_step
        if not self.run_eagerly and self.jit_compile:
            step = jax.jit(step, donate_argnums=(0, 1))

        def train_step(state, data):
            logs, state, values = step(state, [table.value for table in tables], data)
            for table, value in zip(tables, values, strict=True):
                table.assign(value)
            return logs, state

        self.train_function = self._make_function(train_step)

    def train_step(self, state: tuple, data: Any) -> tuple[dict, tuple]:
        logs, state, _ = self._stateless_step(state, [], data)
        return logs, state

    def _stateless_step(self, state: tuple, tables: list, data: Any) -> tuple[dict, tuple, list]:
        lists = [
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
            [table.variable for table in self.sample_tables()] if tables else [],
        ]
        logs, (*state, tables) = self._run_stateless(
            self.training_step, lists, [*state, tables], data
        )
        return logs, tuple(state), tables

    def test_step(self, state: tuple, data: Any) -> tuple[dict, tuple]:
        lists = [self.trainable_variables, self.non_trainable_variables, self.metrics_variables]
        logs, state = self._run_stateless(self.evaluation_step, lists, state, data)
        return logs, tuple(state)

    def _run_stateless(
        self, function: Callable, lists: list[list], values: Sequence[list], data: Any
    ) -> tuple[dict, list[list]]:
        mapping = [
            pair
            for variables, given in zip(lists, values, strict=True)
            for pair in zip(variables, given, strict=True)
        ]
        scope = keras.StatelessScope(state_mapping=mapping)
        logs = _in_scope(function, scope)(data)
        return logs, [[scope.get_current_value(v) for v in variables] for variables in lists]

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

        def loss_of(weight_values, images, shift):
            for weight, value in zip(weights, weight_values, strict=True):
                weight.assign(value)
            classifier = self.classify_in_training
            if at_first_layer:

                def classifier(x):
                    output = self.split.first(x, training=True)
                    # An objective may classify the clean images as well.
                    if x is images:
                        output = output + shift
                    return keras.ops.cast(self.split.rest(output, training=True), "float32")

            result = self.training_losses(batch, perturbed._replace(images=images), classifier)
            return self.optimizer.scale_loss(result.loss), result

        pure = _with_updates(loss_of)
        changed = {id(weight) for weight in weights}

        def total(weight_values, images, shift):
            (loss, result), updates = pure(weight_values, images, shift)
            return loss, (result, {k: v for k, v in updates.items() if k not in changed})

        images = perturbed.images
        # A shift of zero has the gradient of what it is added to.
        shift = None
        if at_first_layer:
            hidden = jax.eval_shape(lambda x: self.split.first(x, training=False), images)
            shift = jnp.zeros(hidden.shape, hidden.dtype)
        wanted = (0, 2) if at_first_layer else (0, 1) if of_images else (0,)
        gradients, (result, updates) = jax.grad(total, wanted, has_aux=True)(
            [weight.value for weight in weights], images, shift
        )
        _apply_updates(updates)
        slope = gradients[1] if len(gradients) > 1 else None
        if slope is not None:
            # A loss scale may overflow; NaN would stay in a perturbation for ever.
            slope = jnp.where(jnp.isfinite(slope), slope, jnp.zeros_like(slope))
        return result, gradients[0], slope

    def gradients_through_attack(self, batch: Any) -> tuple[Any, Any, list[Tensor]]:
        """The attack and the objective of a batch, whose gradients go through both passes.

        For an objective of the logits at the attack's start: these come from the attack's own
        forward pass. No gradient goes through the adversarial images themselves.

        Args:
            batch: the training batch.

        Returns:
            `(perturbed, result, weight_gradients)`.
        """
        weights = self.trainable_weights

        def loss_of(weight_values):
            for weight, value in zip(weights, weight_values, strict=True):
                weight.assign(value)
            perturbed = self.perturb(batch)
            perturbed = perturbed._replace(images=jax.lax.stop_gradient(perturbed.images))
            result = self.training_losses(batch, perturbed)
            return self.optimizer.scale_loss(result.loss), (perturbed, result)

        pure = _with_updates(loss_of)
        changed = {id(weight) for weight in weights}

        def total(weight_values):
            (loss, made), updates = pure(weight_values)
            return loss, (made, {k: v for k, v in updates.items() if k not in changed})

        gradients, ((perturbed, result), updates) = jax.grad(total, has_aux=True)(
            [weight.value for weight in weights]
        )
        _apply_updates(updates)
        return perturbed, result, gradients

    def apply_gradients(self, gradients: list[Tensor]) -> None:
        """One step of the optimizer."""
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_weights)
        # Not `apply`: an optimizer that scales losses decides under `jax.lax.cond` what it writes.
        weights, state = self.optimizer.stateless_apply(
            [variable.value for variable in self.optimizer.variables],
            gradients,
            [weight.value for weight in self.trainable_weights],
        )
        variables = [*self.trainable_weights, *self.optimizer.variables]
        for variable, value in zip(variables, [*weights, *state], strict=True):
            variable.assign(value)


class WeightAverager:
    """Running average of a list of Keras variables, exchanged with them in one compiled call each.

    Args:
        variables: the Keras variables; those that are not floating-point are left alone.
    """

    def __init__(self, variables: list):
        self._variables = [v for v in variables if jnp.issubdtype(v.value.dtype, jnp.floating)]
        # Copies throughout: a training step takes the memory of the arrays that it is given.
        self._average = [jnp.copy(v.value) for v in self._variables]
        self._raw = [jnp.copy(v.value) for v in self._variables]

    def update(self, momentum: float) -> None:
        """Moves the average towards the variables."""
        self._average = _moved(self._average, [v.value for v in self._variables], momentum)

    def put_in(self) -> None:
        """Gives the variables their averages and keeps their raw values."""
        self._raw = [jnp.copy(v.value) for v in self._variables]
        self._assign(self._average)

    def take_out(self) -> None:
        """Gives the variables their raw values back."""
        self._assign(self._raw)

    def _assign(self, values: list) -> None:
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(jnp.copy(value))

    def values(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Averages, and the raw values kept when these were last put in."""
        return [np.array(v) for v in self._average], [np.array(v) for v in self._raw]

    def set_values(self, averages: list[np.ndarray], raw: list[np.ndarray]) -> None:
        """Takes back what `values()` gave; no raw values where the averages are not in place."""
        self._average = [jnp.asarray(value) for value in averages]
        if raw:
            self._raw = [jnp.asarray(value) for value in raw]


@jax.jit
def _moved(averages: list, values: list, momentum: float) -> list:
    return [
        average + (value - average) * (1.0 - momentum).astype(average.dtype)
        for average, value in zip(averages, values, strict=True)
    ]
