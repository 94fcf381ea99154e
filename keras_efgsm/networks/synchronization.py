"""Batch normalization over the images of all replicas."""

import keras


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
    norms = [
        layer
        for layer in model._flatten_layers(include_self=False, recursive=True)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in norms:
        layer.synchronized = synchronized
    return len(norms)
