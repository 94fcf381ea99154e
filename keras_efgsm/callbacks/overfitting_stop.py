"""Ends training when it overfits to its own attack, before robustness is lost."""

from typing import Any

import keras
import numpy as np

from keras_efgsm.attacks import PGD
from keras_efgsm.attacks.attack import Attack
from keras_efgsm.callbacks.margin_signal import MarginSignal
from keras_efgsm.callbacks.probe import Probe, is_none
from keras_efgsm.checks import check_number
from keras_efgsm.distribution.agreement import Agreement
from keras_efgsm.typing import Logs

# Below this best of the probe a smaller fall is a collapse.
_MUCH = 0.4
# That nothing withstood the probe is said half-way, and not before this epoch.
_EARLIEST = 3


class OverfittingStop(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Stops training at catastrophic overfitting and puts the last good weights back.

    In catastrophic overfitting a one-step attack stops working on the very network it trains:
    robust accuracy falls to zero within an epoch or a few, while the accuracy on the training's
    own adversarial images rises. Two signals that cost no pass are watched:

    - `margin_robust_accuracy`, the signal of section 3.2 of Chen & Lee. For eFGSM it is the share
      of samples whose linearised margin stays positive over the whole ball; it follows PGD closely.
      For other attacks it is the share of samples that withstand the attack's step, those on which
      the step fell short left out. The signal turns when it falls `max_drop` below the highest
      value that two epochs in a row reached (the first epoch alone can be high by chance).
    - `attack_shortfall`, for FGSM with or without random start: the share of samples on which the
      attack's loss rose by less than half of what its gradient promised. One step works because
      the loss is nearly linear where it goes; this is where that ends. The signal turns when the
      share comes `max_shortfall` above its lowest so far.

    By the margins alone, the weights put back are those of two epochs before the signal turned, as
    the collapse begins up to an epoch before they show it.

    With a `probe`, a PGD attack on a few fixed images is measured before training and after each
    epoch (`probe_accuracy`; `probe_natural_accuracy` is that of the clean ones), and decides:
    training ends when its accuracy falls `probe_drop` below its best, in one epoch or slowly, and
    the weights of its best are put back. Below a best of 0.4, and from twice that of guessing on,
    it is in proportion. If only the margins turned, training goes on.

    Where it does and does not work: the margins see collapses of FGSM in which the loss bends
    within its one step, within an epoch of PGD. They do not see those in which the step still
    works and only the rest of the ball is lost (a robust network trained on with FGSM can fall from
    0.79 to 0.33 that way), nor ordinary overfitting, nor a network that never was robust; nothing
    in the passes of such a step tells of it. So give a probe of held-out images wherever robustness
    matters; 256 images cost 5,120 passes an epoch, against the 120,000 of eFGSM on MNIST. PGD takes
    no single step and has the first signal only. With batch norm, training and evaluation mode
    differ in the first epochs and the shortfall starts high; it counts from its lowest value, and
    so only once it came down.
    `scripts/experiments/provoke_overfitting.py` makes collapses and healthy runs and shows the
    curves.

    Args:
        max_shortfall: rise of the shortfall above its lowest value, in (0, 1]. Defaults to `0.1`.
        max_drop: fall of the margin-robust accuracy, in (0, 1]. Defaults to `0.2`.
        probe: images `(n, H, W, C)` in [0, 1] and labels `(n,)`, about 256. Defaults to none.
        probe_attack: the attack of the probe. Defaults to PGD on the margin at the training's
            epsilon and norm, 20 steps of an eighth of it.
        probe_drop: in (0, 1]. Defaults to `0.2`; published collapses lose at least 0.38 in an
            epoch, healthy runs at most 0.08. A best of 0.3 may fall by three quarters of that, as
            networks of photographs have no more to lose.
        final_drop: how far below its best the probe may end without that the best weights are put
            back, in [0, 1]; at 0 the probe decides the epoch. Defaults to `0.05`, some two standard
            errors of the difference of a probe of 256 images to itself.
        verbose: whether to print when the signal turns, when training ends, and half-way if
            nothing has withstood the probe. Defaults to `True`.

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
        max_drop: float = 0.2,
        probe: tuple[Any, Any] | None = None,
        probe_attack: Attack | None = None,
        probe_drop: float = 0.2,
        final_drop: float = 0.05,
        verbose: bool = True,
    ):
        super().__init__()
        self._signal = MarginSignal(max_shortfall, max_drop)
        self.max_shortfall, self.max_drop = self._signal.max_shortfall, self._signal.max_drop
        self.probe_drop = check_number(
            probe_drop, "probe_drop", minimum=0.0, maximum=1.0, strict=True
        )
        self.final_drop = check_number(final_drop, "final_drop", minimum=0.0, maximum=1.0)
        self.probe_images = probe
        self.probe_attack = probe_attack
        self.verbose = verbose
        self._restored: dict[str, Any] | None = None
        self._probe: Probe | None = None
        self._natural = 0.0  # of the probe
        self._reset()

    def _reset(self) -> None:
        self._signal.reset()
        self._best_score = 0.0  # of the probe
        self._last_score: float | None = None
        self._latest: tuple[list[np.ndarray], int] | None = None
        self._good_weights: list[np.ndarray] | None = None
        self._good_epoch: int | None = None
        self._report: dict[str, Any] = {
            "fired": False,
            "epoch": None,
            "reason": None,
            "restored_epoch": None,
        }

    def on_train_begin(self, logs: Logs = None) -> None:
        self._reset()
        if self.probe_images is not None:
            trained = self.model.attack
            attack = self.probe_attack or PGD(
                epsilon=trained.epsilon,
                steps=20,
                step_size=trained.epsilon / 8,
                loss="cw",
                norm=trained.norm,
            )
            self._probe = Probe(self.model.classifier, attack, *self.probe_images)
        if self._restored is not None:
            state, self._restored = self._restored, None
            self._signal.set_state(state)
            self._best_score = state["best_score"]
            # Checkpoints of earlier versions do not hold it.
            self._last_score = state.get("last_score")
            self._good_weights = state["good_weights"] or None
            self._good_epoch = state["good_epoch"]
            if state["latest_weights"]:
                self._latest = (state["latest_weights"], state["latest_epoch"])
            self._report = state["report"]
        else:
            # A network that is trained on may lose its robustness in the first epoch already.
            self._keep(epoch=0, accuracy=None if self._probe is None else self._measure())

    def _measure(self) -> float:
        """The probe's accuracy, the same on all workers, so that all of them stop or none."""
        assert self._probe is not None
        strategy = getattr(self.model, "distribute_strategy", None)
        agreement, found = Agreement(strategy), self._probe.accuracies()
        self._natural = agreement.mean(found.natural)
        return agreement.mean(found.robust)

    def _allowed_drop(self) -> float:
        """How far the probe may fall; of little robustness less than `probe_drop` can be lost."""
        assert self._probe is not None
        if self._best_score < 2 * self._probe.chance:
            return self.probe_drop  # who answers with one class may come to be at first
        return self.probe_drop * min(1.0, self._best_score / _MUCH)

    def _keep(self, epoch: int, accuracy: float | None) -> None:
        """Keeps the weights to go back to: the best of the probe, or those of an epoch ago."""
        if accuracy is None:
            latest = (self.model.get_weights(), epoch)
            # The collapse begins up to an epoch before the margins show it.
            self._good_weights, self._good_epoch = self._latest or latest
            self._latest = latest
        elif accuracy >= self._best_score:
            self._best_score = accuracy
            self._good_weights, self._good_epoch = self.model.get_weights(), epoch

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs if logs is not None else {}
        turned, accuracy = self._signal.close_epoch(logs), None
        if self._probe is None:
            reason = turned
        else:
            accuracy = self._measure()
            logs["probe_accuracy"] = self._last_score = accuracy
            logs["probe_natural_accuracy"] = self._natural
            reason = None
            if accuracy <= self._best_score - self._allowed_drop():
                reason = f"the PGD probe fell to {accuracy:.3f} from {self._best_score:.3f}" + (
                    f", and {turned}" if turned else ", unseen by the margins"
                )
            elif turned and self.verbose:
                best = max(accuracy, self._best_score)
                print(
                    f"\nepoch {epoch + 1}: {turned}; training goes on, as the PGD probe is at "
                    f"{accuracy:.3f}, its best {best:.3f}"
                )
            self._doubt(epoch + 1, max(accuracy, self._best_score))
        if reason is not None:
            self._fire(epoch, reason)
            return
        self._keep(epoch + 1, accuracy)

    def _doubt(self, epoch: int, best: float) -> None:
        """Says half-way that nothing withstands the probe, so that nobody waits for the rest."""
        assert self._probe is not None
        half_way = max(_EARLIEST, (self.params or {}).get("epochs", 0) // 2)
        if self.verbose and epoch == half_way and is_none(best, self._probe.chance):
            print(
                f"\nepoch {epoch}: the PGD probe has not been above {best:.3f} so far, where "
                f"always naming one class gives {self._probe.chance:.3f}; if that does not change "
                "soon, try a smaller epsilon, one that rises, or a smaller learning rate"
            )

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

    def on_train_end(self, logs: Logs = None) -> None:
        if not self._report["fired"]:
            self._look_back()
        # Not earlier: Keras and the weight averaging write to the weights until here.
        if self._report["restored_epoch"] is not None and self._good_weights is not None:
            self.model.set_weights(self._good_weights)

    def _look_back(self) -> None:
        """Goes back to the best of the probe where training ended well below it."""
        last, best = self._last_score, self._best_score
        if last is None or last > best - self.final_drop or last == best:
            return
        reason = f"the PGD probe ended at {last:.3f}, its best was {best:.3f}"
        self._report |= {"reason": reason, "restored_epoch": self._good_epoch}
        if self.verbose:
            print(f"\n{reason}; the weights of epoch {self._good_epoch} are put back")

    def report(self) -> dict[str, Any]:
        """When and why it fired, and the epoch whose weights were put back.

        Where it did not fire, there is a reason only if weights were put back at the end.
        """
        return dict(self._report)

    def get_state(self) -> dict[str, Any]:
        """The state that a resume needs."""
        return {
            **self._signal.get_state(),
            "best_score": float(self._best_score),
            "last_score": self._last_score,
            "good_weights": list(self._good_weights or []),
            "good_epoch": self._good_epoch,
            "latest_weights": list(self._latest[0]) if self._latest else [],
            "latest_epoch": self._latest[1] if self._latest else None,
            "report": self._report,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes back `get_state()` before the `fit` that resumes."""
        self._restored = state
