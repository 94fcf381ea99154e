"""What is set of all batch normalizations of a network at once, before its step is traced."""

import keras

from keras_efgsm.checks import check_number


def synchronize_batch_norm(model: keras.Model, synchronized: bool = True) -> int:
    """Sets whether the batch normalizations of a model take their statistics over all replicas.

    For any model, one's own too, and any time before its training step is traced. On one replica
    it changes rounding only. Keras knows it on TensorFlow only: a model that was saved with it
    loads under no other backend, so undo it before saving one that shall.

    Args:
        model: a built Keras model, models within it included.
        synchronized: whether they do. Defaults to `True`.

    Returns:
        The number of layers that it was set for.

    Raises:
        ValueError: if it is asked for on another backend than TensorFlow.

    Example:

    ```python
    synchronize_batch_norm(cifar10_wrn10_1())  # 7
    ```
    """
    if synchronized and keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Batch normalization is synchronized on the TensorFlow backend only. "
            f"Received: synchronized={synchronized}, backend={keras.backend.backend()!r}"
        )
    return _set_of_each(model, "synchronized", synchronized)


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
    return _set_of_each(model, "momentum", momentum)


def _set_of_each(model: keras.Model, option: str, value: float | bool) -> int:
    """Sets an option of every batch normalization; returns the number of layers."""
    norms = [
        layer
        for layer in model._flatten_layers(include_self=False, recursive=True)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in norms:
        setattr(layer, option, value)
    return len(norms)
