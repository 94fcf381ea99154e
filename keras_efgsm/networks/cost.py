"""The cost of a network, counted in multiply-adds."""

import keras
import numpy as np
from keras import layers


def multiply_adds(model: keras.Model) -> int:
    """Counts the multiply-adds of a forward pass of one image, in convolutions and dense layers.

    Args:
        model: a built functional or sequential model, models within it included.

    Example:

    ```python
    multiply_adds(mnist_classifier())  # 628320
    ```
    """
    total = 0
    for layer in model._flatten_layers(include_self=False):
        places = 1
        if isinstance(layer, layers.Conv2DTranspose):
            places = np.prod(layer.input.shape[1:3])
        elif isinstance(layer, layers.Conv2D):
            places = np.prod(layer.output.shape[1:3])
        elif not isinstance(layer, layers.Dense):
            continue
        total += int(places) * int(np.prod(layer.kernel.shape))
    return total
