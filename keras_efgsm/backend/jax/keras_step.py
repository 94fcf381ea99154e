"""How Keras takes a training step on JAX: `train_step(state, data)`, a pure function.

It is one of the state that Keras hands it, and of the sample tables, which travel beside that
state, as they are no weights. All of it is donated, so that a table is changed in place. The
functions take the model, whose variables they ask for, and the step as a function from data to
logs.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras

from keras_efgsm.backend.jax.scopes import in_scope
from keras_efgsm.typing import Tensor

Step = Callable[[Any], dict[str, Tensor]]
State = Sequence[Sequence[Tensor]]


def take_train_step(
    model: keras.Model, step: Step, state: State, data: Any
) -> tuple[dict[str, Tensor], tuple[Any, ...]]:
    """Answers for `keras.Model.train_step`, where there are no sample tables.

    Args:
        model: the model that is trained.
        step: maps a batch of data to logs and writes variables.
        state: values of the variables, as Keras orders them.
        data: the batch.

    Returns:
        The logs and the new state.
    """
    logs, state = _run(step, _state_variables(model), state, data)
    return logs, tuple(state)


def take_test_step(
    model: keras.Model, step: Step, state: State, data: Any
) -> tuple[dict[str, Tensor], tuple[Any, ...]]:
    """Answers for `keras.Model.test_step`; arguments as those of `take_train_step`."""
    variables = [model.trainable_variables, model.non_trainable_variables, model.metrics_variables]
    logs, state = _run(step, variables, state, data)
    return logs, tuple(state)


def own_train_function(model: keras.Model, step: Step, tables: list[Any]) -> Callable[..., Any]:
    """What `keras.Model.make_train_function` makes, with the tables beside Keras's state.

    Args:
        model: the compiled model.
        step: as that of `take_train_step`.
        tables: the sample tables that the step reads and writes.
    """
    held = [table.variable for table in tables]

    def pure(
        state: State, values: list[Tensor], data: Any
    ) -> tuple[dict[str, Any], tuple[Any, ...], list[Any]]:
        logs, (*state, values) = _run(
            step, [*_state_variables(model), held], [*state, values], data
        )
        return logs, tuple(state), values

    if not model.run_eagerly and model.jit_compile:
        pure = jax.jit(pure, donate_argnums=(0, 1))

    def train_step(state: State, data: Any) -> tuple[dict[str, Any], tuple[Any, ...]]:
        logs, state, values = pure(state, [variable.value for variable in held], data)
        for variable, value in zip(held, values, strict=True):
            variable.assign(value)
        return logs, state

    made: Callable[..., Any] = model._make_function(train_step)
    return made


def epoch_logs(model: keras.Model, logs: dict[str, Any]) -> None:
    """None: an epoch's logs are what Keras makes of those of its last step."""


def batch_to_build_on(model: keras.Model, iterator: Any, data_batch: Any) -> tuple[Any, Any]:
    """The iterator or batch that Keras learns the shapes of the data from: its own."""
    return iterator, data_batch


def _state_variables(model: keras.Model) -> list[list[keras.Variable]]:
    return [
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    ]


def _run(
    function: Step, lists: list[list[keras.Variable]], values: State, data: Any
) -> tuple[dict[str, Tensor], list[list[Tensor]]]:
    """The function on variables that have these values; its result and the values that they got."""
    mapping = [
        pair
        for variables, given in zip(lists, values, strict=True)
        for pair in zip(variables, given, strict=True)
    ]
    scope = keras.StatelessScope(state_mapping=mapping)
    logs = in_scope(function, scope)(data)
    return logs, [[scope.get_current_value(v) for v in variables] for variables in lists]
