"""Minimum-distance attacks by name and norm."""

from keras_efgsm.checks import check_choice
from keras_efgsm.distances.art_attacks import ElasticNet, Pixel
from keras_efgsm.distances.carlini_wagner_l2 import CarliniWagnerL2
from keras_efgsm.distances.carlini_wagner_linf import CarliniWagnerLinf
from keras_efgsm.distances.deepfool import DeepFool
from keras_efgsm.distances.lbfgs import LBFGS
from keras_efgsm.distances.minimum_attack import MinimumAttack
from keras_efgsm.distances.norms import NORMS

DISTANCE_ATTACKS: list[type[MinimumAttack]] = [
    DeepFool,
    CarliniWagnerL2,
    CarliniWagnerLinf,
    LBFGS,
    ElasticNet,
    Pixel,
]
"""Every minimum-distance attack; one of a name and a norm each."""


def make_distance_attacks(
    names: str, norm: str = "l2", *, steps: int | None = None
) -> list[MinimumAttack]:
    """Makes minimum-distance attacks from their names.

    Args:
        names: separated by commas: `deepfool` (L2, L-infinity), `cw` (L2, L-infinity), `lbfgs`
            (L2), `ead` (L1), `pixel` (L0).
        norm: `"l2"`, `"linf"`, `"l1"` or `"l0"`. Defaults to `"l2"`.
        steps: of each attack. Defaults to that of the attack.

    Raises:
        ValueError: if a name is unknown, comes twice, or is not there for this norm.

    Example:

    ```python
    attacks = make_distance_attacks("deepfool,cw", "linf")
    ```
    """
    check_choice(norm, "norm", NORMS)
    chosen = [name.strip() for name in str(names).split(",")]
    known = dict.fromkeys(attack.kind for attack in DISTANCE_ATTACKS)
    there = {attack.kind: attack for attack in DISTANCE_ATTACKS if norm in attack.norms}
    for name in chosen:
        if name not in known:
            raise ValueError(
                f"`attacks` must be names out of {', '.join(known)}, separated by commas. "
                f"Received: attacks={names!r}"
            )
        if name not in there:
            norms = [n for a in DISTANCE_ATTACKS if a.kind == name for n in a.norms]
            raise ValueError(
                f"`{name}` makes another norm small, {' or '.join(norms)}; in {norm} there are "
                f"{', '.join(there)}. Received: attacks={names!r}, norm={norm!r}"
            )
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"`attacks` must name each attack once. Received: attacks={names!r}")
    made = []
    for name in chosen:
        options = {"norm": norm} if "norm" in there[name].option_names() else {}
        if steps is not None:
            options["steps"] = steps  # type: ignore[assignment]  # each takes its own kind
        made.append(there[name](**options))
    return made
