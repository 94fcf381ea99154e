"""The transforms of BaRT: one of each of the ten groups of Raff et al., 2019, on a whole batch.

Each takes images `(B, H, W, C)` in [0, 1] and a `Draw`, by which each image is changed by numbers
of its own, and returns images of that shape; a result may leave [0, 1]. Every transform has a
gradient that an attack can follow: where a value is rounded it is the straight-through one, that of
leaving it as it is (BPDA, Athalye, Carlini & Wagner 2018), as nothing is gained for an evaluation
by a gradient of zero.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from keras import ops

from keras_efgsm.typing import Tensor

NUMBERS = 4
"""How many uniform numbers an image has for each transform."""

# The luminance table of the JPEG standard, Annex K, which quality 50 divides by.
_JPEG_STEPS = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    "float32",
)
_BLOCK = 8
_TO_YUV = np.array(
    [[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]], "float32"
)


class Draw(NamedTuple):
    """The random numbers of one transform.

    Attributes:
        numbers: uniform in [0, 1), `(B, 4)`.
        normal: standard normal, `(B, H, W, C)`.
        uniform: uniform in [0, 1), `(B, H, W, C)`.
    """

    numbers: Tensor
    normal: Tensor
    uniform: Tensor

    def between(self, number: int, low: float, high: float) -> Tensor:
        """A number of each image in a range, `(B, 1, 1, 1)`."""
        return ops.reshape(low + (high - low) * self.numbers[:, number], (-1, 1, 1, 1))


def colour_precision(x: Tensor, draw: Draw) -> Tensor:
    """Group 1, colour precision: 8 to 200 steps for each pixel."""
    steps = ops.round(draw.between(0, 8.0, 200.0))
    return _rounded(x * steps) / steps


def jpeg(x: Tensor, draw: Draw) -> Tensor:
    """Group 2, JPEG of quality 55 to 95: cosine coefficients of 8 x 8 blocks are rounded.

    Each channel by the luminance table; the colours are neither turned nor thinned out.
    """
    rows, columns, channels = x.shape[1:]
    padded = _repeat_edges(_repeat_edges(x, 1), 2)
    height, width = padded.shape[1] // _BLOCK, padded.shape[2] // _BLOCK
    blocks = ops.reshape(padded, (-1, height, _BLOCK, width, _BLOCK, channels)) * 255.0 - 128.0
    cosines = ops.convert_to_tensor(_cosines(_BLOCK))
    turned = ops.einsum("ik,bhkwlc->bhiwlc", cosines, blocks)
    coefficients = ops.einsum("jl,bhiwlc->bhwcij", cosines, turned)
    flat = ops.reshape(coefficients, (-1, height * width * channels, _BLOCK**2))
    scale = 2.0 - 2.0 * draw.between(0, 0.55, 0.95)[:, :, :, 0]
    steps = ops.maximum(ops.round(scale * _JPEG_STEPS.reshape(1, 1, -1)), 1.0)
    flat = _rounded(flat / steps) * steps
    coefficients = ops.reshape(flat, (-1, height, width, channels, _BLOCK, _BLOCK))
    turned = ops.einsum("ik,bhwcij->bhwckj", cosines, coefficients)
    blocks = ops.einsum("jl,bhwckj->bhkwlc", cosines, turned)
    whole = ops.reshape(blocks, (-1, height * _BLOCK, width * _BLOCK, channels))
    return (whole[:, :rows, :columns] + 128.0) / 255.0


def swirl(x: Tensor, draw: Draw) -> Tensor:
    """Group 3, swirl about any pixel: an angle of 0.01 to 2 at it, which falls off with distance.

    As that of scikit-image, at the nearest pixel where a point lies outside.
    """
    rows, columns = x.shape[1:3]
    row, column = (
        ops.reshape(ops.arange(rows, dtype="float32"), (1, rows, 1)),
        ops.reshape(ops.arange(columns, dtype="float32"), (1, 1, columns)),
    )
    size = float(max(rows, columns))
    numbers = [ops.reshape(draw.numbers[:, index], (-1, 1, 1)) for index in range(NUMBERS)]
    down = row - numbers[0] * (rows - 1)
    across = column - numbers[1] * (columns - 1)
    radius = (0.1 + 0.7 * numbers[2]) * size * np.log(2.0) / 5.0
    distance = ops.sqrt(down**2 + across**2)
    angle = (0.01 + 1.99 * numbers[3]) * ops.exp(-distance / radius)
    cosine, sine = ops.cos(angle), ops.sin(angle)
    return _sampled(
        x,
        row + cosine * down + sine * across - down,
        column + cosine * across - sine * down - across,
    )


def noise(x: Tensor, draw: Draw) -> Tensor:
    """Group 4, noise injection: Gaussian of deviation 0.02 to 0.1."""
    return x + draw.between(0, 0.02, 0.1) * draw.normal


def frequency(x: Tensor, draw: Draw) -> Tensor:
    """Group 5, FFT perturbation: up to 30 % of the frequencies are lost, the others change by 2 %.

    Of the cosine transform of the whole image, whose numbers are real; its mean stays.
    """
    rows, columns = x.shape[1:3]
    down, across = (ops.convert_to_tensor(_cosines(size)) for size in (rows, columns))
    spectrum = ops.einsum("jl,bilc->bijc", across, ops.einsum("ik,bklc->bilc", down, x))
    kept = ops.cast(draw.uniform >= draw.between(0, 0.0, 0.3), x.dtype)
    mean = np.zeros((1, rows, columns, 1), "float32")
    mean[0, 0, 0] = 1.0
    factor = ops.where(mean > 0, 1.0, kept * (1.0 + 0.02 * draw.normal))
    spectrum = spectrum * factor
    return ops.einsum("jl,bkjc->bklc", across, ops.einsum("ik,bijc->bkjc", down, spectrum))


def zoom(x: Tensor, draw: Draw) -> Tensor:
    """Group 6, zoom: a window of 70 to 100 % of the image, anywhere in it, as large as the image.

    Bilinear; the window's place shifts the image as well.
    """
    part = ops.reshape(0.7 + 0.3 * draw.numbers[:, 0], (-1, 1))

    def weights(size: int, place: Tensor) -> Tensor:
        start = ops.reshape(place, (-1, 1)) * (1.0 - part) * size
        at = start + (ops.arange(size, dtype="float32") + 0.5) * part - 0.5
        at = ops.clip(at, 0.0, size - 1.0)
        distance = at[:, :, None] - ops.arange(size, dtype="float32")
        return ops.maximum(1.0 - ops.abs(distance), 0.0)

    rows, columns = x.shape[1:3]
    return _separable(x, weights(rows, draw.numbers[:, 1]), weights(columns, draw.numbers[:, 2]))


def colour_space(x: Tensor, draw: Draw) -> Tensor:
    """Group 7, colour space: a shift of up to 0.1 of each of Y, U and V, or of the brightness.

    Images of another number of channels than three have but the latter.
    """
    if x.shape[3] != 3:
        return x + draw.between(0, -0.1, 0.1)
    shifts = [draw.between(index, -0.1, 0.1) for index in range(3)]
    yuv = ops.matmul(x, ops.convert_to_tensor(_TO_YUV.T)) + ops.concatenate(shifts, axis=3)
    return ops.matmul(yuv, ops.convert_to_tensor(np.linalg.inv(_TO_YUV.T)))


def contrast(x: Tensor, draw: Draw) -> Tensor:
    """Group 8, contrast: 60 to 140 % of it, about the mean of the image."""
    mean = ops.mean(x, axis=(1, 2, 3), keepdims=True)
    return mean + draw.between(0, 0.6, 1.4) * (x - mean)


def grey(x: Tensor, draw: Draw) -> Tensor:
    """Group 9, grey scale: mixed into the colours, by random weights of the channels.

    Of one channel it is the image itself.
    """
    channels = x.shape[3]
    weights = 0.1 + draw.numbers[:, 1:NUMBERS]
    weights = ops.tile(weights, (1, -(-channels // (NUMBERS - 1))))[:, :channels]
    weights = weights / ops.sum(weights, axis=1, keepdims=True)
    mixed = ops.sum(x * ops.reshape(weights, (-1, 1, 1, channels)), axis=3, keepdims=True)
    return x + draw.between(0, 0.0, 1.0) * (mixed - x)


def blur(x: Tensor, draw: Draw) -> Tensor:
    """Group 10, denoising: a Gaussian blur of deviation 0.3 to 1 pixels."""
    deviation = draw.between(0, 0.3, 1.0)[:, :, :, 0]

    def weights(size: int) -> Tensor:
        at = ops.arange(size, dtype="float32")
        bell = ops.exp(-(((at[:, None] - at) / deviation) ** 2) / 2.0)
        return bell / ops.sum(bell, axis=2, keepdims=True)

    return _separable(x, *map(weights, x.shape[1:3]))


TRANSFORMS: dict[str, Callable[[Tensor, Draw], Tensor]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        *(colour_precision, jpeg, swirl, noise, frequency),
        *(zoom, colour_space, contrast, grey, blur),
    )
}
"""The transforms by name, in the order of the paper's groups."""


