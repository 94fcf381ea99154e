"""Ends training when it overfits to its own attack, before robustness is lost."""

from typing import Any

import keras
import numpy as np

from keras_efgsm.attacks import PGD
from keras_efgsm.attacks.attack import Attack
from keras_efgsm.callbacks.probe import Probe
from keras_efgsm.checks import check_number


class OverfittingStop(keras.callbacks.Callback):
    """Stops training at catastrophic overfitting and puts the last good weights back.

    In catastrophic overfitting a one-step attack stops working on the very network it trains:
    robust accuracy falls to zero within an epoch or a few, while the accuracy on the training's
    own adversarial images rises. The attack works because the loss is nearly linear where it
    steps; when that ends, it gains less than its gradient promised. `attack_shortfall` is the
    share of samples for which the attack's loss rose by less than half of that promise. It costs
    no pass: the promise comes with the attack's gradient, the outcome with the training's own
    forward pass. The signal turns when the share comes `max_shortfall` above its lowest so far.

    Section 3.2 of Chen & Lee proposes another signal, a fall of the share of samples whose
    linearised margin stays above epsilon (`margin_robust_accuracy`). Measured, it does not fall
    in the collapses of FGSM, and it does fall in the first epochs of healthy eFGSM training, so it
    is shown but watched only if `max_drop` is given.

    With a `probe`, a PGD attack on a few fixed images is measured after each epoch and decides:
    training ends when its accuracy falls `probe_drop` below its best, in one epoch or slowly, and
    goes on if only the shortfall turned.

    Where it does and does not work: the shortfall sees the collapse of attacks with one linear
    step (FGSM, FGSM-RS, eFGSM), often an epoch before PGD does, also where robustness leaks away
    over several epochs. It does not see ordinary overfitting, in which the loss stays linear
    around the training images while held-out images lose robustness, nor a network that never was
    robust; for these give a probe of held-out images. It says nothing of PGD, which takes no
    single step. With batch norm, training and evaluation mode differ in the first epochs and the
    share starts high; it counts from its lowest value, and so only once it came down.
    `scripts/provoke_overfitting.py` makes collapses and healthy runs and shows the curves.

    Args:
        max_shortfall: rise of the shortfall above its lowest value, in (0, 1]. Defaults to `0.1`.
        max_drop: fall of the margin-robust accuracy below its highest value, in (0, 1]. Defaults
            to none: it is not watched.
        probe: images `(n, H, W, C)` in [0, 1] and labels `(n,)`, about 256. Defaults to none.
        probe_attack: the attack of the probe. Defaults to PGD on the margin at the training's
            epsilon, 20 steps of an eighth of it.
        probe_drop: in (0, 1]. Defaults to `0.2`; published collapses lose at least 0.38 in an
            epoch, healthy runs at most 0.08.
        verbose: whether to print when the signal turns and when training ends. Defaults to
            `True`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    stop = OverfittingStop(probe=(x_val[:256], y_val[:256]))
    trainer.fit(x, y, epochs=50, callbacks=[stop])
    stop.report()  # {"fired": False, "epoch": None, ...}
    ```
    """

    def __init__(
        self,
        max_shortfall: float = 0.1,
        max_drop: float | None = None,
        probe: tuple[Any, Any] | None = None,
        probe_attack: Attack | None = None,
        probe_drop: float = 0.2,
        verbose: bool = True,
    ):
        super().__init__()
        bounds = {"minimum": 0.0, "maximum": 1.0, "strict": True}
        self.max_shortfall = check_number(max_shortfall, "max_shortfall", **bounds)
        self.max_drop = None if max_drop is None else check_number(max_drop, "max_drop", **bounds)
        self.probe_drop = check_number(probe_drop, "probe_drop", **bounds)
        self.probe_images = probe
        self.probe_attack = probe_attack
        self.verbose = verbose
        self._restored: dict | None = None
        self._probe: Probe | None = None
        self._reset()

    def _reset(self) -> None:
        self._lowest_shortfall = 1.0
        self._highest_robust = 0.0
        self._best_probe = -1.0
        self._good_weights: list[np.ndarray] | None = None
        self._good_epoch: int | None = None
        self._report = {"fired": False, "epoch": None, "reason": None, "restored_epoch": None}

    def on_train_begin(self, logs=None):
        self._reset()
        if self._restored is not None:
            state = self._restored
            self._lowest_shortfall = state["lowest_shortfall"]
            self._highest_robust = state["highest_robust"]
            self._best_probe = state["best_probe"]
            self._good_weights = state["good_weights"] or None
            self._good_epoch = state["good_epoch"]
            self._report = state["report"]
            self._restored = None
        if self.probe_images is not None and self._probe is None:
            epsilon = self.model.attack.epsilon
            attack = self.probe_attack or PGD(
                epsilon=epsilon, steps=20, step_size=epsilon / 8, loss="cw"
            )
            self._probe = Probe(self.model.classifier, attack, *self.probe_images)

    def on_epoch_end(self, epoch, logs=None):
        logs = logs if logs is not None else {}
        turned = self._margin_signal(logs)
        if self._probe is None:
            reason = turned
        else:
            accuracy = self._probe.accuracy()
            logs["probe_accuracy"] = accuracy
            reason = None
            if accuracy <= self._best_probe - self.probe_drop:
                reason = f"the PGD probe fell to {accuracy:.3f} from {self._best_probe:.3f}" + (
                    f", and {turned}" if turned else ", unseen by the margins"
                )
            elif turned and self.verbose:
                print(f"\nepoch {epoch + 1}: {turned}; the PGD probe holds at {accuracy:.3f}")
        if reason is not None:
            self._fire(epoch, reason)
        elif self._probe is None or accuracy > self._best_probe:
            # Without a probe the last healthy epoch is the good one, with it the best.
            self._good_weights = self.model.get_weights()
            self._good_epoch = epoch + 1
            self._best_probe = self._best_probe if self._probe is None else accuracy

    def _margin_signal(self, logs: dict) -> str | None:
        shortfall, robust = logs.get("attack_shortfall"), logs.get("margin_robust_accuracy")
        if shortfall is None or robust is None:
            return None
        self._lowest_shortfall = min(self._lowest_shortfall, shortfall)
        self._highest_robust = max(self._highest_robust, robust)
        if shortfall >= self._lowest_shortfall + self.max_shortfall:
            return f"the attack falls short of its gradient on {shortfall:.1%} of the samples"
        if self.max_drop is not None and robust <= self._highest_robust - self.max_drop:
            return (
                f"the margin-robust accuracy fell to {robust:.3f} from {self._highest_robust:.3f}"
            )
        return None

    def _fire(self, epoch: int, reason: str) -> None:
        self._report = {
            "fired": True,
            "epoch": epoch + 1,
            "reason": reason,
            "restored_epoch": self._good_epoch,
        }
        self.model.stop_training = True
        if self.verbose:
            print(
                f"\nepoch {epoch + 1}: training stops, as {reason}; "
                f"the weights of epoch {self._good_epoch} are put back"
            )

    def on_train_end(self, logs=None):
        # Not earlier: Keras and the weight averaging write to the weights until here.
        if self._report["fired"] and self._good_weights is not None:
            self.model.set_weights(self._good_weights)

    def report(self) -> dict[str, Any]:
        """When and why it fired, and the epoch whose weights were put back."""
        return dict(self._report)

    def get_state(self) -> dict[str, Any]:
        """What a resume needs."""
        return {
            "lowest_shortfall": float(self._lowest_shortfall),
            "highest_robust": float(self._highest_robust),
            "best_probe": float(self._best_probe),
            "good_weights": list(self._good_weights or []),
            "good_epoch": self._good_epoch,
            "report": self._report,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes back `get_state()` before the `fit` that resumes."""
        self._restored = state
