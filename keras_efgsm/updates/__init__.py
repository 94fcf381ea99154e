"""Update strategies, by the name that an attack gives.

Another strategy is a file and a line in `UPDATES`, or an object given to `AdversarialTrainer`.
"""

from typing import Any

from keras_efgsm.updates.free_replay import FreeReplayUpdates
from keras_efgsm.updates.one import OneUpdate
from keras_efgsm.updates.update import Step, Update
from keras_efgsm.updates.yopo import YOPOUpdate

UPDATES: dict[str, type[Update]] = {
    "one": OneUpdate,
    "free": FreeReplayUpdates,
    "yopo": YOPOUpdate,
}
"""Classes of update strategies by name."""


def update_for(attack: Any) -> Update:
    """The strategy that an attack names.

    Args:
        attack: its `update` is a name in `UPDATES`.

    Raises:
        ValueError: if there is none of that name.

    Example:

    ```python
    update_for(FreeReplay(epsilon=0.3, replays=4))  # FreeReplayUpdates(replays=4)
    ```
    """
    if attack.update not in UPDATES:
        raise ValueError(
            f"The `update` that an attack names must be one of {', '.join(sorted(UPDATES))}. "
            f"Received: attack={type(attack).__name__}, update={attack.update!r}"
        )
    return UPDATES[attack.update].for_attack(attack)


__all__ = [
    "UPDATES",
    "FreeReplayUpdates",
    "OneUpdate",
    "Step",
    "Update",
    "YOPOUpdate",
    "update_for",
]
