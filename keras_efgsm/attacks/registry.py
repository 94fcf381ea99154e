"""Attacks by name, in one table."""

from dataclasses import dataclass
from typing import Any, TypeVar

from keras_efgsm.attacks.attack import Attack
from keras_efgsm.checks import check_choice

AnyAttack = TypeVar("AnyAttack", bound=Attack)

ATTACKS: dict[str, type[Attack]] = {}
"""Classes of attacks by their kind; `register_attack` adds one."""


def register_attack(attack: type[AnyAttack]) -> type[AnyAttack]:
    """Class decorator that puts an attack into the table `ATTACKS`.

    From then on it is found by name: by training, by `make_attacks` if it has
    `evaluation_options`, on the command line, and by the tests that hold for every attack.

    Args:
        attack: the class, with a `kind` of its own.

    Raises:
        ValueError: if its kind is none of its own, or a name that another attack has.

    Example:

    ```python
    @register_attack
    class ShortPGD(PGD):
        kind = "short-pgd"


    make_attacks("short-pgd-cw", 0.1, steps=3)
    ```
    """
    if not isinstance(attack.__dict__.get("kind"), str):
        raise ValueError(
            "An attack must have a `kind` of its own, by which it is found. "
            f"Received: attack={attack.__name__}, kind={attack.kind!r}"
        )
    for kind, other in ATTACKS.items():
        # Defined once more, as in a notebook, it takes its own place.
        again = (other.__module__, other.__qualname__) == (attack.__module__, attack.__qualname__)
        taken = {kind, *other.names()} & {attack.kind, *attack.names()}
        if taken and not again:
            raise ValueError(
                f"{other.__name__} is registered under that name already. "
                f"Received: attack={attack.__name__}, kind={attack.kind!r}"
            )
    ATTACKS[attack.kind] = attack
    return attack


@dataclass(frozen=True)
class NamedAttack:
    """An attack and the options that its name stands for.

    Args:
        attack: its class.
        options: those that the name stands for, such as its loss.
    """

    attack: type[Attack]
    options: dict[str, Any]

    @property
    def evaluation_options(self) -> tuple[str, ...]:
        """Which of steps, step_size, targets and queries it takes in a list of names."""
        return self.attack.evaluation_options or ()

    def for_evaluation(self, epsilon: float, **options: Any) -> Attack:
        """The attack as an evaluation makes it, see `Attack.for_evaluation`."""
        return self.attack.for_evaluation(epsilon, **self.options, **options)


def named_attacks(*, for_evaluation: bool = False) -> dict[str, NamedAttack]:
    """Every attack under each of its names, such as `"pgd-cw"`.

    Args:
        for_evaluation: whether only those with `evaluation_options`. Defaults to `False`.

    Example:

    ```python
    attack = named_attacks()["pgd-cw"].attack  # PGD
    ```
    """
    return {
        name: NamedAttack(attack, options)
        for attack in ATTACKS.values()
        if not for_evaluation or attack.evaluation_options is not None
        for name, options in attack.names().items()
    }


def find_attack(name: str) -> NamedAttack:
    """The attack of a name: its kind, `"pgd"`, or its kind and loss, `"pgd-cw"`.

    Args:
        name: the name.

    Raises:
        ValueError: if there is none, listing them.

    Example:

    ```python
    found = find_attack("pgd-cw")
    found.attack(epsilon=0.1, steps=10, **found.options)
    ```
    """
    found = {kind: NamedAttack(attack, {}) for kind, attack in ATTACKS.items()} | named_attacks()
    return found[check_choice(name, "attack", tuple(found))]
