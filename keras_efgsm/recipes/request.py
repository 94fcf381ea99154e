"""What is asked for: data, a recipe, and changes of it; from these the configuration."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keras_efgsm.checks import check_choice, check_epsilon
from keras_efgsm.networks.specs import kind_of_spec
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.presets import PRESETS

# The recipe that is chosen by the images, see `keras_efgsm.recipes.automatic`.
AUTOMATIC_RECIPE = "automatic"


@dataclass(frozen=True)
class Request:
    """What a user asks to train.

    Args:
        data: a preset, which names a data set and how to train on it; or a data set alone.
        recipe: name of a preset, for how to train alone, or `"automatic"`. Defaults to that of
            `data` if it is a preset, else to `"automatic"`.
        changes: fields of the configuration that were given. Defaults to none.
        method_options: options of the method that were given. Defaults to none.

    Example:

    ```python
    Request("mnist", changes={"epochs": 3}).recipe_name  # "mnist"
    ```
    """

    data: str
    recipe: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    method_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def recipe_name(self) -> str:
        """The recipe that is asked for.

        Raises:
            ValueError: if there is none of the name.
        """
        if self.recipe is None:
            return self.data if self.data in PRESETS else AUTOMATIC_RECIPE
        return check_choice(self.recipe, "recipe", (AUTOMATIC_RECIPE, *PRESETS))

    @property
    def dataset(self) -> str:
        """The data set that is asked for."""
        if "dataset" in self.changes:
            dataset: str = self.changes["dataset"]
            return dataset
        return PRESETS[self.data].dataset if self.data in PRESETS else self.data


def at_epsilon(config: TrainingConfig, epsilon: float) -> TrainingConfig:
    """The same recipe for another radius: sigma and step of the attack keep their share of it.

    Those that the recipe leaves to the attack follow from its epsilon.

    Args:
        config: the recipe.
        epsilon: radius in pixels of [0, 1], of the norm of the recipe.

    Raises:
        ValueError: if epsilon is no radius of that norm.

    Example:

    ```python
    halved = at_epsilon(PRESETS["cifar10-cpu"], 4 / 255)
    halved.method_options["step_size"] * 255  # 4.0
    ```
    """
    share = check_epsilon(epsilon, norm=config.norm) / config.epsilon
    options = {
        name: value * share if name in ("sigma", "step_size") and value is not None else value
        for name, value in config.method_options.items()
    }
    return dataclasses.replace(config, epsilon=epsilon, method_options=options)


def changed(
    base: TrainingConfig, changes: Mapping[str, Any], method_options: Mapping[str, Any]
) -> TrainingConfig:
    """A configuration with other values; another method is at its own options.

    Args:
        base: the configuration.
        changes: fields, `method`, `attack` and `objective` among them.
        method_options: options of the method that results.

    Raises:
        ValueError: if a value is out of range or unknown, or the options exclude each other.
    """
    changes = dict(changes)
    # A radius of another norm is no share of that of the recipe.
    same_norm = method_options.get("norm", base.norm) == base.norm
    if same_norm and changes.get("epsilon") is not None and changes["epsilon"] != base.epsilon:
        base = at_epsilon(base, changes["epsilon"])
    method = changes.pop("method", None)
    attack, objective = changes.pop("attack", None), changes.pop("objective", None)
    values: dict[str, Any] = {"method_options": {**base.method_options, **method_options}}
    is_other = method is not None and method != base.method
    if attack or objective:
        start = base.with_method(method) if is_other else base
        values = start.part_changes(attack, objective, method_options)
    elif is_other:
        values = base.method_changes(method, method_options)
    if "classifier" in changes and kind_of_spec(changes["classifier"]) != "name":
        # One of the user's own has its activation already, whatever the recipe's network has.
        values["activation"] = TrainingConfig.activation
    _check_step(method_options, values["method_options"].get("step_size"))
    return dataclasses.replace(base, **{**values, **changes})


def _check_step(given: Mapping[str, Any], step_size: float | None) -> None:
    """A step of a given length does not go to the boundary, so that nothing shortens it."""
    if step_size is None:
        return
    for name, default in (("overshoot", 1.0), ("use_projection", True)):
        if given.get(name, default) != default:
            raise ValueError(
                f"`{name}` changes the step to the boundary, in whose place `step_size` makes one "
                "of a given length; give one of them, where a recipe has it `--step-size none`. "
                f"Received: {name}={given[name]!r}, step_size={step_size!r}"
            )
