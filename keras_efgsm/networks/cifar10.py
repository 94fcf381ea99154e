"""Small networks for 32 x 32 colour images."""

import keras
from keras import layers

from keras_efgsm.networks.subpixel import depth_to_space


def cifar10_conv4(num_classes: int = 10, name: str = "cifar10_conv4") -> keras.Model:
    """Four convolutions: "Conv-4" of the paper's Table 5, and a classifier that a CPU can train.

    3x3 convolutions 32, 32/2, 64, 64/2, dense 256, logits: 1.12 million parameters.

    Args:
        num_classes: number of logits K. Defaults to 10.
        name: name of the model.

    Returns:
        A model from images `(B, 32, 32, 3)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = cifar10_conv4()(images)
    ```
    """
    options = {"activation": "relu", "kernel_initializer": "he_normal"}
    inputs = keras.Input((32, 32, 3), name="image")
    x = inputs
    for channels in (32, 64):
        x = layers.Conv2D(channels, 3, padding="same", **options)(x)
        x = layers.Conv2D(channels, 3, strides=2, padding="same", **options)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(256, **options)(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name=name)


def cifar10_small_reconstructor(
    num_classes: int = 10, name: str = "cifar10_small_reconstructor"
) -> keras.Model:
    """Re-constructor for `cifar10_conv4`, built as `mnist_reconstructor`.

    Args:
        num_classes: length K of the probability vector. Defaults to 10.
        name: name of the model.

    Returns:
        A model from probabilities `(B, K)` to images `(B, 32, 32, 3)` in [0, 1].

    Example:

    ```python
    images = cifar10_small_reconstructor()(probabilities)
    ```
    """
    inputs = keras.Input((num_classes,), name="probabilities")
    x = layers.Dense(256, activation="relu")(inputs)
    x = layers.Dense(8 * 8 * 20, activation="relu")(x)
    x = layers.Reshape((8, 8, 20))(x)
    x = layers.Conv2DTranspose(32, 3, padding="same", activation="relu")(x)
    x = depth_to_space(layers.Conv2D(4 * 16, 1, activation="relu")(x))
    x = depth_to_space(layers.Conv2D(4 * 3, 1, activation="sigmoid")(x))
    return keras.Model(inputs, x, name=name)
