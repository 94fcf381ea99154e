"""Convolutions of small images in bfloat16, whose kernel gradient oneDNN makes slowly on a CPU."""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_efgsm.typing import Tensor

# Side in pixels of the largest output for which one product a tap of the kernel is faster.
_LARGEST_OUTPUT = 4


def is_small_convolution(layer: keras.layers.Layer) -> bool:
    """Whether a layer is a convolution to such small images that `convolve` is faster here."""
    return (
        type(layer) is keras.layers.Conv2D
        and layer.compute_dtype == "bfloat16"
        and layer.data_format == "channels_last"
        and layer.padding == "same"
        and layer.groups == 1
        and layer.dilation_rate == (1, 1)
        and layer.kernel_size in ((3, 3), (5, 5))
        and layer.strides in ((1, 1), (2, 2))
        and not tf.config.get_visible_devices("GPU")
    )


def convolve(layer: keras.layers.Conv2D, inputs: Tensor, kernel: Tensor) -> Tensor:
    """The convolution of a layer, with the kernel gradient of `kernel_gradient` if it is small.

    Args:
        layer: one that `is_small_convolution`.
        inputs: `(B, H, W, C)`.
        kernel: `(k, k, C, F)`.
    """
    (size, _), (stride, _) = layer.kernel_size, layer.strides
    height, width = inputs.shape[1:3]
    fits = None not in (height, width) and not height % stride and not width % stride
    if not isinstance(inputs, tf.Tensor) or not fits:
        return type(layer).convolution_op(layer, inputs, kernel)
    if max(height, width) // stride > _LARGEST_OUTPUT:
        return type(layer).convolution_op(layer, inputs, kernel)

    @tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def forward(x: Tensor, w: Tensor) -> tuple[Tensor, Any]:
        def gradient(slope: Tensor) -> tuple[Tensor, Tensor]:
            of_images = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x),
                filter=w,
                out_backprop=slope,
                strides=[1, stride, stride, 1],
                padding="SAME",
            )
            return of_images, kernel_gradient(x, slope, size, stride)

        return tf.nn.conv2d(x, w, stride, "SAME"), gradient

    return forward(inputs, tf.convert_to_tensor(kernel))


def kernel_gradient(x: Tensor, slope: Tensor, size: int, stride: int) -> Tensor:
    """Gradient of the kernel of a "same" convolution: one matrix product a tap.

    Only the places that a tap sees of the image take part, none of the padding.

    Args:
        x: images `(B, H, W, C)`, sides that the stride divides.
        slope: gradient of the output, `(B, H / stride, W / stride, F)`.
        size: side of the kernel.
        stride: of the convolution.

    Returns:
        `(size, size, C, F)`.
    """
    _, height, width, channels = x.shape
    _, rows_out, columns_out, filters = slope.shape
    pad_rows, pad_columns = (
        max((out - 1) * stride + size - side, 0) // 2
        for side, out in ((height, rows_out), (width, columns_out))
    )
    # Strided slices as slices of one of the images that every stride-th pixel makes.
    split = tf.reshape(x, [-1, rows_out, stride, columns_out, stride, channels])
    taps = [tf.zeros([channels, filters], x.dtype)] * size**2
    for a, row, first_row, rows in _overlaps(height, rows_out, size, stride, pad_rows):
        for b, column, first, columns in _overlaps(width, columns_out, size, stride, pad_columns):
            phase = split[:, :, row % stride, :, column % stride]
            top, left = row // stride, column // stride
            seen = phase[:, top : top + rows, left : left + columns]
            slopes = slope[:, first_row : first_row + rows, first : first + columns]
            taps[a * size + b] = tf.matmul(
                tf.reshape(seen, [-1, channels]),
                tf.reshape(slopes, [-1, filters]),
                transpose_a=True,
            )
    return tf.reshape(tf.stack(taps), [size, size, channels, filters])


def _overlaps(
    side: int, out: int, size: int, stride: int, pad: int
) -> Iterator[tuple[int, int, int, int]]:
    """For each tap along an axis: (tap, first input, first output, how many it sees)."""
    for tap in range(size):
        first = max(0, -((tap - pad) // stride))
        last = min(out - 1, (side - 1 - tap + pad) // stride)
        if last >= first:
            yield tap, stride * first + tap - pad, first, last - first + 1
