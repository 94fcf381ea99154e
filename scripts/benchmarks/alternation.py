"""Rounds of several trainings in turn, so that a machine that slows down slows all of them."""

import statistics
from collections.abc import Callable, Iterable
from typing import NamedTuple

from reporting.result_table import ResultTable


class Contender(NamedTuple):
    """A training that goes on where it was.

    Attributes:
        name: what it is called in the tables.
        round: trains one more round and returns its images a second.
    """

    name: str
    round: Callable[[], float]


class Ratio(NamedTuple):
    """How many times as fast a contender is as another one.

    Attributes:
        of: name of the first contender.
        over: name of the second one.
        median: of the ratios of their neighboring rounds.
        lowest: of these.
        highest: of these.
    """

    of: str
    over: str
    median: float
    lowest: float
    highest: float


def alternate(contenders: Iterable[Contender], turns: Iterable[int]) -> dict[str, list[float]]:
    """Images a second of each round, by contender, after a turn of warm-up.

    Args:
        contenders: in the order of a turn.
        turns: one element for each turn.
    """
    contenders = list(contenders)
    # Also those that have trained before: a seed that is set clears what TensorFlow compiled.
    for contender in contenders:
        contender.round()
    rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for _ in turns:
        for contender in contenders:
            rates[contender.name].append(contender.round())
    return rates


def ratio(rates: dict[str, list[float]], of: str, over: str) -> Ratio:
    """The speed of a contender over that of another, turn by turn.

    Args:
        rates: images a second, see `alternate`.
        of: name of the first contender.
        over: name of the second one; the same one gives 1.
    """
    ratios = [a / b for a, b in zip(rates[of], rates[over], strict=True)]
    return Ratio(of, over, statistics.median(ratios), min(ratios), max(ratios))


def rate_table(rates: dict[str, list[float]]) -> ResultTable:
    """Images a second of each training.

    Args:
        rates: those of each round.
    """
    rounds = len(next(iter(rates.values())))
    rows = []
    for name, values in rates.items():
        figures = (statistics.median(values), min(values), max(values))
        rows.append([name, *(f"{figure:,.0f}" for figure in figures)])
    headings = ("training", "images/s", "lowest", "highest")
    return ResultTable(headings, rows, f"training steps, median of {rounds} rounds in turn")


def ratio_table(ratios: Iterable[Ratio]) -> ResultTable:
    """How many times as fast one training is as another.

    Args:
        ratios: one a row.
    """
    rows = [
        [row.of, row.over, *(f"{value:.2f}" for value in (row.median, row.lowest, row.highest))]
        for row in ratios
    ]
    headings = ("speed of", "over", "ratio", "lowest", "highest")
    return ResultTable(headings, rows, "median of the rounds' ratios", words=2)
