"""The default networks by image size, classes and number of images."""

import math

from keras_efgsm.checks import check_count
from keras_efgsm.networks.image_shape import check_image_shape

# Of fewer images a network of 2.8 million weights learns by heart; of more classes than that its
# 128 features would be few.
_FEW_IMAGES, _FEW_CLASSES = 5_000, 100
# Longest side of an image, as the side of a square of as many pixels, for each block of pixels.
_SIDES = {2: 48, 4: 96, 8: 224}


def default_network(image_shape: tuple[int, int, int], num_images: int, num_classes: int) -> str:
    """The name of a classifier for a data set without a tuned one.

    Adversarial training passes each image through the network two to four times as often as
    ordinary training, so the choice goes by cost: at most about 0.6 billion multiply-adds an image
    up to 512 x 512 pixels, which a CPU trains; the networks of the literature, which keep full
    resolution (`wrn22-5`: 0.96 billion for 32 x 32 pixels, 47 billion for 224 x 224), are chosen by
    name. By the number of pixels, as the side of a square of as many:

    * under 16: `conv2`, the network of the 8 x 8 digits;
    * grey images up to 40: `tone-curve`, that of the preset `mnist`, of 0.2 million weights; a
      residual network costs a hundred times as much, and letters and digits do not need it. With
      100 classes or more its dense layer is narrow, and they go on as colour images do;
    * colour images and larger grey ones: a residual network that leaves full resolution with its
      first convolution, whose stride grows with the images, so that the blocks work on about 12 x
      12 to 32 x 32 places: `strided` up to 48, `strided4` up to 96, `strided8` up to 224,
      `strided16` beyond. It is that of the preset `cifar10-cpu`, has 2.8 million weights
      whatever the size, and averages over the image, so that no dense layer grows with it;
    * of these, images up to 48 in a set of fewer than 5,000 images and 100 classes get
      `strided-narrow`, of 0.7 million weights at a quarter of the cost: adversarial training
      learns small sets by heart. Larger images keep the width, as their first convolution already
      has many more numbers to summarise.

    Args:
        image_shape: `(H, W, C)`.
        num_images: number of training images.
        num_classes: number of classes K.

    Returns:
        A name in `CLASSIFIERS`.

    Raises:
        ValueError: if there is no such shape, no image or fewer than two classes.

    Example:

    ```python
    default_network((224, 224, 3), num_images=3_000, num_classes=5)  # "strided8"
    ```
    """
    height, width, channels = check_image_shape(image_shape, "default_network")
    num_images = check_count(num_images, "num_images")
    num_classes = check_count(num_classes, "num_classes", minimum=2)
    side = math.sqrt(height * width)
    if side < 16:
        return "conv2"
    if channels == 1 and side <= 40 and num_classes < _FEW_CLASSES:
        return "tone-curve"
    stride = _block(side)
    if stride > 2:
        return f"strided{stride}"
    return (
        "strided-narrow" if num_images < _FEW_IMAGES and num_classes < _FEW_CLASSES else "strided"
    )


def default_reconstructor(image_shape: tuple[int, int, int], num_classes: int) -> str:
    """A re-constructor that fits `default_network`.

    What one image of each class looks like is all that K probabilities can tell, so it is small:
    `transposed` for images under 16 pixels a side, as for the digits; then `subpixel`, `subpixel4`,
    `subpixel8` and `subpixel16`, whose last layer makes larger blocks of pixels of larger images,
    so that their dense layer does not grow: about a million multiply-adds up to 224 x 224 pixels.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: number of classes K.

    Returns:
        A name in `RECONSTRUCTORS`.

    Raises:
        ValueError: if there is no such shape or fewer than two classes.

    Example:

    ```python
    default_reconstructor((32, 32, 3), num_classes=10)  # "subpixel"
    ```
    """
    height, width, _ = check_image_shape(image_shape, "default_reconstructor")
    check_count(num_classes, "num_classes", minimum=2)
    side = math.sqrt(height * width)
    if side < 16:
        return "transposed"
    block = _block(side)
    return "subpixel" if block == 2 else f"subpixel{block}"


def _block(side: float) -> int:
    return next((block for block, longest in _SIDES.items() if side <= longest), 16)
