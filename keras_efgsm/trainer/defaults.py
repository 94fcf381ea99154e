"""The defaults of a trainer: the attack of an epsilon, the objective of an attack."""

import keras

from keras_efgsm.attacks import EFGSM, Attack
from keras_efgsm.checks import check_epsilon
from keras_efgsm.objectives import AdversarialCrossEntropy, JointReconstruction, Objective
from keras_efgsm.updates import Update, update_for


def recommended_attack(epsilon: float) -> EFGSM:
    """The attack that the presets for photographs train with: eFGSM from a corner of the ball.

    As `cifar10-cpu` has it. Its noise is the default, a third of epsilon: at three times
    epsilon a quarter of the pixels would start in the corner opposite to the memory. Where a pixel
    has no memory yet it starts in a random corner: a start near the clean image, eFGSM's own,
    leaves the first visits of each sample weaker than those that follow. Its step is epsilon and
    not, as in the paper, to the linearised boundary, to which a long training overfits
    (docs/cifar10.md).

    Args:
        epsilon: L-infinity radius in pixels of [0, 1].

    Raises:
        ValueError: if epsilon is not in (0, 1].

    Example:

    ```python
    recommended_attack(8 / 255).get_config()
    ```
    """
    radius = check_epsilon(epsilon)
    return EFGSM(epsilon=radius, first_visit="corner", step_size=radius)


def chosen_attack(attack: Attack | None, epsilon: float | None) -> Attack:
    """The attack that was given, or the recommended one of an epsilon.

    Args:
        attack: an attack, or None.
        epsilon: a radius, or None.

    Raises:
        ValueError: unless exactly one of the two was given, and as it must be.
    """
    if attack is None:
        if epsilon is None:
            raise ValueError(
                "`AdversarialTrainer` needs to know what to withstand: pass an epsilon, as in "
                "`epsilon=8 / 255`, or an attack, as in `EFGSM(epsilon=0.3)`. "
                "Received: attack=None, epsilon=None"
            )
        return recommended_attack(epsilon)
    if epsilon is not None:
        raise ValueError(
            "An attack has its own epsilon: pass `attack` or `epsilon`, not both. "
            f"Received: attack={attack!r}, epsilon={epsilon!r}"
        )
    if not isinstance(attack, Attack):
        raise ValueError(
            "`attack` must be an attack object such as `EFGSM(epsilon=0.3)`. "
            f"Received: attack={attack!r}"
        )
    return attack


def suitable_objective(
    objective: Objective | None, attack: Attack, reconstructor: keras.Model | None
) -> Objective:
    """The objective, or that of the method where none is given, checked against the other parts.

    Args:
        objective: what is minimised. Defaults to `JointReconstruction()` with a re-constructor and
            `AdversarialCrossEntropy()` without.
        attack: the attack.
        reconstructor: the re-constructor or None.

    Raises:
        ValueError: if they do not go together.
    """
    if objective is None:
        objective = AdversarialCrossEntropy() if reconstructor is None else JointReconstruction()
    if objective.needs_reconstructor != (reconstructor is not None):
        wanted = "needs" if objective.needs_reconstructor else "does not use"
        raise ValueError(
            f"The objective {type(objective).__name__} {wanted} a re-constructor. "
            f"Received: reconstructor={reconstructor!r}"
        )
    if objective.needs_start_logits and not attack.tells_start_logits:
        raise ValueError(
            f"The objective {type(objective).__name__} needs an attack that takes one gradient "
            f"at its start, such as `EFGSM` or `FGSM`. Received: attack={attack!r}"
        )
    return objective


def chosen_update(update: Update | None, attack: Attack) -> Update:
    """The update strategy that was given, or the one that the attack names.

    Args:
        update: a strategy, or None.
        attack: the attack.

    Raises:
        ValueError: if it is none, or does not go with the attack.
    """
    if update is None:
        update = update_for(attack)
    if not isinstance(update, Update):
        raise ValueError(
            "`update` must be an update strategy such as `OneUpdate()`, or None. "
            f"Received: update={update!r}"
        )
    update.check(attack)
    return update
