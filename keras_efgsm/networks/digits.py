"""Small networks for the 8 x 8 digits that scikit-learn carries."""

import keras
from keras import layers

from keras_efgsm.networks.blocks import logits_model


def digits_classifier(
    num_classes: int = 10, activation: str = "relu", name: str = "digits_classifier"
) -> keras.Model:
    """Small CNN for 8x8 grey images.

    Args:
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, 8, 8, 1)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = digits_classifier()(images)
    ```
    """
    options = {"activation": activation, "kernel_initializer": "he_normal"}
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(32, 3, padding="same", **options)(inputs)
    x = layers.Conv2D(32, 3, strides=2, padding="same", **options)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(128, **options)(x)
    return logits_model(inputs, x, num_classes, name)


def digits_reconstructor(num_classes: int = 10, name: str = "digits_reconstructor") -> keras.Model:
    """Small re-constructor for 8x8 grey images, built as `mnist_reconstructor`.

    Args:
        num_classes: length K of the probability vector. Defaults to 10.
        name: name of the model.

    Returns:
        A model from probabilities `(B, K)` to images `(B, 8, 8, 1)` in [0, 1].

    Example:

    ```python
    images = digits_reconstructor()(probabilities)
    ```
    """
    inputs = keras.Input((num_classes,), name="probabilities")
    x = layers.Dense(64, activation="relu")(inputs)
    x = layers.Dense(4 * 4 * 16, activation="relu")(x)
    x = layers.Reshape((4, 4, 16))(x)
    x = layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid")(x)
    return keras.Model(inputs, x, name=name)
