"""A Keras model whose steps are functions of the data, on every backend of Keras."""

from typing import Any

import keras

from keras_efgsm import backend
from keras_efgsm.typing import Tensor

# Used by `compile` and by a `fit` without one.
DEFAULT_OPTIMIZER = "adam"


class SteppedModel(keras.Model):  # type: ignore[misc]  # Keras has no types
    """Keras's side of a trainer: how `fit` and `evaluate` call its steps, and what compiles them.

    Keras hands a step a batch on TensorFlow, the state of all variables and a batch on JAX. A
    subclass implements `training_step`, `evaluation_step` and, if a step changes tables that are no
    variables of the model, `tables`.

    Example:

    ```python
    class Doubler(SteppedModel):
        def training_step(self, data):
            return {"doubled": 2.0 * data[0]}
    ```
    """

    train_function: Any
    _compiled_for = 0

    def training_step(self, data: Any) -> dict[str, Tensor]:
        """Takes a step of training on a batch, as `fit` got it, and returns its logs."""
        raise NotImplementedError(f"{type(self).__name__} does not train.")

    def evaluation_step(self, data: Any) -> dict[str, Tensor]:
        """Evaluates a batch and returns the logs so far."""
        raise NotImplementedError(f"{type(self).__name__} does not evaluate.")

    def tables(self) -> tuple[list[Any], int]:
        """The `SampleTable`s that a step changes, and a number that changes when others take over.

        Defaults to none and 0.
        """
        return [], 0

    def compile(self, optimizer: Any = DEFAULT_OPTIMIZER, *args: Any, **kwargs: Any) -> None:
        """Configures training as `keras.Model.compile`, without a loss: that is the objective.

        Args:
            optimizer: a Keras optimizer or its name. Defaults to `"adam"`.
            *args: as `keras.Model.compile` takes them.
            **kwargs: as `keras.Model.compile` takes them.
        """
        super().compile(optimizer, *args, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a model that was loaded; Keras leaves one with its own `compile` uncompiled."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def train_step(self, *arguments: Any) -> Any:
        return backend.take_train_step(self, self.training_step, *arguments)

    def test_step(self, *arguments: Any) -> Any:
        return backend.take_test_step(self, self.evaluation_step, *arguments)

    def make_train_function(self, force: bool = False) -> Any:
        # A step compiled for other tables must not be used again.
        tables, version = self.tables()
        force = force or self._compiled_for != version
        if self.train_function is not None and not force:
            return self.train_function
        self._compiled_for = version
        own = backend.own_train_function(self, self.training_step, tables)
        if own is None:
            return super().make_train_function(force)
        self.train_function = own
        return own

    def _get_metrics_result_or_logs(self, logs: dict[str, Any]) -> dict[str, Any]:
        own = backend.epoch_logs(self, logs)
        return super()._get_metrics_result_or_logs(logs) if own is None else own

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # Of TensorFlow's trainer alone, where replicas may have batches of several sizes.
        super()._maybe_symbolic_build(*backend.batch_to_build_on(self, iterator, data_batch))
