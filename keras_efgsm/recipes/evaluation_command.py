"""The command that gives the figures of an evaluation again."""

from typing import Any

# What `keras-efgsm evaluate` runs with each engine if nothing is asked for.
DEFAULT_ATTACKS = {
    "native": "adp",
    "cleverhans": "pgd-ce,pgd-cw",
    "art": "apgd-ce,apgd-dlr,square",
}


def command_line(figures: dict[str, Any], test_images: int | None) -> str:
    """The `keras-efgsm evaluate RUN` command that gives figures again.

    Args:
        figures: the JSON that it wrote.
        test_images: how many images the split has; None if that is not known.

    Example:

    ```python
    figures = {"attacks": [{"name": "square", "queries": 100}], "num_images": 8}
    command_line(figures, 10_000)
    # keras-efgsm evaluate RUN --attacks square --queries 100 --num-images 8
    ```
    """
    from keras_efgsm.evaluation.attack_sets import ATTACK_SETS

    attacks = figures.get("attacks") or []
    names = tuple(attack["name"] for attack in attacks)
    engine = (attacks[0].get("engine") if attacks else None) or "native"
    sets = [name for name, members in ATTACK_SETS.items() if members == names]
    chosen = sets[0] if sets and figures.get("cascade") else ",".join(names)
    quick = chosen == "quick"
    words = ["keras-efgsm", "evaluate", "RUN"]
    if chosen and chosen != DEFAULT_ATTACKS.get(engine):
        words += ["--attacks", chosen]
    if figures.get("cascade") and not sets:
        words.append("--cascade")

    def add(flag: str, field: str, default: int) -> None:
        for value in {attack.get(field) for attack in attacks} - {None, default}:
            words.extend([flag, str(value)])

    add("--steps", "steps", 50 if quick else 100)
    targeted = [attack for attack in attacks if attack["name"].endswith("-t")]
    for value in {attack.get("rounds") for attack in targeted} - {None, 1 if quick else 9}:
        words += ["--targets", str(value)]
    add("--queries", "queries", 500 if quick else 5000)
    add("--restarts", "restarts", 1)
    norms = {attack.get("norm") for attack in attacks} - {None, "linf"}
    for norm in norms:
        words += ["--norm", norm, "--epsilon", f"{attacks[0]['epsilon']:g}"]
    if figures.get("num_images") not in (None, test_images):
        words += ["--num-images", str(figures["num_images"])]
    add("--seed", "seed", 0)
    if engine != "native":
        words += ["--engine", engine]
    return " ".join(words)
