"""The precision a network computes in: half in training, float32 for whoever serves it."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from keras_efgsm.checks import check_choice

# Those that train: plain float16 or bfloat16 would round small updates of the weights away.
DTYPE_POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


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
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    # Layers that a custom layer makes for itself follow the global policy, not a config.
    with dtype_policy_scope("float32"):
        twin = keras.models.clone_model(classifier, clone_function=again, recursive=True)
    left = _other_layers(twin)
    if left:
        raise ValueError(
            "`classifier` must be made of layers that can be made again in float32: their "
            f"`get_config` and `from_config` must carry `dtype`. Received: layers={left!r}"
        )
    twin.set_weights(classifier.get_weights())
    return twin


def _other_layers(model: keras.Model) -> list[str]:
    # A model has a policy of its own that computes nothing.
    return [
        layer.name
        for layer in model._flatten_layers(include_self=False)
        if not isinstance(layer, keras.Model) and layer.compute_dtype != "float32"
    ]
