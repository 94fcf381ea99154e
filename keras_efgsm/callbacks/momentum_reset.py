"""Forgetting the per-sample momentum every few epochs."""

import keras

from keras_efgsm.checks import check_count
from keras_efgsm.typing import Logs


class MomentumReset(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Sets the per-sample momentum to zero before the first step of every n-th epoch.

    As in Jia et al., "Prior-guided adversarial initialization for fast adversarial training", 2022,
    whose prior is made anew every few epochs. It has no state: it acts on the first batch of an
    epoch, of which a run that is resumed within the epoch does not hear again.

    Args:
        every: epochs n between two resets; the epochs numbered n, 2n, ... from 0 begin without
            momentum.

    Raises:
        ValueError: if `every` is not a whole number of at least 1.

    Example:

    ```python
    trainer.fit(x, y, epochs=30, callbacks=[MomentumReset(10)])
    ```
    """

    def __init__(self, every: int):
        super().__init__()
        self.every = check_count(every, "every")
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        due = batch == 0 and self._epoch > 0 and self._epoch % self.every == 0
        if due and self.model.momentum is not None:
            self.model.momentum.reset()
