"""Residual networks: sources of transferred attacks."""

import keras
from keras import layers

Tensor = keras.KerasTensor


def resnet(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    depth: int = 56,
    name: str = "resnet",
) -> keras.Model:
    """The residual network of He et al., 2016, for small images: ResNet-56 of the paper's Table 5.

    Three groups of `(depth - 2) / 6` blocks with 16, 32 and 64 channels, the second and third
    group at half the size of the one before.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: number of logits K. Defaults to 10.
        depth: 6 n + 2 layers for n blocks a group. Defaults to 56.
        name: name of the model.

    Raises:
        ValueError: if there is no such depth.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = resnet((32, 32, 3), depth=20)(images)
    ```
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"`depth` must be 6 n + 2 with n >= 1. Received: depth={depth}")
    inputs = keras.Input(image_shape, name="image")
    x = _normalised(layers.Conv2D(16, 3, padding="same", use_bias=False)(inputs))
    for group, channels in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            x = _block(x, channels, 2 if group and not block else 1)
    x = layers.GlobalAveragePooling2D()(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name=name)


def _normalised(x: Tensor) -> Tensor:
    return layers.ReLU()(layers.BatchNormalization()(x))


def _block(x: Tensor, channels: int, strides: int) -> Tensor:
    shortcut = x
    if strides > 1 or x.shape[-1] != channels:
        shortcut = layers.Conv2D(channels, 1, strides=strides, use_bias=False)(x)
        shortcut = layers.BatchNormalization()(shortcut)
    options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
    x = _normalised(layers.Conv2D(channels, 3, strides=strides, **options)(x))
    x = layers.BatchNormalization()(layers.Conv2D(channels, 3, **options)(x))
    return layers.ReLU()(layers.Add()([x, shortcut]))


def mnist_resnet(num_classes: int = 10, name: str = "mnist_resnet") -> keras.Model:
    """ResNet-8 for 28x28 grey images: as small as a residual network of this kind gets.

    Args:
        num_classes: number of logits K. Defaults to 10.
        name: name of the model.

    Returns:
        A model from images `(B, 28, 28, 1)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = mnist_resnet()(images)
    ```
    """
    return resnet((28, 28, 1), num_classes, depth=8, name=name)


def cifar10_resnet(num_classes: int = 10, name: str = "cifar10_resnet") -> keras.Model:
    """ResNet-56 for 32x32 colour images, a source of transferred attacks in the paper's Table 5.

    Args:
        num_classes: number of logits K. Defaults to 10.
        name: name of the model.

    Returns:
        A model from images `(B, 32, 32, 3)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = cifar10_resnet()(images)
    ```
    """
    return resnet((32, 32, 3), num_classes, depth=56, name=name)
