"""Batches are looked at on the host on JAX, before the step that they are handed to."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import jax
import keras
import numpy as np

from keras_efgsm.backend.batch_check import BatchCheck


def with_checked_batches(
    model: keras.Model, function: Callable[..., Any], check: BatchCheck
) -> Callable[..., Any]:
    """What Keras calls for the next steps, which takes no step where a batch is refused.

    A compiled step donates the memory of the weights that it is given, and runs while the host goes
    on: a batch is looked at before. On the host that is done while the step before is running.
    Where Keras takes several steps at once, the weights are those before all of them.

    Args:
        model: the model that it is of.
        function: takes the state and an iterator.
        check: looks at the batches.
    """

    def run(state: Sequence[Any], iterator: Any) -> Any:
        batches = list(islice(iterator, model.steps_per_execution))
        for data in batches:
            check.advance(1)
            if check.refuses(jax.tree.map(np.asarray, data)):
                _put_back(model, state)
                check.raise_refused()
        return function(state, iter(batches))

    return run


def checked_step(
    model: keras.Model, step: Callable[[Any], Any], check: BatchCheck
) -> Callable[[Any], Any]:
    """The step as it is: see `with_checked_batches`."""
    return step


def _put_back(model: keras.Model, state: Sequence[Any]) -> None:
    """Gives the variables their values back, which Keras took for a step that is not taken."""
    names = ["trainable_variables", "non_trainable_variables"]
    if len(state) == 4:
        names.append("optimizer_variables")
    if len(state) >= 3:
        names.append("metrics_variables")
    model._jax_state = dict(zip(names, state, strict=True))
    model._jax_state_synced = False
    model.jax_state_sync()
    model._jax_state = None
