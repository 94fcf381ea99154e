"""The mirror image of a wide residual network."""

import keras
from keras import layers

from keras_efgsm.networks.blocks import (
    activate,
    batch_norm,
    cropped,
    pre_activation_block,
    probabilities_input,
)
from keras_efgsm.networks.image_shape import check_image_shape
from keras_efgsm.networks.pre_activation import blocks_a_group


def wide_resnet_reconstructor(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    depth: int = 22,
    width: int = 3,
    *,
    activation: str = "relu",
    name: str = "wide_resnet_reconstructor",
) -> keras.Model:
    """The upsampling version of WRN-d-k: its layers in reverse order, from probabilities to images.

    Where the classifier ends in the mean of 64 k channels and a dense layer, this one begins with
    a dense layer to 64 k features, and a second one gives each place of the smallest grid its own
    64 k; then follow three groups of `(depth - 4) / 6` pre-activation blocks with 64 k, 32 k and
    16 k channels, the second and third group at twice the size of the one before, normalization,
    activation and a 3x3 convolution to pixels.

    The first block of those two groups enlarges the image, in both of its branches, by transposed
    2x2 convolutions of stride 2, the mirror image of the classifier's strided ones. Their kernels
    do not overlap, so they leave no checkerboard and are written as 1x1 convolutions to blocks of
    pixels, see `subpixel.py`. For as many weights they cost a quarter of the multiply-adds of a
    convolution behind nearest neighbors, and do not need the dilated convolution that an
    overlapping transposed one becomes under XLA.

    Args:
        image_shape: `(H, W, C)`; where 4 does not divide a side, the images are made larger and
            cut.
        num_classes: length K of the probability vector. Defaults to 10.
        depth: d = 6 n + 4 for n blocks a group. Defaults to 22.
        width: k. Defaults to 3.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Raises:
        ValueError: if there is no such depth, width or image shape.

    Returns:
        A model from probabilities `(B, K)` to images `(B, H, W, C)` in [0, 1], float32 whatever
        the dtype policy.

    Example:

    ```python
    reconstructor = wide_resnet_reconstructor((32, 32, 3), depth=10, width=1)
    reconstructor.output_shape  # (None, 32, 32, 3)
    ```
    """
    blocks = blocks_a_group(depth, width)
    rows, columns, image_channels = check_image_shape(image_shape, name)
    channels = [64 * width, 32 * width, 16 * width]
    grid = (-(-rows // 4), -(-columns // 4), channels[0])
    inputs = probabilities_input(num_classes)
    x = layers.Dense(channels[0], activation=activation, kernel_initializer="he_normal")(inputs)
    x = layers.Dense(grid[0] * grid[1] * grid[2], kernel_initializer="he_normal")(x)
    x = layers.Reshape(grid)(x)
    for group, group_channels in enumerate(channels):
        for block in range(blocks):
            enlarges = bool(group and not block)
            x = pre_activation_block(
                x,
                group_channels,
                2 if enlarges else 1,
                activation=activation,
                upsample=enlarges,
            )
    x = activate(batch_norm(x), activation)
    x = layers.Conv2D(image_channels, 3, padding="same")(x)
    x = cropped(x, image_shape)
    images = layers.Activation("sigmoid", dtype="float32", name="images")(x)
    return keras.Model(inputs, images, name=name)
