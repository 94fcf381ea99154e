"""What a report calls an attack, and what its budget is."""

import dataclasses

from keras_efgsm.attacks import Attack


@dataclasses.dataclass(frozen=True)
class Budget:
    """What an attack may spend on an image in one run; None where that is no option of it.

    Args:
        steps: gradient steps of one round.
        step_size: in pixels of [0, 1], of a fixed step.
        rounds: how many rounds, one for each target class.
        queries: how often it asks for the logits of a candidate, without gradients.
    """

    steps: int | None
    step_size: float | None
    rounds: int
    queries: int | None


def attack_name(attack: Attack) -> str:
    """The attack and its loss, such as `"pgd-cw"` or `"apgd-t"`.

    Args:
        attack: any attack.
    """
    loss = chosen_loss(attack)
    # A targeted attack has one loss, and its name says so.
    return f"{attack.name}-{loss}" if loss and attack.rounds == 1 else attack.name


def reported_name(attack: Attack, twin: str | None) -> str:
    """The attack, and whose gradients it went by if they were not those of the evaluated model.

    Args:
        attack: any attack.
        twin: what the classifier is whose gradients stand in, see `StraightThrough`; or None.
    """
    name = attack_name(attack)
    if twin is None or not attack.needs_gradient:
        return name
    return f"{name}, gradients of {twin} (straight-through)"


def chosen_loss(attack: Attack) -> str | None:
    """The loss if it is an option of this attack; every attack has one it is described by.

    Args:
        attack: any attack.
    """
    return attack.get_config().get("loss")


def budget(attack: Attack) -> Budget:
    """What an attack spends on an image.

    Args:
        attack: any attack.
    """
    queries = getattr(attack, "queries", getattr(attack, "samples", None))
    # One of neither, such as FGSM, takes one step.
    steps = getattr(attack, "steps", None if queries else 1)
    if steps and queries:
        # SPSA asks for so many at each step.
        queries *= steps
    return Budget(steps, getattr(attack, "step_size", None), attack.rounds, queries)


def has_random_start(attack: Attack) -> bool:
    """Whether it starts at a random point, or searches at random.

    Args:
        attack: any attack.
    """
    if hasattr(attack, "random_start"):
        return bool(attack.random_start)
    # eFGSM has no such option; its start is random unless its spread is zero.
    return getattr(attack, "sigma", 0.0) > 0.0 or not attack.needs_gradient


def gains_by_restarts(attack: Attack) -> bool:
    """Whether a restart is another attempt and no repetition.

    Args:
        attack: any attack.
    """
    # FAB starts at the clean image first and at random points after that.
    return has_random_start(attack) or (attack.rounds > 1 and not hasattr(attack, "random_start"))
