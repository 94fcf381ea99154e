"""Keeping the first layers of a network as they are."""

from collections.abc import Iterator

import keras

from keras_efgsm.networks.specs import nearest


def freeze_until(model: keras.Model, layer: str) -> int:
    """Keeps all layers up to and including one from being trained.

    Batch normalization among them stays in inference mode: it uses its running statistics and
    does not move them. The order is that of `model.layers`, models within it opened up, where a
    layer stands behind all that it depends on. What is frozen is saved with the model.

    Args:
        model: a built functional or sequential model; it is changed.
        layer: name of the last layer to freeze; that of a model within it freezes all of that.

    Returns:
        The number of layers that were frozen.

    Raises:
        ValueError: if there is no layer of that name, the nearest are named, or none with weights
            would be left to train.

    Example:

    ```python
    model = build_classifier("strided", (32, 32, 3), 10)
    freeze_until(model, model.layers[4].name)
    ```
    """
    paths = list(_leaves(model))
    last = max((i for i, (names, _) in enumerate(paths) if layer in names), default=None)
    if last is None:
        known = dict.fromkeys(name for names, _ in paths for name in names)
        raise ValueError(
            f"`freeze_until` must be the name of a layer of {model.name!r} "
            f"({nearest(layer, known)}). Received: freeze_until={layer!r}"
        )
    if not any(leaf.trainable_weights for _, leaf in paths[last + 1 :]):
        raise ValueError(
            f"`freeze_until` must leave layers to train, but none with weights lies behind "
            f"{layer!r}. Received: freeze_until={layer!r}"
        )
    for _, leaf in paths[: last + 1]:
        leaf.trainable = False
    return last + 1


def _leaves(
    model: keras.Model, outer: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], keras.layers.Layer]]:
    """The layers of a model and of the models within it, each with its name and theirs."""
    for layer in model.layers:
        names = (*outer, layer.name)
        if isinstance(layer, keras.Model):
            yield from _leaves(layer, names)
        else:
            yield names, layer
