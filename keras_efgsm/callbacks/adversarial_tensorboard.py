"""TensorBoard with what adversarial training does to a few fixed images."""

import importlib.util
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_efgsm import equations
from keras_efgsm.array_checks import check_images, check_labels
from keras_efgsm.attacks import PGD
from keras_efgsm.attacks.attack import Attack
from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.backend import compiled, rival_margins_and_gradients
from keras_efgsm.checks import check_count
from keras_efgsm.noise import Noise
from keras_efgsm.pictures.png import side_by_side, signed_colours
from keras_efgsm.trainer.batch import read_labels
from keras_efgsm.typing import Logs

# From left to right.
_PANELS = ("clean", "attacked", "perturbation", "reconstruction")
# What it is called that a margin is positive.
_SHARES = {
    "clean": "accuracy_clean",
    "attacked": "accuracy_attacked",
    "linearised": "margin_robust_accuracy",
}


def require_tensorboard() -> None:
    """Checks that event files can be written.

    Raises:
        ImportError: if the `tensorboard` package, without which TensorFlow writes none, is missing.

    Example:

    ```python
    require_tensorboard()
    ```
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise ImportError(
            "TensorBoard's logs need the package `tensorboard`: pip install "
            "'keras-efgsm[tensorboard]'. Received: no module named 'tensorboard'"
        )


class AdversarialTensorBoard(keras.callbacks.TensorBoard):  # type: ignore[misc]  # Keras has no types
    """Keras's `TensorBoard`, and adversarial images, perturbations and margins beside it.

    The scalars of each epoch (losses, accuracies, learning rate) are those of Keras. With `images`
    there are, under the tag `images`, a few, evenly spaced, each in a row: clean, attacked, the
    perturbation (of grey images red is +epsilon, blue -epsilon and white none, as in reports; of
    others grey is none and a channel lighter or darker; of an L2 ball the largest change)
    and, with a re-constructor, what it makes of the attacked one. Over all of them there are, under
    `margins`, histograms of the logit margin on clean and on attacked images and of the smallest
    margin in the ball if the margin were linear, and under `robustness` the shares that are
    positive. An image whose margin is negative is misclassified.

    Training is not touched: the attack starts from the same noise at each epoch, has no part in
    the momentum of the training and sees the classifier in evaluation mode; with and without this
    callback the weights are the same to the bit. Place it after `WeightAveraging`, to see the
    averaged classifier. A resumed run given the same folder goes on in the same curves.

    Args:
        log_dir: where the event files go, for `tensorboard --logdir`.
        images: images `(n, H, W, C)` in [0, 1] and labels `(n,)`, such as held-out training
            images; n small enough for one batch. Defaults to none.
        num_images: how many of them are shown as pictures. Defaults to `8`.
        every: epochs between two looks at the images. Defaults to `1`.
        attack: the attack on them, without momentum. Defaults to PGD on the margin at the
            training's epsilon and norm, 20 steps of an eighth of it.
        **kwargs: as `keras.callbacks.TensorBoard` takes them; `write_graph` defaults to `False`.

    Raises:
        ValueError: if an option, images or labels are not as they must be.
        ImportError: if the `tensorboard` package is missing.

    Example:

    ```python
    board = AdversarialTensorBoard("logs", images=(x_val[:64], y_val[:64]))
    trainer.fit(x, y, epochs=50, callbacks=[board])
    # tensorboard --logdir logs
    ```
    """

    def __init__(
        self,
        log_dir: str | Path,
        images: tuple[Any, Any] | None = None,
        num_images: int = 8,
        every: int = 1,
        attack: Attack | None = None,
        **kwargs: Any,
    ):
        require_tensorboard()
        super().__init__(os.fspath(log_dir), **{"write_graph": False, **kwargs})
        self.images = images
        self.num_images = check_count(num_images, "num_images")
        self.every = check_count(every, "every")
        if attack is not None and (not isinstance(attack, Attack) or attack.uses_momentum):
            raise ValueError(
                "`attack` must be an attack object without momentum, such as `PGD(epsilon=0.3)`. "
                f"Received: attack={attack!r}"
            )
        self.attack = attack
        if images is not None:
            check_images(images[0], "images")
            channels = np.shape(images[0])[-1]
            if channels > 4:
                raise ValueError(
                    "`images` must have 1 to 4 channels, to be shown as pictures. "
                    f"Received: images with {channels} channels"
                )
        self._look = None

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        if self.images is not None:
            x, y = self.images
            check_labels(y, model.num_classes, len(x))
            self._look = self._compile_look(model, *self.images)

    def _compile_look(self, trainer: Any, x: Any, y: Any) -> Any:
        """A compiled function of nothing that gives what is shown, as named arrays."""
        x = ops.convert_to_tensor(x, dtype="float32")
        labels = ops.cast(read_labels(ops.convert_to_tensor(y), trainer.num_classes)[0], "int32")
        epsilon = self._epsilon = trainer.attack.epsilon
        norm, ball = trainer.attack.norm, trainer.attack.ball
        self._strength = ball.strength
        attack = self.attack or PGD(
            epsilon=epsilon, steps=20, step_size=epsilon / 8, loss="cw", norm=norm
        )
        logits_fn = evaluation_logits(trainer.classifier)
        # Not the training's noise, and the same at each look.
        noise = Noise(0, 0, ops.arange(x.shape[0], dtype="int32"))
        count = min(self.num_images, x.shape[0])
        shown = np.linspace(0, x.shape[0] - 1, count, dtype="int32")

        def look() -> dict[str, Any]:
            x_adv = attack.perturb(logits_fn, x, labels, noise).images
            _, margins, gradients = rival_margins_and_gradients(logits_fn, x, labels, 1)
            logits = logits_fn(x_adv)
            change = ops.take(x_adv - x, shown, axis=0)
            seen = {
                "margin_clean": margins[0],
                "margin_attacked": equations.margin(logits, labels),
                "margin_linearised": ball.worst_linear_margin(margins[0], gradients[0], x, epsilon),
                "clean": ops.take(x, shown, axis=0),
                "attacked": ops.take(x_adv, shown, axis=0),
                "perturbation": 0.5 + change / (2.0 * ball.full_strength(change, epsilon)),
            }
            if trainer.reconstructor is not None:
                probabilities = ops.softmax(ops.take(logits, shown, axis=0))
                seen["reconstruction"] = trainer.reconstructor(probabilities, training=False)
            return {name: ops.cast(value, "float32") for name, value in seen.items()}

        return compiled(look, trainer.variables)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        super().on_epoch_end(epoch, logs)
        if self._look is not None and epoch % self.every == 0:
            self._write(epoch, {k: np.asarray(v) for k, v in self._look().items()})
        # A run that is killed keeps what it has shown.
        self._train_writer.flush()

    def _write(self, epoch: int, seen: dict[str, np.ndarray]) -> None:
        panels = [name for name in _PANELS if name in seen]
        is_grey = seen["perturbation"].shape[-1] == 1
        if is_grey:
            # As a report shows it.
            scaled = 2.0 * seen["perturbation"] - 1.0
            seen["perturbation"] = np.stack([signed_colours(change, 1.0) for change in scaled])
        colours = ("red", "blue", "white") if is_grey else ("lighter", "darker", "grey")
        described = (
            f"From left to right: {', '.join(panels)}. The perturbation, attacked minus clean, is "
            f"amplified, epsilon = {self._epsilon:g}: {colours[0]} is a rise by {self._strength}, "
            f"{colours[1]} a fall by it, {colours[2]} no change."
        )
        with self._train_writer.as_default():
            self.summary.image(
                f"images/{', '.join(panels)}",
                side_by_side(
                    [np.clip(seen[name], 0.0, 1.0) for name in panels],
                    gap=max(seen["clean"].shape[2] // 16, 1),
                    shade=0.5,
                ),
                step=epoch,
                max_outputs=len(seen["clean"]),
                description=described,
            )
            for kind, share in _SHARES.items():
                margins = seen[f"margin_{kind}"]
                self.summary.histogram(f"margins/{kind}", margins, step=epoch)
                positive = float(np.mean(margins > 0.0))
                self.summary.scalar(f"robustness/{share}", positive, step=epoch)
