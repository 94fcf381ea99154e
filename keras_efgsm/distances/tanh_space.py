"""Images as the hyperbolic tangent of a variable without bounds, and Adam on it."""

from typing import NamedTuple

from keras import ops

from keras_efgsm.equations import per_sample
from keras_efgsm.typing import Tensor

# Keeps the inverse of images at 0 and 1 finite, as in the authors' code.
_INSIDE = 0.999999
_FIRST_DECAY, _SECOND_DECAY, _EPSILON = 0.9, 0.999, 1e-8


class Adam(NamedTuple):
    """Adam's averages of a batch whose images began at different steps, or together.

    Attributes:
        first: mean of the gradients `(B, H, W, C)`.
        second: mean of their squares, same shape.
    """

    first: Tensor
    second: Tensor


def to_tanh_space(x: Tensor) -> Tensor:
    """The variable `w` of which `(tanh(w) + 1) / 2` is the image.

    Carlini & Wagner 2017, section V-B: whatever w is, the image lies in [0, 1].

    Args:
        x: images in [0, 1].

    Example:

    ```python
    to_tanh_space(ops.array([0.5, 1.0]))  # [0.0, 7.25]
    ```
    """
    return ops.arctanh((2.0 * x - 1.0) * _INSIDE)


def from_tanh_space(w: Tensor) -> Tensor:
    """The image `(tanh(w) + 1) / 2` of a variable.

    Args:
        w: any numbers.

    Example:

    ```python
    from_tanh_space(ops.array([0.0, 100.0]))  # [0.5, 1.0]
    ```
    """
    return 0.5 * (ops.tanh(w) + 1.0)


def adam_step(
    w: Tensor, gradient: Tensor, adam: Adam, step: Tensor, rate: float, goes_on: Tensor
) -> tuple[Tensor, Adam]:
    """One step of Adam (Kingma & Ba 2015, algorithm 1), of the images that go on.

    Args:
        w: the variable `(B, H, W, C)`.
        gradient: of what is minimised, same shape.
        adam: its averages.
        step: number of the step, from 0.
        rate: learning rate.
        goes_on: which `(B,)` images move.
    """
    first = _FIRST_DECAY * adam.first + (1.0 - _FIRST_DECAY) * gradient
    second = _SECOND_DECAY * adam.second + (1.0 - _SECOND_DECAY) * ops.square(gradient)
    number = ops.cast(step, w.dtype) + 1.0
    unbiased = first / (1.0 - _FIRST_DECAY**number)
    spread = ops.sqrt(second / (1.0 - _SECOND_DECAY**number))
    move = rate * unbiased / (spread + _EPSILON)
    return ops.where(per_sample(goes_on, w), w - move, w), Adam(first, second)
