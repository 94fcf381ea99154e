"""The hyperparameters that can be searched, and their ranges."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from keras_efgsm.checks import check_choice, check_number
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import find_method


@dataclass(frozen=True)
class Range:
    """Where a hyperparameter is searched.

    Args:
        low: smallest value.
        high: largest value.
        log: whether equal ratios are equally likely, and not equal differences. Defaults to
            `False`.

    Raises:
        ValueError: if the bounds are no finite numbers in rising order, or `log` goes with a bound
            that is not above zero.

    Example:

    ```python
    Range(1e-3, 10.0, log=True)
    ```
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", check_number(self.low, "low"))
        object.__setattr__(self, "high", check_number(self.high, "high"))
        if self.low >= self.high:
            raise ValueError(
                "A range must rise from its low end to its high end. "
                f"Received: low={self.low:g}, high={self.high:g}"
            )
        if self.log and self.low <= 0.0:
            raise ValueError(
                f"A range with a logarithmic scale must begin above zero. Received: low={self.low}"
            )

    def is_near_end(self, value: float) -> str | None:
        """`"low"` or `"high"` if a value lies in the outer twentieth of the range, else None."""
        share = self._scale(value)
        return "low" if share < 0.05 else "high" if share > 0.95 else None

    def _scale(self, value: float) -> float:
        if not self.log:
            return (value - self.low) / (self.high - self.low)
        from math import log

        return log(value / self.low) / log(self.high / self.low)


SEARCHABLE = ("lambda", "sigma", "label_smoothing", "decay", "learning_rate")
"""Hyperparameters that a search may choose.

- `"lambda"`: weight of the classification loss beside the re-construction loss (equation 16).
- `"sigma"`: standard deviation of eFGSM's random start, in pixels of [0, 1].
- `"label_smoothing"`: share of each label that is spread over the classes.
- `"decay"`: weight of the past in the per-sample momentum.
- `"learning_rate"`: peak of the cosine schedule.
"""

_OF_METHOD = ("lambda", "sigma", "decay")


def default_range(name: str, epsilon: float) -> Range:
    """Where a hyperparameter is searched unless told otherwise.

    Args:
        name: one of `SEARCHABLE`.
        epsilon: the radius of the run; the random start is measured by it.

    Raises:
        ValueError: if it cannot be searched.
    """
    ranges = {
        "lambda": Range(1e-3, 10.0, log=True),
        "sigma": Range(0.0, epsilon),
        "label_smoothing": Range(0.0, 0.3),
        "decay": Range(0.5, 0.99),
        "learning_rate": Range(3e-4, 1e-2, log=True),
    }
    return ranges[check_choice(name, "parameters", SEARCHABLE)]


def make_ranges(
    config: TrainingConfig,
    names: Iterable[str],
    given: Mapping[str, tuple[float, float] | Range] | None = None,
) -> dict[str, Range]:
    """The ranges of a search, in the order of `SEARCHABLE`.

    Args:
        config: the run whose hyperparameters are searched.
        names: which of them, out of `SEARCHABLE`.
        given: `(low, high)` or a `Range` for those whose default range is not wanted. Defaults to
            none.

    Raises:
        ValueError: if a name is unknown, comes twice or is not an option of the run's method, or a
            range is given for a name that is not searched.

    Example:

    ```python
    make_ranges(PRESETS["mnist-joint"], ["lambda", "sigma"], {"sigma": (0.0, 0.2)})
    ```
    """
    names = [check_choice(name, "parameters", SEARCHABLE) for name in names]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            "`parameters` must name one or more hyperparameters, each once. "
            f"Received: parameters={names}"
        )
    options = find_method(config.method).options
    missing = [name for name in names if name in _OF_METHOD and name not in options]
    if missing:
        raise ValueError(
            f"`parameters` must be options of the method {config.method!r}, which has no "
            f"{', '.join(missing)}. Received: parameters={names}"
        )
    given = dict(given or {})
    unsearched = [name for name in given if name not in names]
    if unsearched:
        raise ValueError(
            f"A range must be that of a hyperparameter that is searched, {', '.join(names)}. "
            f"Received: ranges for {', '.join(unsearched)}"
        )
    ranges = {}
    for name in sorted(names, key=SEARCHABLE.index):
        default = default_range(name, config.epsilon)
        own = given.get(name, default)
        ranges[name] = own if isinstance(own, Range) else replace(default, low=own[0], high=own[1])
        # The ends of a range are the strictest values; a run made of them tells if they are bad.
        for end in (ranges[name].low, ranges[name].high):
            with_values(config, {name: end})
    return ranges


def values_of(config: TrainingConfig, names: Iterable[str]) -> dict[str, float]:
    """The values that a run has of some hyperparameters.

    Args:
        config: the run.
        names: out of `SEARCHABLE`.
    """
    return {
        name: float(config.method_option(name) if name in _OF_METHOD else getattr(config, name))
        for name in names
    }


def with_values(config: TrainingConfig, values: Mapping[str, Any]) -> TrainingConfig:
    """The run with other values of some hyperparameters.

    Args:
        config: the run.
        values: value by name out of `SEARCHABLE`.

    Raises:
        ValueError: if a value is out of its bounds.
    """
    options = {name: float(value) for name, value in values.items() if name in _OF_METHOD}
    fields: dict[str, Any] = {
        name: float(value) for name, value in values.items() if name not in _OF_METHOD
    }
    return replace(config, method_options={**config.method_options, **options}, **fields)
