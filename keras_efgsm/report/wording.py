"""How the page names data, methods and attacks."""

from collections.abc import Sequence
from typing import Any

from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.report.markup import data_name, is_number, number
from keras_efgsm.report.run_files import ReportedRun


def evaluated_data(run: ReportedRun) -> str:
    """The data set and split of the evaluation."""
    figures = run.evaluation
    return data_name(figures.get("dataset", run.config["dataset"]), figures.get("split", "test"))


def method(run: ReportedRun) -> str:
    """The training method in words."""
    name = run.config.get("method")
    if name is None:
        # A run of before there were others.
        return "eFGSM with re-constructor" if run.config.get("reconstructor") else "eFGSM"
    return METHODS[name].title if name in METHODS else str(name)


def attack_names(attacks: Sequence[dict[str, Any]]) -> str:
    """Attacks by name with their budgets."""
    return ", ".join(f"{a['name']} ({budget(a)})" if budget(a) else str(a["name"]) for a in attacks)


def budget(attack: dict[str, Any]) -> str:
    """What an attack could spend on an image, such as `"100 steps of 0.01 x 9 targets"`."""
    # Other libraries' black-box attacks count their queries as steps.
    is_black_box = str(attack["name"]).startswith("square") and not attack.get("queries")
    counts = (
        ("", "steps", "queries" if is_black_box else "steps"),
        ("", "queries", "queries"),
        ("x ", "rounds", "targets"),
        ("x ", "restarts", "restarts"),
    )
    parts = []
    for sign, key, unit in counts:
        count = attack.get(key)
        if is_number(count) and (count > 1 or not sign):
            parts.append(f"{sign}{number(count)} {unit if count != 1 else unit.rstrip('s')}")
        if key == "steps" and parts and is_number(attack.get("step_size")):
            parts.append(f"of {number(attack['step_size'])}")
    return " ".join(parts)


def seeds(attacks: Sequence[dict[str, Any]]) -> str:
    """The seeds of some attacks, each once."""
    return ", ".join(dict.fromkeys(number(attack.get("seed")) for attack in attacks))


def told(value: Any) -> str:
    """Any JSON value in words."""
    if isinstance(value, dict):
        return "; ".join(f"{str(k).replace('_', ' ')}: {told(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(told(v) for v in value)
    return "yes" if value is True else "no" if value is False else number(value)
