"""What a trainer does at the beginnings of a `fit` and of its epochs."""

import inspect
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from keras_efgsm.typing import Logs

_FIT = inspect.signature(keras.Model.fit)


class FitWatch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Tells the trainer its epoch, and people that the momentum of a restored training is gone.

    It comes after all other callbacks, one of which may restore the training.

    Args:
        trainer: the `AdversarialTrainer`, of which Keras's own `model` would move the state on JAX.
        is_known: whether its momentum is no surprise: it has trained before in this process, or was
            told to begin with a new one.
    """

    def __init__(self, trainer: Any, *, is_known: bool):
        super().__init__()
        self._trainer, self._is_known = trainer, is_known

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._trainer.position.epoch = epoch
        if self._is_known:
            return
        self._is_known = True
        momentum = self._trainer.momentum
        updates = int(keras.ops.convert_to_numpy(self._trainer.optimizer.iterations))
        if momentum is not None and momentum.fresh and updates:
            warnings.warn(
                f"The optimizer goes on after {updates} updates, but the attack's momentum is new: "
                "a `.keras` file, `BackupAndRestore` and `load_weights` do not hold it, so that "
                "this is no exact resume. `keras-efgsm train --resume` and "
                "`keras_efgsm.runs.training.train(..., resume=True)` resume a training with it; "
                "for a `fit` of your own, `save_checkpoint` and "
                "`Checkpoint(path).restore(trainer, {})` of `keras_efgsm.runs.checkpoint`, after "
                "`trainer.make_momentum(num_samples)`.",
                stacklevel=2,
            )


def fit_options(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The options of a `fit` by name, of which callers may give some by place.

    Args:
        args: those after `x` and `y`.
        kwargs: those by name.
    """
    options = dict(_FIT.bind(None, None, None, *args, **kwargs).arguments)
    return {name: options[name] for name in options if name not in ("self", "x", "y")}


def say_which_images(options: Mapping[str, Any]) -> None:
    """Says of which images the two accuracies are, where both are shown: they are not comparable.

    Args:
        options: those of `fit`.
    """
    validates = options.get("validation_data") is not None or options.get("validation_split")
    if validates and options.get("verbose", "auto") != 0:
        print(
            "accuracy: of attacked training images; val_accuracy: of clean validation images",
            flush=True,
        )


@contextmanager
def watched_fit(trainer: Any, options: dict[str, Any]) -> Iterator[None]:
    """A `fit` that knows its epoch, and whose errors on the host come out as they were raised.

    Args:
        trainer: the `AdversarialTrainer`.
        options: those of `fit`, whose callbacks it adds its own to.
    """
    given = options.get("callbacks")
    watch = FitWatch(trainer, is_known=trainer.__dict__.get("_knows_its_momentum", False))
    trainer.__dict__["_knows_its_momentum"] = True
    callbacks = _listed(given)
    give_directions(callbacks, trainer.progress.directions())
    # Keras's own container takes the watch in, and gives it back.
    container = given if isinstance(given, keras.callbacks.CallbackList) else None
    if container is None:
        options["callbacks"] = [*callbacks, watch]
    else:
        container.callbacks.append(watch)
    try:
        yield
    except Exception:
        # In place of what the framework makes of an error in a call to the host.
        trainer.samples.check()
        raise
    finally:
        if container is not None:
            container.callbacks.remove(watch)
        trainer.position.epoch = None


def give_directions(callbacks: Iterable[Any], directions: Mapping[str, str]) -> None:
    """Tells callbacks that watch a metric, such as `EarlyStopping`, whether more of it is better.

    Keras finds that out of its own metrics alone, and only where they were compiled.

    Args:
        callbacks: any callbacks.
        directions: `"min"` or `"max"` by the name of a metric.
    """
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if getattr(callback, "mode", None) != "auto" or not isinstance(monitor, str):
            continue
        direction = directions.get(monitor.removeprefix("val_"))
        if direction is not None and hasattr(callback, "monitor_op"):
            callback.mode = direction


def _listed(callbacks: Any) -> list[Any]:
    """The callbacks that `fit` was given: none, one, several, or Keras's own container of them."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    return list(keras.tree.flatten(callbacks)) if callbacks is not None else []
