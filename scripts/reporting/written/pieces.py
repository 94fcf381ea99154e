"""The tables on what each piece of the method is worth, and on the paper's claims."""

from collections.abc import Callable
from statistics import fmean
from typing import NamedTuple

from reporting.result_table import ResultTable, difference, half_width, seeds_to_tell
from reporting.written.figures import load
from reporting.written.piece_figures import by_seed, differences, other_recipes, shown
from reporting.written.table import percent, pieces, table

_NAMES = {
    "universal": "one universal start for all samples",
    "no-memory": "no memory: noise alone as the start",
    "random-corner": "no memory: a random corner of the ball as the start",
    "step": "a step of epsilon, not to the boundary, in the whole ball from the start",
    "step-rising": "the same, in a ball that rises at first",
    "rivals": "the nearest of all boundaries, not the runner-up's",
    "momentum-from": "the memory of perturbations, as printed",
    "lambda-0.02": "re-constructor, lambda 0.02",
    "lambda-0.05": "re-constructor, lambda 0.05",
    "reconstructor": "re-constructor, lambda 0.1",
    "lambda-0.2": "re-constructor, lambda 0.2",
    "lambda-0.5": "re-constructor, lambda 0.5",
    "lambda-1": "re-constructor, lambda 1",
    "reconstructor-alone": "re-constructor and no attack",
    "label-smoothing": "no label smoothing",
    "consistency": "logit consistency of weight 10",
    "nuclear": "nuclear norm of weight 4",
    "averaging": "no averaged weights",
    "fgsm-rs": "FGSM-RS in its place",
    "curve": "a learned curve before the network",
    "alignment": "crops, memory not moved with them",
}


class _Claim(NamedTuple):
    """What the paper says, and whose difference to what tells.

    Attributes:
        words: what is said.
        gains: of a data set, seed by seed in [-1, 1]; positive where it holds.
    """

    words: str
    gains: Callable[[str], list[float]]


def _gain(variant: str, *, taken_out: bool = False) -> Callable[[str], list[float]]:
    """What the variant gains on the base, or what the base has by a piece that it takes out."""
    sign = -1.0 if taken_out else 1.0
    return lambda dataset: [sign * value for value in differences(dataset, variant)]


def _own_lambda(dataset: str) -> str:
    """The change that puts the re-constructor in with the paper's lambda."""
    return "lambda-0.05" if dataset.startswith("cifar10") else "reconstructor"


def _best_lambda(dataset: str) -> list[float]:
    """What the paper's lambda has on the best of the others."""
    own = _own_lambda(dataset)
    found = {
        name: by_seed(dataset, name)
        for name in _NAMES
        if name.startswith("lambda-") or name == "reconstructor"
    }
    ours = found.pop(own)
    # On the seeds that both have.
    gains = [[ours[seed] - one[seed] for seed in ours if seed in one] for one in found.values()]
    return min(filter(None, gains), key=fmean, default=[])


_CLAIMS = (
    _Claim(
        "The memory of a sample's past attacks makes the better start (eq. 13): than noise alone",
        _gain("no-memory", taken_out=True),
    ),
    _Claim("than a random corner of the ball", _gain("random-corner", taken_out=True)),
    _Claim("than one corner for all samples", _gain("universal", taken_out=True)),
    _Claim(
        "A step to the boundary is better than one of epsilon (eq. 12), in the whole ball from "
        "the start",
        _gain("step", taken_out=True),
    ),
    _Claim("and in a ball that rises at first", _gain("step-rising", taken_out=True)),
    _Claim("To the nearest of all boundaries, not the runner-up's (eq. 12)", _gain("rivals")),
    _Claim(
        "eFGSM is better than one-step training from a random start",
        _gain("fgsm-rs", taken_out=True),
    ),
    _Claim(
        "The re-constructor makes the classifier more robust (Table 4)",
        lambda dataset: differences(dataset, _own_lambda(dataset)),
    ),
    _Claim("Its lambda is best near 0.1, on CIFAR-10 near 0.05 (Table 2)", _best_lambda),
    _Claim(
        "Label smoothing makes it more robust (Table 3)", _gain("label-smoothing", taken_out=True)
    ),
)


@table
def paper_claims() -> ResultTable:
    """Each claim of the paper on each data set: holds, does not, or cannot be told."""
    sets = shown()
    rows = [[one.words, *(_verdict(one.gains(dataset)) for dataset in sets)] for one in _CLAIMS]
    return ResultTable(("claim", *sets.values()), rows, words=1 + len(sets))


@table
def pieces_overview() -> ResultTable:
    """What each piece changes of robust accuracy, on each data set."""
    sets = shown()
    rows = [["robust accuracy of the base", *(_of_base(dataset) for dataset in sets)]]
    for name, words in _NAMES.items():
        found = [differences(dataset, name) for dataset in sets]
        if any(found):
            rows.append([words, *(_told(values) for values in found)])
    return ResultTable(("change", *sets.values()), rows)


@table
def pieces_mnist() -> ResultTable:
    """All variants on MNIST."""
    return _all_variants("mnist")


@table
def pieces_fashion_mnist() -> ResultTable:
    """All variants on Fashion-MNIST."""
    return _all_variants("fashion_mnist")


@table
def pieces_cifar10() -> ResultTable:
    """All variants on CIFAR-10."""
    return _all_variants("cifar10_jpeg75")


@table
def pieces_of_other_recipes() -> ResultTable:
    """Changes that need another recipe than the data set's own, beside the base of that recipe."""
    rows = [
        [said, recipe, *cells]
        for dataset, said in shown().items()
        for recipe, summary in other_recipes(dataset).items()
        for cells in pieces(summary, with_margins=True).rows
    ]
    headings = pieces([], with_margins=True).headings
    return ResultTable(("data", "recipe", *headings), rows, words=4)


def _of_base(dataset: str) -> str:
    shares = list(by_seed(dataset, "base").values())
    half = f" ±{100 * half_width(shares):.1f}" if len(shares) > 1 else ""
    return percent(fmean(shares), 1) + half


def _told(values: list[float]) -> str:
    """A difference, bold where its interval is all on one side of nothing."""
    if not values:
        return "-"
    said = difference(values)
    return f"**{said}**" if _side(values) else said


def _side(values: list[float]) -> int:
    """Of nothing, on which the 95 % interval lies; 0 if on both or of one seed alone."""
    if len(values) < 2:
        return 0
    mean, half = fmean(values), half_width(values)
    return (mean > half) - (mean < -half)


def _verdict(gains: list[float]) -> str:
    if not gains:
        return "not measured"
    side, said = _side(gains), difference(gains)
    if len(gains) == 1:
        return f"cannot be told: {said}, one seed"
    if side:
        return f"**{'holds' if side > 0 else 'does not'}**: {said}"
    number = seeds_to_tell(gains)
    takes = f"; about {number} seeds would tell" if number else ""
    return f"cannot be told: {said}{takes}"


def _all_variants(dataset: str) -> ResultTable:
    return pieces(load(f"{dataset}/pieces/ablation.json")["summary"], with_margins=True)
