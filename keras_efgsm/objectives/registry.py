"""Objectives by name, in one table."""

from typing import TypeVar

from keras_efgsm.checks import check_choice
from keras_efgsm.objectives.objective import Objective

AnyObjective = TypeVar("AnyObjective", bound=Objective)

OBJECTIVES: dict[str, type[Objective]] = {}
"""Classes of objectives by their name; `register_objective` adds one."""


def register_objective(objective: type[AnyObjective]) -> type[AnyObjective]:
    """Class decorator that puts an objective into the table `OBJECTIVES`.

    From then on it is found by name, and by the tests that hold for every objective.

    Args:
        objective: the class, with a `name` of its own.

    Raises:
        ValueError: if its name is none of its own, or that of another objective.

    Example:

    ```python
    @register_objective
    class CleanCrossEntropy(AdversarialCrossEntropy):
        name = "clean-cross-entropy"

        def losses(self, classifier, reconstructor, examples):
            return super().losses(classifier, None, examples._replace(x_adv=examples.x))


    find_objective("clean-cross-entropy")(label_smoothing=0.2)
    ```
    """
    if not isinstance(objective.__dict__.get("name"), str):
        raise ValueError(
            "An objective must have a `name` of its own, by which it is found. "
            f"Received: objective={objective.__name__}, name={objective.name!r}"
        )
    other = OBJECTIVES.get(objective.name, objective)
    # Defined once more, as in a notebook, it takes its own place.
    if (other.__module__, other.__qualname__) != (objective.__module__, objective.__qualname__):
        raise ValueError(
            f"{other.__name__} is registered under that name already. "
            f"Received: objective={objective.__name__}, name={objective.name!r}"
        )
    OBJECTIVES[objective.name] = objective
    return objective


def find_objective(name: str) -> type[Objective]:
    """The class of an objective's name.

    Args:
        name: the name, such as `"trades"`.

    Raises:
        ValueError: if there is none, listing them.

    Example:

    ```python
    find_objective("trades")(beta=6.0)
    ```
    """
    return OBJECTIVES[check_choice(name, "objective", tuple(OBJECTIVES))]
