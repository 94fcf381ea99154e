"""The signal of catastrophic overfitting that training gives for free."""

from collections.abc import Mapping
from typing import Any

from keras_efgsm.checks import check_number


class MarginSignal:
    """Detects from the training margins that training overfits to its own attack.

    See `OverfittingStop` for what is watched and when the signal turns.

    Args:
        max_shortfall: rise of the shortfall above its lowest value, in (0, 1]. Defaults to `0.1`.
        max_drop: fall of the margin-robust accuracy, in (0, 1]. Defaults to `0.2`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    signal = MarginSignal()
    signal.close_epoch({"margin_robust_accuracy": 0.6})
    signal.close_epoch({"margin_robust_accuracy": 0.6})
    signal.read({"margin_robust_accuracy": 0.3})  # what turned, in words
    ```
    """

    def __init__(self, max_shortfall: float = 0.1, max_drop: float = 0.2):
        bounds: dict[str, Any] = {"minimum": 0.0, "maximum": 1.0, "strict": True}
        self.max_shortfall = check_number(max_shortfall, "max_shortfall", **bounds)
        self.max_drop = check_number(max_drop, "max_drop", **bounds)
        self.reset()

    def reset(self) -> None:
        """Forgets all levels."""
        self._lowest_shortfall = 1.0
        self._previous_robust = 0.0
        self._sustained = 0.0

    def read(self, logs: Mapping[str, Any]) -> str | None:
        """What turned, in words, or None; the levels stay as they are.

        Args:
            logs: `margin_robust_accuracy` and, of some attacks, `attack_shortfall`, as training
                logs them after a step or an epoch.
        """
        robust, shortfall = logs.get("margin_robust_accuracy"), logs.get("attack_shortfall")
        if robust is None:
            return None
        if shortfall is not None and shortfall >= self._lowest_shortfall + self.max_shortfall:
            return f"the attack falls short of its gradient on {shortfall:.1%} of the samples"
        if robust <= self._sustained - self.max_drop:
            return f"the margin-robust accuracy fell to {robust:.3f} from {self._sustained:.3f}"
        return None

    def close_epoch(self, logs: Mapping[str, Any]) -> str | None:
        """The same at the end of an epoch, whose values join the levels."""
        robust, shortfall = logs.get("margin_robust_accuracy"), logs.get("attack_shortfall")
        if robust is None:
            return None
        self._sustained = max(self._sustained, min(robust, self._previous_robust))
        self._previous_robust = robust
        if shortfall is not None:
            self._lowest_shortfall = min(self._lowest_shortfall, shortfall)
        return self.read(logs)

    def get_state(self) -> dict[str, float]:
        """The levels, as plain values."""
        return {
            "lowest_shortfall": float(self._lowest_shortfall),
            "previous_robust": float(self._previous_robust),
            "sustained": float(self._sustained),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes back `get_state()`; other keys are left alone."""
        self._lowest_shortfall = state["lowest_shortfall"]
        self._previous_robust = state["previous_robust"]
        self._sustained = state["sustained"]
