"""The tables on Fashion-MNIST."""

from statistics import fmean
from typing import Any

from reporting.result_table import ResultTable, difference, half_width
from reporting.written.attacks import attack_by_attack
from reporting.written.figures import RESULTS, load
from reporting.written.table import percent, table

PRESET = "fashion_mnist/standard/ablation.json"
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
    """What the preset withstands, attack by attack."""
    return attack_by_attack(PRESET)


@table
def fashion_mnist_equal_seconds() -> ResultTable:
    """All methods at equal seconds and PGD at five times these, the most robust first."""
    runs = {
        **_last_points(_EQUAL),
        **{f"{name}, 5 x": p for name, p in _last_points(_FIVE).items()},
    }
    ours = {seed: point["robust_accuracy"] for seed, point in runs["efgsm"].items()}

    def mean(name: str, key: str) -> float:
        return fmean(point[key] for point in runs[name].values())

    rows = []
    for name in sorted(runs, key=lambda name: -mean(name, "robust_accuracy")):
        method, _, longer = name.partition(", ")
        robust = {seed: point["robust_accuracy"] for seed, point in runs[name].items()}
        several = len(robust) > 1
        half = f" ±{100 * half_width(list(robust.values())):.1f}" if several else ""
        adp = fmean(point["accuracy_after"]["apgd-t"] for point in runs[name].values())
        gaps = [robust[seed] - ours[seed] for seed in robust]
        rows.append(
            [
                _NAMES[method] + (f", {longer} the seconds" if longer else ""),
                str(len(robust)),
                f"{mean(name, 'seconds'):.0f}",
                f"{mean(name, 'epochs'):.1f}",
                percent(mean(name, "natural_accuracy"), 1),
                percent(adp, 1),
                percent(fmean(robust.values()), 1) + half,
                "" if name == "efgsm" else difference(gaps),
            ]
        )
    headings = ("method", "seeds", "seconds", "epochs", "natural", "`adp`", "`standard`")
    return ResultTable((*headings, "to the preset"), rows)


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


def _last_points(folder: str) -> dict[str, dict[int, dict[str, Any]]]:
    """What each run of `time_to_robustness.py` came to, by method and seed.

    Args:
        folder: below `results/`.
    """
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for label, run in sorted(load(f"{folder}/time_to_robustness.json")["runs"].items()):
        method, _, seed = label.rpartition("-seed")
        found.setdefault(method, {})[int(seed)] = run["points"][-1]
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
