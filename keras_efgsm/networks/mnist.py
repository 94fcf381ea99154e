"""Networks for 28 x 28 grey images: those of the paper and a cheaper classifier."""

import keras
from keras import layers

from keras_efgsm.networks.blocks import logits_model
from keras_efgsm.networks.residual import resnet
from keras_efgsm.networks.subpixel import space_to_depth, subpixel_reconstructor


def mnist_classifier(
    num_classes: int = 10, activation: str = "relu", name: str = "mnist_classifier"
) -> keras.Model:
    """Stride-2 classifier with as many parameters as the paper's at a fifth of its cost.

    4x4/2 convolutions of 16 and 32 channels, dense 112, logits: 185,354 parameters and 0.63
    million multiply-adds per image, against 3.0 million of `mnist_paper_classifier`. The first
    convolution is written as a 2x2 one on 2x2 blocks of pixels, see `subpixel.py`.

    Args:
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, 28, 28, 1)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = mnist_classifier()(images)
    ```
    """
    options = {"activation": activation, "kernel_initializer": "he_normal"}
    inputs = keras.Input((28, 28, 1), name="image")
    x = space_to_depth(layers.ZeroPadding2D(1)(inputs))
    x = layers.Conv2D(16, 2, **options)(x)
    x = layers.Conv2D(32, 4, strides=2, padding="same", **options)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(112, **options)(x)
    return logits_model(inputs, x, num_classes, name)


def mnist_paper_classifier(
    num_classes: int = 10, activation: str = "relu", name: str = "mnist_paper_classifier"
) -> keras.Model:
    """The paper's MNIST classifier as we read it: a plain CNN of 0.2 million parameters.

    3x3 convolutions 16, 16, pool, 16, 16, pool, dense 256, logits: 210,650 parameters.

    Args:
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, 28, 28, 1)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = mnist_paper_classifier()(images)
    ```
    """
    options = {"activation": activation, "kernel_initializer": "he_normal"}
    inputs = keras.Input((28, 28, 1), name="image")
    x = inputs
    for _ in range(2):
        x = layers.Conv2D(16, 3, padding="same", **options)(x)
        x = layers.Conv2D(16, 3, padding="same", **options)(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(256, **options)(x)
    return logits_model(inputs, x, num_classes, name)


def mnist_madry_classifier(
    num_classes: int = 10, activation: str = "relu", name: str = "mnist_madry_classifier"
) -> keras.Model:
    """The MNIST classifier of Madry et al., 2018: 3,274,634 parameters.

    5x5 convolutions 32, pool, 64, pool, dense 1024, logits.

    Args:
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, 28, 28, 1)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = mnist_madry_classifier()(images)
    ```
    """
    inputs = keras.Input((28, 28, 1), name="image")
    x = inputs
    for channels in (32, 64):
        x = layers.Conv2D(channels, 5, padding="same", activation=activation)(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Dense(1024, activation=activation)(layers.Flatten()(x))
    return logits_model(inputs, x, num_classes, name)


def mnist_trades_classifier(
    num_classes: int = 10, activation: str = "relu", name: str = "mnist_trades_classifier"
) -> keras.Model:
    """The MNIST classifier of TRADES (Zhang et al., 2019): 312,202 parameters.

    3x3 convolutions without padding 32, 32, pool, 64, 64, pool, dense 200, 200, logits. Dropout,
    which the published one has before its second dense layer, is left out.

    Args:
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, 28, 28, 1)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = mnist_trades_classifier()(images)
    ```
    """
    inputs = keras.Input((28, 28, 1), name="image")
    x = inputs
    for channels in (32, 64):
        x = layers.Conv2D(channels, 3, activation=activation)(x)
        x = layers.Conv2D(channels, 3, activation=activation)(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(200, activation=activation)(x)
    return logits_model(inputs, x, num_classes, name)


def mnist_resnet(
    num_classes: int = 10, activation: str = "relu", name: str = "mnist_resnet"
) -> keras.Model:
    """ResNet-8 for 28x28 grey images: as small as a residual network of this kind gets.

    Args:
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, 28, 28, 1)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = mnist_resnet()(images)
    ```
    """
    return resnet((28, 28, 1), num_classes, depth=8, activation=activation, name=name)


def mnist_reconstructor(num_classes: int = 10, name: str = "mnist_reconstructor") -> keras.Model:
    """The paper's re-constructor: two dense and three transposed convolutional layers, 0.26 M.

    Dense 256, dense 7x7x20, transposed convolutions 3x3 to 16 channels, 2x2/2 to 8 and 2x2/2 to
    1: 258,152 parameters. The first keeps the 7x7 grid; the other two, whose kernels do not
    overlap, are written as 1x1 convolutions that make four pixels each, see `subpixel.py`,
    which is cheaper.

    Args:
        num_classes: length K of the probability vector. Defaults to 10.
        name: name of the model.

    Returns:
        A model from probabilities `(B, K)` to images `(B, 28, 28, 1)` in [0, 1].

    Example:

    ```python
    images = mnist_reconstructor()(probabilities)
    ```
    """
    return subpixel_reconstructor((28, 28, 1), num_classes, (20, 16, 8), name)


def mnist_dense_reconstructor(
    num_classes: int = 10, name: str = "mnist_dense_reconstructor"
) -> keras.Model:
    """A re-constructor of two dense layers, 64 and 28x28: 51,664 parameters.

    It costs an eighth of the multiply-adds of `mnist_reconstructor`. What one image of each class
    looks like, and the way between them, is all that ten probabilities can tell; two dense layers
    hold that.

    Args:
        num_classes: length K of the probability vector. Defaults to 10.
        name: name of the model.

    Returns:
        A model from probabilities `(B, K)` to images `(B, 28, 28, 1)` in [0, 1].

    Example:

    ```python
    images = mnist_dense_reconstructor()(probabilities)
    ```
    """
    inputs = keras.Input((num_classes,), name="probabilities")
    x = layers.Dense(64, activation="relu")(inputs)
    x = layers.Dense(28 * 28, activation="sigmoid")(x)
    return keras.Model(inputs, layers.Reshape((28, 28, 1))(x), name=name)
