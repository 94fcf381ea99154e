"""The tables on what each piece of the method is worth, and on the paper's claims."""

from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from reporting.result_table import ResultTable, difference, half_width, seeds_to_tell
from reporting.written.figures import DATA_SETS, RESULTS, load
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
# The folders of changes that need another recipe, where the data set's own is not such a one.
_FOLDERS = {
    "alignment": "pieces_crops",
    "step": "pieces_whole_ball",
    "step-rising": "pieces_rising",
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
    return lambda dataset: [sign * value for value in _differences(dataset, variant)]


def _own_lambda(dataset: str) -> str:
    """The change that puts the re-constructor in with the paper's lambda."""
    return "lambda-0.05" if dataset.startswith("cifar10") else "reconstructor"


def _best_lambda(dataset: str) -> list[float]:
    """What the paper's lambda has on the best of the others."""
    own = _own_lambda(dataset)
    found = {
        name: _by_seed(dataset, name)
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
        lambda dataset: _differences(dataset, _own_lambda(dataset)),
    ),
    _Claim("Its lambda is best near 0.1, on CIFAR-10 near 0.05 (Table 2)", _best_lambda),
    _Claim(
        "Label smoothing makes it more robust (Table 3)", _gain("label-smoothing", taken_out=True)
    ),
)


@table
def paper_claims() -> ResultTable:
    """Each claim of the paper on each data set: holds, does not, or cannot be told."""
    shown = _shown()
    rows = [[one.words, *(_verdict(one.gains(dataset)) for dataset in shown)] for one in _CLAIMS]
    return ResultTable(("claim", *shown.values()), rows, words=1 + len(shown))


@table
def pieces_overview() -> ResultTable:
    """What each piece changes of robust accuracy, on each data set."""
    shown = _shown()
    rows = [["robust accuracy of the base", *(_of_base(dataset) for dataset in shown)]]
    for name, words in _NAMES.items():
        found = [_differences(dataset, name) for dataset in shown]
        if any(found):
            rows.append([words, *(_told(values) for values in found)])
    return ResultTable(("change", *shown.values()), rows)


@table
def pieces_mnist() -> ResultTable:
    """All variants on MNIST."""
    return _all_variants("mnist")


@table
def pieces_mnist_rising() -> ResultTable:
    """The step of epsilon on MNIST, where the ball rises."""
    return pieces(load("mnist/pieces_rising/ablation.json")["summary"], with_margins=True)


@table
def pieces_fashion_mnist() -> ResultTable:
    """All variants on Fashion-MNIST."""
    return _all_variants("fashion_mnist")


def _shown() -> dict[str, str]:
    """The data sets that have figures."""
    return {name: said for name, said in DATA_SETS.items() if _file(name, "base").exists()}


def _file(dataset: str, change: str) -> Path:
    """The ablation that a change is of."""
    other = RESULTS / dataset / _FOLDERS.get(change, "pieces") / "ablation.json"
    return other if other.exists() else RESULTS / dataset / "pieces/ablation.json"


def _found(dataset: str, change: str) -> dict[str, Any]:
    """The ablation that a change is of."""
    path = _file(dataset, change)
    found: dict[str, Any] = load(str(path.relative_to(RESULTS))) if path.exists() else {}
    return found


def _variant(dataset: str, change: str) -> tuple[str | None, float]:
    """What makes a change in the recipe of a data set, and by which sign; None if nothing does."""
    base = _found(dataset, change).get("base", {})
    options = base.get("method_options", {})
    if change in ("step", "step-rising"):
        rises = base.get("epsilon_warmup_epochs", 0.0) > 0
        # A recipe that has a step of epsilon already has the other one as its variant.
        sign = 1.0 if options.get("step_size") is None else -1.0
        return "step" if rises == (change == "step-rising") else None, sign
    if options.get("first_visit") == "corner":
        # Without memory such a recipe starts in a random corner.
        named = {"random-corner": "no-memory", "no-memory": "random-noise"}
        return named.get(change, change), 1.0
    return change, 1.0


def _by_seed(dataset: str, change: str) -> dict[str, float]:
    """Robust accuracies of what makes a change."""
    variant, _ = _variant(dataset, change)
    runs = _found(dataset, change).get("runs", {})
    marked = {name.rpartition("-seed") for name in runs}
    return {
        seed: runs[f"{variant}-seed{seed}"]["robust_accuracy"]
        for seed in sorted(seed for name, _, seed in marked if name == variant)
    }


def _differences(dataset: str, change: str) -> list[float]:
    """What a change does to the base of the same ablation, seed by seed."""
    found, (_, sign) = _by_seed(dataset, change), _variant(dataset, change)
    runs = _found(dataset, change).get("runs", {})
    base = {seed: runs[f"base-seed{seed}"]["robust_accuracy"] for seed in found}
    return [sign * (found[seed] - base[seed]) for seed in found]


def _of_base(dataset: str) -> str:
    shares = list(_by_seed(dataset, "base").values())
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
