"""The wording of figures: shares, counts, times, sizes, radii, budgets, data."""

import math
import re
from collections.abc import Sequence
from typing import Any, Protocol

DASH = "\u2013"
INTERVAL = "95 %"
"""What a column of intervals is called."""
INTERVAL_MEANS = "the Wilson interval, what chance in so many images leaves open"


class Spending(Protocol):
    """What has the budget of an attack: `AttackRecord`, `AttackResult`."""

    @property
    def steps(self) -> int | None: ...

    @property
    def step_size(self) -> float | None: ...

    @property
    def rounds(self) -> int | None: ...

    @property
    def queries(self) -> int | None: ...

    @property
    def restarts(self) -> int | None: ...


def percent(fraction: Any, digits: int = 2) -> str:
    """A share in per cent; a dash if it is not a number.

    Args:
        fraction: in [0, 1].
        digits: how many after the point. Defaults to `2`.

    Example:

    ```python
    percent(0.98765)  # '98.77 %'
    ```
    """
    return f"{100 * fraction:.{digits}f} %" if is_number(fraction) else DASH


def interval(bounds: Sequence[float] | None) -> str:
    """The interval in which a share lies, in per cent; empty if it is not known.

    Args:
        bounds: lower and upper, in [0, 1]; None if they are not known.

    Example:

    ```python
    interval((0.4562, 0.5438))  # '45.6\u201354.4 %'
    ```
    """
    if bounds is None:
        return ""
    low, high = bounds
    return f"{100 * low:.1f}{DASH}{100 * high:.1f} %"


def with_interval(fraction: Any, bounds: Sequence[float] | None) -> str:
    """A share in per cent, with the interval in which it lies behind it if that is known.

    Args:
        fraction: in [0, 1].
        bounds: lower and upper, in [0, 1]; None if they are not known.

    Example:

    ```python
    with_interval(0.5, (0.4562, 0.5438))  # '50.00 % (95 %: 45.6\u201354.4 %)'
    ```
    """
    about = f" ({INTERVAL}: {interval(bounds)})" if bounds is not None else ""
    return f"{percent(fraction)}{about}"


def number(value: Any, unit: str = "") -> str:
    """A number in at most four significant digits, whole ones in full; a dash for None.

    Args:
        value: the number; text stays as it is.
        unit: what is counted or measured. Defaults to nothing.

    Example:

    ```python
    number(185354), number(0.123456, "ms")  # ('185,354', '0.1235 ms')
    ```
    """
    if not is_number(value):
        return DASH if value is None else str(value)
    whole = isinstance(value, int) or float(value).is_integer()
    return (f"{int(value):,}" if whole else f"{value:.4g}") + (f" {unit}" if unit else "")


def count(value: Any, noun: str) -> str:
    """A count with what is counted, in the plural where it is not one.

    Args:
        value: how many.
        noun: the singular.

    Example:

    ```python
    count(1, "step"), count(2000, "image")  # ('1 step', '2,000 images')
    ```
    """
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number(value)} {noun if value == 1 else plural}"


def selected(num_images: Any, selection: str | None, *, first: bool = False) -> str:
    """How many images were taken, and how they were chosen.

    Args:
        num_images: how many.
        selection: `"first"`, or `"by class, seed 0"`; None is the first.
        first: whether it is said of the first ones that they are these. Defaults to `False`.

    Example:

    ```python
    selected(50, "by class, seed 0")  # '50 images (drawn by class, seed 0)'
    selected(50, "first", first=True)  # 'the first 50 images'
    ```
    """
    how = drawn(selection)
    return f"{'the first ' if first and not how else ''}{count(num_images, 'image')}{how}"


def warnings(missing: str, doubts: Sequence[str]) -> str:
    """What follows the caption of a table, each with a blank before it; empty for most.

    Args:
        missing: of the classes that are not among the images; empty if all are.
        doubts: sentences on why the figures are not to be trusted.

    Example:

    ```python
    warnings("class 3 is missing", ())  # ' Warning: class 3 is missing.'
    ```
    """
    noted = [f" Warning: {missing}."] if missing else []
    return "".join([*noted, *(f" WARNING: {doubt}" for doubt in doubts)])


def drawn(selection: str | None) -> str:
    """What follows a number of images that are not the first ones; empty for those.

    Args:
        selection: `"first"`, or `"by class, seed 0"`; None is the first.

    Example:

    ```python
    drawn("by class, seed 0")  # ' (drawn by class, seed 0)'
    ```
    """
    return "" if selection in (None, "first") else f" (drawn {selection})"


def seconds(value: Any) -> str:
    """A time in seconds, to a tenth below 100 s; a dash if it is not a number.

    Example:

    ```python
    seconds(12.345), seconds(547.26)  # ('12.3 s', '547 s')
    ```
    """
    if not is_number(value):
        return DASH
    return f"{value:.1f} s" if abs(value) < 99.95 else f"{value:,.0f} s"


