"""Reads and writes of Keras variables within pure functions of JAX.

Keras variables are written within a `keras.StatelessScope`, which a transformation of JAX must not
reach over: what is computed under `jax.grad` gets a scope of its own, and hands out as ordinary
results what it would have written.
"""

from collections.abc import Callable
from typing import Any

import keras

from keras_efgsm.typing import Tensor

# The scope of the running step; Keras has no public way to ask for it.
_scopes: list[keras.StatelessScope] = []


def in_scope(function: Callable[..., Any], scope: keras.StatelessScope) -> Callable[..., Any]:
    """The function, run with its reads and writes of variables in this scope."""

    def run(*args: Any) -> Any:
        _scopes.append(scope)
        try:
            with scope:
                return function(*args)
        finally:
            _scopes.pop()

    return run


def with_updates(function: Callable[..., Any]) -> Callable[..., Any]:
    """A pure function of the same arguments that returns `(result, updates)`.

    `updates` are the values that variables were given, by their identity; see `apply_updates`.
    """
    known = _scopes[-1].state_mapping if _scopes else {}

    def pure(*args: Any) -> tuple[Any, dict[Any, Any]]:
        # With losses, which layers add as they are called: activity regularisers.
        scope = keras.StatelessScope(collect_losses=True)
        scope.state_mapping.update(known)
        result = in_scope(function, scope)(*args)
        updates = {
            key: value for key, value in scope.state_mapping.items() if value is not known.get(key)
        }
        # Without a running step, variables are read only, and nothing is to be carried out.
        return result, updates if _scopes else {}

    return pure


def apply_updates(updates: dict[int, Tensor]) -> None:
    """Gives the variables of the running step the values of `with_updates`."""
    if _scopes:
        _scopes[-1].state_mapping.update(updates)
