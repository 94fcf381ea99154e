"""Starts `fit` in the middle of an epoch."""

from typing import Any

import keras

from keras_efgsm.typing import Logs


class ResumedEpoch(keras.callbacks.CallbackList):  # type: ignore[misc]  # Keras has no types
    """Makes `fit` begin after the first steps of an epoch, which Keras has no argument for.

    Given to `fit` in place of its list of callbacks, it lets those steps pass: nothing is computed,
    no data is read and no callback hears of them. All else is as in a `fit` that was never
    interrupted: the callbacks see the same numbers of epochs and batches, and the same logs.

    Args:
        steps: steps of the first epoch that were made already.
        callbacks: the callbacks.
        trainer: the model that is trained.
        verbose: as in `keras.Model.fit`.
        epochs: as in `keras.Model.fit`.
        steps_per_epoch: as in `keras.Model.fit`.

    Example:

    ```python
    callbacks = ResumedEpoch(
        30, [TimeLeft()], trainer=trainer, verbose=2, epochs=10, steps_per_epoch=40
    )
    epochs = {"initial_epoch": 4, "epochs": 10, "steps_per_epoch": 40}
    trainer.fit(dataset, **epochs, callbacks=callbacks, shuffle=False)
    ```
    """

    def __init__(
        self,
        steps: int,
        callbacks: list[keras.callbacks.Callback],
        *,
        trainer: keras.Model,
        verbose: str | int,
        epochs: int,
        steps_per_epoch: int,
    ):
        super().__init__(
            callbacks,
            add_history=True,
            add_progbar=verbose != 0,
            model=trainer,
            verbose=verbose,
            epochs=epochs,
            steps=steps_per_epoch,
        )
        self._left = steps
        self._passing = False

    def on_train_begin(self, logs: Logs = None) -> None:
        super().on_train_begin(logs)
        if self._left == 0:
            return
        # Asked for once: on JAX `self.model` puts the running state into the variables, and within
        # a step that is the one whose memory it takes.
        trainer = self.model
        step = trainer.train_function
        # Keras takes the epoch's logs from its last step, or from the metrics of these names.
        names = trainer.get_metrics_result()

        def pass_or_step(*state_and_iterator: Any) -> Any:
            if self._passing:
                # A stateless backend hands the state in and wants it back.
                state = state_and_iterator[:-1]
                return (names, *state) if state else names
            trainer.train_function = step
            return step(*state_and_iterator)

        trainer.train_function = pass_or_step

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._passing = self._left > 0
        if not self._passing:
            super().on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if not self._passing:
            super().on_train_batch_end(batch, logs)
            return
        self._left -= 1
