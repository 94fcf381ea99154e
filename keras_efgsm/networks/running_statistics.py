"""How fast the running statistics of batch normalization follow the batches."""

import keras

from keras_efgsm.checks import check_number


def set_batch_norm_momentum(model: keras.Model, momentum: float) -> int:
    """Sets the weight of the past in the running statistics of every batch normalization.

    With a momentum of 0.9 the statistics that a network begins with still weigh a half after six
    updates, so that a training of a few updates ends with a network that evaluation mode spoils.
    To be called before the training step is traced.

    Args:
        model: a built Keras model, models within it included.
        momentum: in [0, 1).

    Returns:
        The number of layers that it was set for.

    Raises:
        ValueError: if `momentum` is out of range.

    Example:

    ```python
    from keras_efgsm.networks import CLASSIFIERS

    set_batch_norm_momentum(CLASSIFIERS["cifar10-wrn10-1"]((32, 32, 3), 10), 0.5)  # 7
    ```
    """
    momentum = check_number(momentum, "momentum", minimum=0.0, maximum=0.9999)
    norms = [
        layer
        for layer in model._flatten_layers(include_self=False, recursive=True)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in norms:
        layer.momentum = momentum
    return len(norms)