def _rounded(x: Tensor) -> Tensor:
    """Rounds, with the gradient of not doing so."""
    return x + ops.stop_gradient(ops.round(x) - x)


def _cosines(size: int) -> np.ndarray:
    """The orthonormal cosine transform, a row for each frequency."""
    frequencies, places = np.arange(size)[:, None], np.arange(size)
    matrix = np.sqrt(2.0 / size) * np.cos(np.pi * (places + 0.5) * frequencies / size)
    matrix[0] /= np.sqrt(2.0)
    cosines: np.ndarray = matrix.astype("float32")
    return cosines


def _repeat_edges(x: Tensor, axis: int) -> Tensor:
    """Repeats the last row or column until 8 divides their number."""
    size = x.shape[axis]
    whole = -(-size // _BLOCK) * _BLOCK
    return ops.take(x, np.minimum(np.arange(whole), size - 1), axis=axis)


def _separable(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Weighted sums along the rows and along the columns, each image by its own `(B, n, n)`."""
    return ops.einsum("bjl,bilc->bijc", columns, ops.einsum("bik,bklc->bilc", rows, x))


def _sampled(x: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """The images at other points `(B, H, W)`, between pixels bilinearly."""
    rows, columns, channels = x.shape[1:]
    row, column = ops.clip(row, 0.0, rows - 1.0), ops.clip(column, 0.0, columns - 1.0)
    top, left = ops.floor(row), ops.floor(column)
    pixels = ops.reshape(x, (-1, rows * columns, channels))

    def at(r: Tensor, c: Tensor) -> Tensor:
        index = ops.minimum(r, rows - 1.0) * columns + ops.minimum(c, columns - 1.0)
        index = ops.cast(ops.reshape(index, (-1, rows * columns, 1)), "int32")
        found = ops.take_along_axis(pixels, index, axis=1)
        return ops.reshape(found, (-1, rows, columns, channels))

    down, across = (row - top)[..., None], (column - left)[..., None]
    above = at(top, left) * (1.0 - across) + at(top, left + 1.0) * across
    below = at(top + 1.0, left) * (1.0 - across) + at(top + 1.0, left + 1.0) * across
    return above * (1.0 - down) + below * down
