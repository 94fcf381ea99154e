"""The precision a network computes in: half in training, float32 for whoever serves it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_efgsm.backend import accelerators, use_fast_layers
from keras_efgsm.checks import check_choice
from keras_efgsm.networks.dtype_policies import DTYPE_POLICIES

# Processors that multiply in bfloat16, by their flags under Linux.
_BFLOAT16_FLAGS = ("amx_bf16", "avx512_bf16")
_CPU_FLAGS = Path("/proc/cpuinfo")
# Of a policy that gains less, what it loses in precision is not worth it.
_LEAST_GAIN = 1.1
_MEASURED_BATCH = 64
_SECONDS_EACH = 2.0


@contextmanager
def dtype_policy_scope(name: str) -> Iterator[None]:
    """Gives every layer made inside it a dtype policy; the global policy is put back after it.

    Args:
        name: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.

    Raises:
        ValueError: if it is none of these.

    Example:

    ```python
    with dtype_policy_scope("mixed_bfloat16"):
        classifier = digits_classifier()
    ```
    """
    check_choice(name, "dtype_policy", DTYPE_POLICIES)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class FixedPrecision(ValueError):
    """A network computes in the precision that it was saved in, not in the one asked for."""


class PrecisionChoice(NamedTuple):
    """The policy that a network trains fastest under on this machine.

    Attributes:
        policy: `"float32"` or `"mixed_bfloat16"`.
        reason: one sentence for people: what was measured, or why nothing was.
    """

    policy: str
    reason: str


def choose_dtype_policy(
    make_network: Callable[[], keras.Model], batch_size: int = 128
) -> PrecisionChoice:
    """Times training steps of a network in float32 and in mixed bfloat16, in a few seconds.

    Where neither the processor multiplies in bfloat16 (`amx_bf16` or `avx512_bf16` among its flags)
    nor an accelerator is there, it is float32 without a measurement; so it is for a network that
    was saved in float32.

    Args:
        make_network: makes the classifier under the policy that is global when it is called.
        batch_size: images a step; at most 64 of them are measured. Defaults to 128.

    Example:

    ```python
    choice = choose_dtype_policy(lambda: cifar10_wrn10_1())
    print(choice.reason)
    ```
    """
    flags = _bfloat16_flags()
    if not flags and not accelerators():
        return PrecisionChoice(
            "float32", "this processor does not multiply in bfloat16 (neither AMX nor AVX-512)"
        )
    seconds = {}
    for policy in ("float32", "mixed_bfloat16"):
        try:
            with dtype_policy_scope(policy):
                network = make_network()
        except FixedPrecision:
            return PrecisionChoice("float32", "the classifier keeps the precision it was made in")
        # As a trainer has it.
        use_fast_layers(network)
        seconds[policy] = _seconds_of_step(network, min(batch_size, _MEASURED_BATCH))
    gain = seconds["float32"] / seconds["mixed_bfloat16"]
    policy = "mixed_bfloat16" if gain >= _LEAST_GAIN else "float32"
    where = flags[0] if flags else accelerators()[0]
    return PrecisionChoice(
        policy, f"a training step in bfloat16 runs at {gain:.2f} times the speed here ({where})"
    )


def _bfloat16_flags() -> list[str]:
    """Which of the ways to multiply in bfloat16 the processor names, the fastest first."""
    try:
        words = set(_CPU_FLAGS.read_text(errors="replace").split())
    except OSError:
        return []
    return [flag for flag in _BFLOAT16_FLAGS if flag in words]


def _seconds_of_step(network: keras.Model, batch_size: int) -> float:
    """The fastest of a few updates on random images, tracing left out."""
    network.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    generator = np.random.default_rng(0)
    images = generator.random((batch_size, *network.input_shape[1:]), dtype="float32")
    labels = generator.integers(0, network.output_shape[-1], batch_size)
    network.train_on_batch(images, labels)
    taken: list[float] = []
    while len(taken) < 3 or (sum(taken) < _SECONDS_EACH and len(taken) < 20):
        begin = time.perf_counter()
        # Returns the loss as a number, so that it waits for the device.
        network.train_on_batch(images, labels)
        taken.append(time.perf_counter() - begin)
    return min(taken)


def float32_twin(classifier: keras.Model) -> keras.Model:
    """Returns a model with the weights of `classifier` that computes in float32 throughout.

    A classifier trained in mixed precision answers alike up to the rounding it was trained with
    (about 1e-3 of a logit). LiteRT has no half-precision operations, and a CPU that serves is
    slower with them.

    Args:
        classifier: functional or sequential model; it is not changed, and
            returned as it is when it computes in float32 already.

    Raises:
        ValueError: if a layer cannot be made again in float32.

    Example:

    ```python
    classifier = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(2, dtype="mixed_bfloat16")]
    )
    float32_twin(classifier).compute_dtype  # "float32"
    ```
    """
    if not _other_layers(classifier):
        return classifier

    def again(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not isinstance(layer, keras.layers.Layer):
            # An operation of `keras.ops` computes in what it is given.
            return type(layer).from_config(layer.get_config())
        if type(layer) is keras.layers.Lambda:
            # From its configuration it would be code that Keras refuses to run.
            return _lambda_in_float32(layer)
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    # Layers that a custom layer makes for itself follow the global policy, not a config.
    try:
        with dtype_policy_scope("float32"):
            twin = keras.models.clone_model(classifier, clone_function=again, recursive=True)
    # A constructor may not know `dtype`, and a layer may have no configuration.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            "`classifier` must be made of layers that can be made again in float32 "
            f"({type(error).__name__}: {reason}). Received: classifier={classifier.name!r}"
        ) from error
    left = _other_layers(twin)
    if left:
        raise ValueError(
            "`classifier` must be made of layers that can be made again in float32: their "
            f"`get_config` and `from_config` must carry `dtype`. Received: layers={left!r}"
        )
    twin.set_weights(classifier.get_weights())
    return twin


def _lambda_in_float32(layer: keras.layers.Lambda) -> keras.layers.Lambda:
    return keras.layers.Lambda(
        layer.function,
        output_shape=layer._output_shape,
        mask=layer.mask,
        arguments=layer.arguments,
        name=layer.name,
        dtype="float32",
    )


def _other_layers(model: keras.Model) -> list[str]:
    # A model has a policy of its own that computes nothing.
    return [
        layer.name
        for layer in model._flatten_layers(include_self=False)
        if not isinstance(layer, keras.Model) and layer.compute_dtype != "float32"
    ]
