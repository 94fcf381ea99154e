"""A Keras model whose steps are functions of the data, on every backend of Keras."""

import contextlib
from abc import ABC, abstractmethod
from typing import Any

import keras

from keras_efgsm import backend
from keras_efgsm.trainer.batch_checks import BatchPosition, StepCheck
from keras_efgsm.typing import Tensor

# Used by `compile` and by a `fit` without one.
DEFAULT_OPTIMIZER = "adam"


class SteppedModel(keras.Model, ABC):  # type: ignore[misc]  # Keras has no types
    """Keras's side of a trainer: how `fit` and `evaluate` call its steps, and what compiles them.

    Keras hands a step a batch on TensorFlow, the state of all variables and a batch on JAX. A
    subclass implements `training_step`, `evaluation_step` and, if a step changes tables that are no
    variables of the model, `tables`.

    Example:

    ```python
    class Doubler(SteppedModel):
        def training_step(self, data):
            return {"doubled": 2.0 * data[0]}

        def evaluation_step(self, data):
            return self.training_step(data)
    ```
    """

    train_function: Any
    test_function: Any
    predict_function: Any
    _compiled_for = 0
    # Of the steps that Keras is about to make a function of.
    _batch_check: StepCheck | None = None

    @abstractmethod
    def training_step(self, data: Any) -> dict[str, Tensor]:
        """Takes a step of training on a batch, as `fit` got it, and returns its logs."""

    @abstractmethod
    def evaluation_step(self, data: Any) -> dict[str, Tensor]:
        """Evaluates a batch and returns the logs so far."""

    def batch_check(self, kind: str) -> StepCheck | None:
        """What looks at every batch of one kind of step before it is taken. Defaults to nothing.

        Args:
            kind: `"training"`, `"evaluation"` or `"prediction"`.
        """
        return None

    @property
    def position(self) -> BatchPosition:
        """Which batch is taken."""
        found: BatchPosition | None = self.__dict__.get("_position")
        if found is None:
            found = self.__dict__["_position"] = BatchPosition()
        return found

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
        self._batch_check = self.batch_check("training")
        self.train_function = None
        self._build_optimizer()
        own = backend.own_train_function(self, self.training_step, tables)
        if own is None:
            super().make_train_function(force)
            own = self.train_function
        self.train_function = self._checked(own)
        return self.train_function

    def _build_optimizer(self) -> None:
        # TensorFlow would trace the step twice: once more after a trace that made variables.
        if self.optimizer is None or self.optimizer.built:
            return
        strategy = getattr(self, "distribute_strategy", None)
        with strategy.scope() if strategy is not None else contextlib.nullcontext():
            self.optimizer.build(self.trainable_variables)

    def make_test_function(self, force: bool = False) -> Any:
        if self.test_function is None or force:
            self._batch_check = self.batch_check("evaluation")
            super().make_test_function(force)
            self.test_function = self._checked(self.test_function)
        return self.test_function

    def make_predict_function(self, force: bool = False) -> Any:
        if self.predict_function is None or force:
            self._batch_check = self.batch_check("prediction")
            super().make_predict_function(force)
            self.predict_function = self._checked(self.predict_function)
        return self.predict_function

    def _checked(self, function: Any) -> Any:
        """The function that Keras calls for its next steps, with the check of their batches."""
        if self._batch_check is None:
            return function
        return backend.with_checked_batches(self, function, self._batch_check)

    def _autoconvert_optionals(self, step: Any) -> Any:
        # Of TensorFlow's trainer alone: what takes a batch from its iterator, outside of XLA.
        taken = super()._autoconvert_optionals(step)
        if self._batch_check is None:
            return taken
        return backend.checked_step(self, taken, self._batch_check)

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `fit` and `evaluate` show, each once: its own, then those compiled."""
        compiled = self._compile_metrics
        added = [] if compiled is None else [metric.name for metric in compiled.metrics]
        return list(dict.fromkeys([*(metric.name for metric in self._metrics), *added]))

    def _flatten_metrics_in_order(self, logs: dict[str, Any]) -> Any:
        # Keras keeps a mean named `loss` of its own, and would return that value twice.
        values = [
            logs[name] for name in dict.fromkeys([*self.metrics_names, *logs]) if name in logs
        ]
        return values[0] if len(values) == 1 else values

    def reset_metrics(self) -> None:
        # Where an epoch, an evaluation or a step by itself begins.
        self.position.restart()
        super().reset_metrics()

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        self.position.restart()
        return super().predict(*args, **kwargs)

    def _get_metrics_result_or_logs(self, logs: dict[str, Any]) -> dict[str, Any]:
        own = backend.epoch_logs(self, logs)
        return super()._get_metrics_result_or_logs(logs) if own is None else own

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # Of TensorFlow's trainer alone, where replicas may have batches of several sizes.
        super()._maybe_symbolic_build(*backend.batch_to_build_on(self, iterator, data_batch))