def size(num_bytes: int) -> str:
    """A number of bytes in the largest unit that fits.

    Example:

    ```python
    size(47_040_000)  # '47.0 MB'
    ```
    """
    units = ("B", "kB", "MB", "GB", "TB")
    power = 0
    while round(num_bytes / 1000**power, 1) >= 1000 and power < len(units) - 1:
        power += 1
    return f"{num_bytes / 1000**power:.{1 if power else 0}f} {units[power]}"


def norm_name(norm: str | None) -> str:
    """What a norm is called; None is that of files of before there were others, L-infinity.

    Example:

    ```python
    norm_name("l2"), norm_name("linf")  # ('L2', 'L-infinity')
    ```
    """
    return {"linf": "L-infinity", "l2": "L2"}.get(norm or "linf", str(norm))


def radius(epsilon: Any, norm: str | None = "linf") -> str:
    """A radius in pixels of [0, 1], also in 255ths if it is meant as such; of L2 it says so.

    Args:
        epsilon: the radius.
        norm: of the ball; None is L-infinity. Defaults to `"linf"`.

    Example:

    ```python
    radius(8 / 255), radius(0.3), radius(2.0, "l2")  # ('0.03137 (8/255)', '0.3', '2 (L2)')
    ```
    """
    if not is_number(epsilon):
        return number(epsilon)
    if norm not in (None, "linf"):
        return f"{epsilon:.4g} ({norm_name(norm)})"
    levels = round(epsilon * 255)
    whole = 0 < levels < 255 and math.isclose(epsilon * 255, levels, abs_tol=1e-3)
    # 0.2 is 51/255, but nobody means it so.
    short = len(f"{epsilon:g}") <= 4
    return f"{epsilon:.4g} ({levels}/255)" if whole and not short else f"{epsilon:.4g}"


def short_radius(epsilon: Any) -> str:
    """A radius as short as a tick or label must be: only the 255ths where these are meant.

    Args:
        epsilon: the radius.

    Example:

    ```python
    short_radius(8 / 255), short_radius(0.3)  # ('8/255', '0.3')
    ```
    """
    return radius(epsilon).partition("(")[2].rstrip(")") or radius(epsilon)


def budget(attack: Spending) -> str:
    """What an attack may spend on an image; empty where nothing is known of it.

    Args:
        attack: has `steps`, `step_size`, `rounds`, `queries` and `restarts`.

    Example:

    ```python
    from keras_efgsm.records import AttackRecord

    attack = AttackRecord(name="apgd-t", steps=100, rounds=9, robust_accuracy=0.5)
    budget(attack)  # '100 steps x 9 targets'
    ```
    """
    spent = []
    if attack.steps is not None:
        of = "" if attack.step_size is None else f" of {number(attack.step_size)}"
        spent.append(f"{count(attack.steps, 'step')}{of}")
    if attack.queries is not None:
        spent.append(count(attack.queries, "query"))
    parts = [", ".join(spent)] if spent else []
    for repeated, noun in ((attack.rounds, "target"), (attack.restarts, "restart")):
        if repeated is not None and repeated > 1:
            parts.append(f"x {count(repeated, noun)}")
    return " ".join(parts)


def data_name(dataset: Any, split: Any = None) -> str:
    """A data set with its split; of a path only the last part, as the rest means nothing elsewhere.

    Args:
        dataset: its name, which may have the split in it, or its path.
        split: the part of it. Defaults to none.

    Example:

    ```python
    data_name("pictures/cats", "test")  # 'cats (test)'
    ```
    """
    parts = str(dataset).rstrip("/").split("/")
    # tensorflow-datasets write mnist/3.0.1:test.
    is_versioned = len(parts) == 2 and re.match(r"\d+\.\d+\.\d+", parts[1])
    name = "/".join(parts) if is_versioned else parts[-1]
    return name if split is None or name.endswith(f":{split}") else f"{name} ({split})"


def in_words(value: Any) -> str:
    """Any JSON value as a phrase.

    Example:

    ```python
    in_words({"learning_rate": 0.01, "flip": True})  # 'learning rate: 0.01; flip: yes'
    ```
    """
    if isinstance(value, dict):
        return "; ".join(f"{str(k).replace('_', ' ')}: {in_words(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(in_words(v) for v in value)
    return "yes" if value is True else "no" if value is False else number(value)


def is_number(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def unbroken(text: str) -> str:
    """Text in which no line ends between a number and its unit, by spaces that do not break."""
    return re.sub(r"(?<=\d) (?=(?:%|s|B|kB|MB|GB|TB)(?:\W|$))", "\u00a0", text)
