"""The learning rate over a training where Keras has no schedule for it."""

import keras
from keras import ops

from keras_efgsm.checks import check_count, check_number
from keras_efgsm.typing import Config, Tensor


@keras.saving.register_keras_serializable(package="keras_efgsm")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # no types
    """A triangle: the learning rate rises linearly to its peak and falls linearly to zero.

    The schedule of Wong et al., "Fast is better than free", 2020, and Rice et al., "Overfitting in
    adversarially robust deep learning", 2020. No step is made at a rate of zero, neither the first
    nor the last.

    Args:
        peak: the highest learning rate, > 0.
        steps: updates of the whole training.
        peak_step: the update, from 0, that is made at the peak; below `steps`.

    Raises:
        ValueError: if a value is out of range.

    Example:

    ```python
    optimizer = keras.optimizers.SGD(OneCycle(0.2, steps=10_000, peak_step=4_000), momentum=0.9)
    ```
    """

    def __init__(self, peak: float, steps: int, peak_step: int):
        self.peak = check_number(peak, "peak", minimum=0.0, strict=True)
        self.steps = check_count(steps, "steps")
        self.peak_step = check_count(peak_step, "peak_step", minimum=0)
        if self.peak_step >= self.steps:
            raise ValueError(
                f"`peak_step` must lie below `steps={self.steps}`. Received: peak_step={peak_step}"
            )

    def __call__(self, step: Tensor) -> Tensor:
        step = ops.cast(step, "float32")
        rising = (step + 1.0) / (self.peak_step + 1.0)
        falling = (self.steps - step) / (self.steps - self.peak_step)
        return self.peak * ops.maximum(ops.minimum(rising, falling), 0.0)

    def get_config(self) -> Config:
        return {"peak": self.peak, "steps": self.steps, "peak_step": self.peak_step}
