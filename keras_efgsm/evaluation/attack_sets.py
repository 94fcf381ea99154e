"""Attacks by name: single ones, and the sets that are published."""

from collections.abc import Sequence

from keras_efgsm.attacks import Attack, NamedAttack, named_attacks
from keras_efgsm.checks import check_norm

ATTACK_SETS = {
    "standard": ("apgd-ce", "apgd-t", "fab-t", "square"),
    "adp": ("apgd-ce", "apgd-t"),
    "quick": ("apgd-t", "square"),
    "black-box": ("square", "random-sampling"),
}
"""Names of the attacks of each set, in the order of a cascade.

- `"standard"`: AutoAttack of Croce & Hein, "Reliable evaluation of adversarial robustness with an
  ensemble of diverse parameter-free attacks", with its published budgets: APGD on the
  cross-entropy, 100 steps; targeted APGD, 100 steps towards each of 9 classes; targeted FAB, the
  same; Square, 5,000 queries.
- `"adp"`: "PGD-ADP" of Chen & Lee, PGD whose step size is searched at each of 100 steps, read as
  its two gradient attacks APGD-CE and APGD-T.
- `"quick"`: for a first look, APGD-T with 50 steps towards the runner-up and Square with 500
  queries, as Square turns images whose gradients mislead every attack by gradients.
- `"black-box"`: Square and random sampling of the ball, which need no gradients.

Each is for L-infinity and for L2.
"""

_QUICK = {"steps": 50, "targets": 1, "queries": 500}


def make_attacks(
    names: str,
    epsilon: float,
    *,
    steps: int | None = None,
    step_size: float | None = None,
    targets: int | None = None,
    queries: int | None = None,
    norm: str = "linf",
) -> list[Attack]:
    """Makes the attacks of a set, or those of a list of names.

    Args:
        names: the name of a set, see `ATTACK_SETS`, or names of attacks separated by commas:
            `pgd-ce`, `pgd-cw`, `apgd-ce`, `apgd-dlr`, `apgd-cw`, `apgd-t`, `fab-t`, `square`,
            `random-sampling`, `spsa`, `zo-sign`, and those that `register_attack` added.
        epsilon: radius of the ball in pixels of [0, 1].
        steps: gradient steps of the attacks that take them. Defaults to 100, 50 in `"quick"`.
        step_size: of PGD, in pixels of [0, 1]. Defaults to `epsilon / 30`.
        targets: target classes of targeted attacks. Defaults to 9, 1 in `"quick"`.
        queries: queries of Square. Defaults to 5,000, 500 in `"quick"`.
        norm: of the ball, `"linf"`, or `"l2"` for the Euclidean length of the change of all pixels
            and channels, which not every attack knows. Defaults to `"linf"`.

    Raises:
        ValueError: if a name is unknown or comes twice, or an option is out of range or none of
            any attack that was chosen, or an attack does not know the norm.

    Example:

    ```python
    evaluate_robustness(classifier, (x, y), make_attacks("standard", 0.3), cascade=True)
    ```
    """
    chosen = ATTACK_SETS.get(names) or [name.strip() for name in str(names).split(",")]
    table = named_attacks(for_evaluation=True)
    unknown = [name for name in chosen if name not in table]
    if unknown:
        hint = "; a set stands alone" if any(name in ATTACK_SETS for name in unknown) else ""
        raise ValueError(
            f"`attacks` must be one of the sets {', '.join(ATTACK_SETS)}, or attacks separated by "
            f"commas out of {', '.join(table)}{hint}. Received: attacks={names!r}"
        )
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"`attacks` must name each attack once. Received: attacks={names!r}")
    ball = _ball(chosen, table, check_norm(norm))
    given = {"steps": steps, "step_size": step_size, "targets": targets, "queries": queries}
    given = {name: value for name, value in given.items() if value is not None}
    taken = {option for name in chosen for option in table[name].evaluation_options}
    for option, value in given.items():
        if option not in taken:
            able = [name for name, named in table.items() if option in named.evaluation_options]
            raise ValueError(
                f"`{option}` is an option of {', '.join(able)}, none of which is among the "
                f"attacks {', '.join(chosen)}. Received: {option}={value!r}"
            )
    if names == "quick":
        given = _QUICK | given
    return [
        named.for_evaluation(
            epsilon,
            **ball,
            **{name: given[name] for name in named.evaluation_options if name in given},
        )
        for named in (table[name] for name in chosen)
    ]


def _ball(chosen: Sequence[str], table: dict[str, NamedAttack], norm: str) -> dict[str, str]:
    """The option that makes attacks those of a norm; none for L-infinity, which all know."""
    if norm == "linf":
        return {}
    unable = [name for name in chosen if norm not in table[name].attack.norms]
    if unable:
        able = [name for name, named in table.items() if norm in named.attack.norms]
        raise ValueError(
            f"`norm` {norm} is known to the attacks {', '.join(able)}, and not to "
            f"{', '.join(unable)}. Received: norm={norm!r}"
        )
    return {"norm": norm}
