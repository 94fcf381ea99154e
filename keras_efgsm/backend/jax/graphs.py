"""Functions compiled by JAX, and what the process and its devices are asked for."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras
import numpy as np

from keras_efgsm.backend.jax.scopes import in_scope
from keras_efgsm.typing import Tensor


def compiled(
    function: Callable[..., Any], reads: Sequence[keras.Variable] = ()
) -> Callable[..., Any]:
    """The function as a compiled one, traced once for each signature of its tensors.

    Args:
        function: takes and returns tensors.
        reads: the variables it reads, such as `classifier.variables`; of those not named here it
            would keep the values of its first call. Defaults to none.
    """
    reads = list(reads)

    def pure(values: list[Tensor], *args: Any) -> Any:
        scope = keras.StatelessScope(state_mapping=list(zip(reads, values, strict=True)))
        return in_scope(function, scope)(*args)

    jitted = jax.jit(pure)
    return lambda *args: jitted([variable.value for variable in reads], *args)


def compiled_once(
    function: Callable[..., Any], reads: Sequence[keras.Variable] = ()
) -> Callable[..., Any]:
    """As `compiled`, which traces once for each shape anyway."""
    return compiled(function, reads)


def traced_once(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The function itself: a graph within another one would draw the same numbers at each call.

    Args:
        function: takes and returns one tensor.
    """
    return function


def is_symbolic(value: Any) -> bool:
    """Whether it is an array of a function that is being traced, without a value.

    Args:
        value: anything.
    """
    return isinstance(value, jax.core.Tracer)


def call_on_host(function: Callable[..., Any], x: Tensor, width: int) -> Tensor:
    """A function of NumPy arrays within a compiled one; no gradient goes through it.

    Args:
        function: maps `(B, ...)` to float32 `(B, width)`.
        x: `(B, ...)`.
        width: size of the result's second axis.
    """
    result = jax.ShapeDtypeStruct((x.shape[0], width), "float32")  # type: ignore[no-untyped-call]  # JAX gives it none
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
