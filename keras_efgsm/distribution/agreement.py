"""Values that all workers exchange so that they act alike."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_efgsm.distribution.workers import own_shard


class Agreement:
    """Small numbers of every worker, told to all; without other workers it costs nothing.

    All workers must ask the same at the same time: each waits for all.

    Args:
        strategy: a `tf.distribute.Strategy` or None.

    Example:

    ```python
    agreement = Agreement()  # no other workers
    agreement.gather([3, 7])  # [[3, 7]]
    ```
    """

    def __init__(self, strategy: Any = None):
        self._strategy = strategy
        self.shard = own_shard(strategy)
        self._sum: Any = None

    @property
    def workers(self) -> int:
        """How many there are."""
        return self.shard.count

    def gather(self, values: Sequence[int]) -> np.ndarray:
        """What each worker gave, int64 `(workers, len(values))`; the same number from each."""
        own = np.asarray([values], dtype="int64")
        if self.workers == 1:
            return own
        rows = np.zeros((self.workers, len(values)), "int64")
        rows[self.shard.index] = own
        return self._add_up(rows)

    def _add_up(self, rows: np.ndarray) -> np.ndarray:
        """The sum over the workers."""
        import tensorflow as tf

        if self._sum is None:

            def add(values: Any) -> Any:
                # The strategy looks for the device of what it adds up, which an argument lacks.
                context = tf.distribute.get_replica_context()
                return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(values))

            # Traced once, where the strategy's own `gather` is at every call.
            self._sum = tf.function(
                lambda values: self._strategy.run(add, args=(values,)), reduce_retracing=True
            )
        totals = self._strategy.experimental_local_results(self._sum(tf.constant(rows)))
        # Each replica of a worker has added its rows.
        total = totals[0].numpy() // (self._strategy.num_replicas_in_sync // self.workers)
        return np.asarray(total)

    def any(self, flags: Sequence[bool]) -> list[bool]:
        """Whether any worker has set a flag, for each flag."""
        counts = self.gather([int(flag) for flag in flags]).sum(axis=0)
        return [bool(count) for count in counts]

    def mean(self, value: float) -> float:
        """The mean of a number in [0, 1], the same to the bit on all workers."""
        if self.workers == 1:
            return value
        return float(self.gather([round(value * 2**40)]).mean() / 2**40)
