"""The tables on Fashion-MNIST."""

from statistics import fmean
from typing import Any

from reporting.result_table import ResultTable, difference, half_width
from reporting.written.attacks import attack_by_attack
from reporting.written.figures import RESULTS, load
from reporting.written.table import percent, table

_EQUAL, _FIVE = "fashion_mnist/equal_seconds", "fashion_mnist/pgd_five_times"
_NAMES = {
    "efgsm": "**`efgsm`, the preset**",
    "pgd": "PGD-10",
    "trades": "TRADES-10",
    "fgsm-rs": "FGSM-RS",
    "n-fgsm": "N-FGSM",
    "fgsm-pgi": "FGSM-PGI",
    "nuat": "NuAT",
}


@table
def fashion_mnist_preset() -> ResultTable:
    """What the preset `fashion-mnist` withstands, attack by attack."""
    return attack_by_attack("fashion_mnist/standard/ablation.json")


@table
def fashion_mnist_equal_seconds() -> ResultTable:
    """All methods at equal seconds and PGD at five times these, the most robust first."""
    runs = {**_points(_EQUAL), **{f"{name}, 5 x": p for name, p in _points(_FIVE).items()}}
    ours = [point["robust_accuracy"] for point in runs["efgsm"]]

    def mean(points: list[dict[str, Any]], key: str) -> float:
        return fmean(point[key] for point in points)

    rows = []
    for name, points in sorted(runs.items(), key=lambda item: -mean(item[1], "robust_accuracy")):
        method, _, longer = name.partition(", ")
        robust = [point["robust_accuracy"] for point in points]
        adp = fmean(point["accuracy_after"]["apgd-t"] for point in points)
        said = _NAMES[method] + (f", {longer} the seconds" if longer else "")
        gap = [theirs - own for theirs, own in zip(robust, ours, strict=True)]
        rows.append(
            [
                said,
                f"{mean(points, 'seconds'):.0f}",
                f"{mean(points, 'epochs'):.1f}",
                percent(mean(points, "natural_accuracy"), 1),
                percent(adp, 1),
                f"{percent(fmean(robust), 1)} ±{100 * half_width(robust):.1f}",
                "" if name == "efgsm" else difference(gap),
            ]
        )
    headings = ("method", "seconds", "epochs", "natural", "`adp`", "`standard`", "to the preset")
    return ResultTable(headings, rows)


@table
def fashion_mnist_own_best() -> ResultTable:
    """What held-out images said of the recipes that were tried, method by method."""
    rows = []
    for path in sorted((RESULTS / "fashion_mnist/own_best").glob("*/ablation.json")):
        found = load(str(path.relative_to(RESULTS)))
        run = found["runs"]["base-seed0"]
        config = run["config"]
        rows.append(
            [
                _NAMES[config["method"]].strip("*").removesuffix(", the preset"),
                f"{config['epsilon_factor']:g}",
                f"{config['label_smoothing']:.3g}",
                f"{config['learning_rate']:g}",
                _options(config["method_options"]),
                str(run["epochs"]),
                percent(run["natural_accuracy"], 1),
                percent(run["robust_accuracy"], 1),
            ]
        )
    headings = ("method", "ball", "smoothing", "rate", "options", "epochs", "natural", "`adp`")
    return ResultTable(headings, sorted(rows, key=lambda row: row[0].lower()), words=5)


def _points(folder: str) -> dict[str, list[dict[str, Any]]]:
    """The last mark of each run, by method, in the order of the seeds."""
    found: dict[str, list[dict[str, Any]]] = {}
    for label, run in sorted(load(f"{folder}/time_to_robustness.json")["runs"].items()):
        found.setdefault(label.rpartition("-seed")[0], []).append(run["points"][-1])
    return found


def _options(options: dict[str, Any]) -> str:
    """Those that were tried, in words."""
    words = {
        "consistency_weight": "consistency {:g}",
        "first_visit": "first visit {}",
        "step_size": "step {:g}",
        "steps": "{} steps",
    }
    given = [form.format(options[key]) for key, form in words.items() if options.get(key)]
    return ", ".join(one for one in given if one != "first visit gaussian") or "-"
