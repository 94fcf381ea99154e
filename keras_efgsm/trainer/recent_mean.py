"""A mean in which older values weigh less."""

import keras
from keras import ops

from keras_efgsm.typing import Tensor


class RecentMean(keras.metrics.Metric):  # type: ignore[misc]  # Keras has no types
    """Mean over the last steps: each older step counts `decay` times as much as the next.

    At the end of an epoch it describes the network as it is then, where a mean over the epoch
    would dilute what happened in its last steps.

    Args:
        decay: in (0, 1); the mean reaches back about `1 / (1 - decay)` steps. Defaults to `0.98`.
        name: name of the metric.
    """

    def __init__(self, decay: float = 0.98, name: str = "recent_mean"):
        super().__init__(name=name)
        self.decay = decay
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, values: Tensor, sample_weight: Tensor | None = None) -> None:
        values = ops.cast(values, "float32")
        self.total.assign(self.decay * self.total + ops.sum(values))
        self.count.assign(self.decay * self.count + ops.cast(ops.size(values), "float32"))

    def result(self) -> Tensor:
        return ops.divide_no_nan(self.total, self.count)
