"""What each change of a recipe does to robust accuracy, seed by seed, from the ablations' files."""

from pathlib import Path
from typing import Any, NamedTuple

from reporting.written.figures import DATA_SETS, RESULTS, load


class _Recipe(NamedTuple):
    """Another recipe than the data set's own, which some change is measured in.

    Attributes:
        folder: of its ablation, in that of the data set.
        words: what is different in it.
    """

    folder: str
    words: str


# By the change that needs one; a data set whose own recipe is such a one has it there.
_OTHER_RECIPES = {
    "alignment": _Recipe("pieces_crops", "crops of 2 pixels"),
    "step-rising": _Recipe("pieces_rising", "a ball that rises for 3 epochs"),
    "step": _Recipe("pieces_whole_ball", "the whole ball from the start"),
}


def shown() -> dict[str, str]:
    """The data sets that have figures, by name, as they are called."""
    return {name: said for name, said in DATA_SETS.items() if _file(name, "base").exists()}


def _file(dataset: str, change: str) -> Path:
    """The ablation that a change is of."""
    own = RESULTS / dataset / "pieces/ablation.json"
    if change not in _OTHER_RECIPES:
        return own
    other = RESULTS / dataset / _OTHER_RECIPES[change].folder / "ablation.json"
    return other if other.exists() else own


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


def other_recipes(dataset: str) -> dict[str, list[dict[str, Any]]]:
    """The summaries of the ablations of another recipe, by what is different in it.

    Args:
        dataset: a name in `DATA_SETS`.
    """
    paths = {one.words: f"{dataset}/{one.folder}/ablation.json" for one in _OTHER_RECIPES.values()}
    return {
        words: load(path)["summary"] for words, path in paths.items() if (RESULTS / path).exists()
    }


def by_seed(dataset: str, change: str) -> dict[str, float]:
    """Robust accuracies of what makes a change, in [0, 1], by seed; none if it was not trained.

    Args:
        dataset: a name in `DATA_SETS`.
        change: `"base"` or one that the tables have.
    """
    variant, _ = _variant(dataset, change)
    runs = _found(dataset, change).get("runs", {})
    marked = {name.rpartition("-seed") for name in runs}
    return {
        seed: runs[f"{variant}-seed{seed}"]["robust_accuracy"]
        for seed in sorted(seed for name, _, seed in marked if name == variant)
    }


def differences(dataset: str, change: str) -> list[float]:
    """What a change does to the base of the same ablation, seed by seed, in [-1, 1].

    Args:
        dataset: a name in `DATA_SETS`.
        change: one that the tables have.
    """
    found, (_, sign) = by_seed(dataset, change), _variant(dataset, change)
    runs = _found(dataset, change).get("runs", {})
    base = {seed: runs[f"base-seed{seed}"]["robust_accuracy"] for seed in found}
    return [sign * (found[seed] - base[seed]) for seed in found]
