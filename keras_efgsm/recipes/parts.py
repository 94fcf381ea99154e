"""Attacks and objectives by the names that `--attack` and `--objective` take.

A new one of the package is its file and one line here: `--help` reads signatures from their
sources, and must not wait for the seconds in which Keras and the tables of `register_attack` and
`register_objective` are imported. From outside of the package the decorator is enough, and a line
names an attack with options:

```python
ATTACKS["pgd-40"] = Part("keras_efgsm.attacks.pgd:PGD", fixed={"steps": 40})
```

Its options and their defaults are those of its signature.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keras_efgsm.recipes.signature import Argument, arguments_of, resolve

Options = Mapping[str, Any]
# Forward-and-backward passes for each image beside those of an ordinary update, which are 1, from
# the options and the number of classes, None where that is not known.
Passes = Callable[[Options, int | None], float]

_PACKAGE = __name__.partition(".")[0]
# What comes from other fields of a run.
_OF_THE_RUN = ("epsilon", "label_smoothing")


@dataclass(frozen=True)
class Part:
    """An attack or an objective as methods are put together from it.

    Args:
        made_by: a class or function, or `"module:Name"` of one, which is imported when needed.
        fixed: arguments that this name stands for; they are no options.
        hidden: arguments that stay at their defaults and are no options. Defaults to none.
        defaults: defaults of training where they are others than those of the signature.
        renamed: what options are called, and the arguments that they are.
        passes: see `Passes`. Defaults to none on top.

    Example:

    ```python
    part = Part("keras_efgsm.attacks.fgsm:FGSM", fixed={"random_start": True}, hidden=("loss",))
    attack = part.make({"step_size": 0.1}, epsilon=0.1)
    ```
    """

    made_by: str | Callable[..., Any]
    fixed: Options = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    defaults: Options = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    passes: Passes = lambda options, num_classes: 0.0

    def arguments(self) -> dict[str, Argument]:
        """Its options by name, with the defaults that they have in a training."""
        names = {argument: option for option, argument in self.renamed.items()}
        taken = {*self.fixed, *self.hidden, *_OF_THE_RUN}
        return {
            names.get(one.name, one.name): one._replace(
                default=self.defaults.get(one.name, one.default)
            )
            for one in arguments_of(self.made_by)
            if one.name not in taken
        }

    def default_of(self, name: str) -> Any:
        """The default of an argument that is not an option; None without such an argument."""
        return next((a.default for a in arguments_of(self.made_by) if a.name == name), None)

    def make(self, options: Options, **given: Any) -> Any:
        """The attack or objective.

        Args:
            options: its options; those of others are left alone.
            **given: arguments from the run, as far as it takes them.

        Raises:
            ValueError: if an option is out of range.
        """
        own = {
            self.renamed.get(name, name): options[name]
            for name in self.arguments()
            if name in options
        }
        takes = {one.name for one in arguments_of(self.made_by)}
        given = {name: value for name, value in given.items() if name in takes}
        return resolve(self.made_by)(**given, **self.fixed, **own)


def _efgsm_passes(options: Options, num_classes: int | None) -> float:
    # A pass in which only the images' gradient is taken, and one backward pass for each rival.
    rivals = options["rivals"]
    if rivals == "all":
        if num_classes is None:
            raise ValueError(
                "What all rivals cost follows from the number of classes. "
                "Received: num_classes=None, rivals='all'"
            )
        rivals = num_classes - 1
    return float((1 + rivals) / 3)


# A gradient of the images costs a forward and a backward pass, an update a forward and two.
def _one_gradient(options: Options, num_classes: int | None) -> float:
    return 2 / 3


def _regularised_passes(options: Options, num_classes: int | None) -> float:
    # Consistency goes back through the attack's own pass; the nuclear norm classifies the clean
    # images as well.
    consistency = 2 / 3 if options.get("consistency_weight") else 0.0
    return consistency + (1.0 if options.get("nuclear_weight") else 0.0)


def _one_more(options: Options, num_classes: int | None) -> float:
    return 1.0


ATTACKS: dict[str, Part | str | Callable[..., Any]] = {
    "none": "keras_efgsm.attacks.identity:Identity",
    "efgsm": Part("keras_efgsm.attacks.efgsm:EFGSM", passes=_efgsm_passes),
    "fgsm": Part(
        "keras_efgsm.attacks.fgsm:FGSM",
        fixed={"random_start": False},
        hidden=("loss",),
        passes=_one_gradient,
    ),
    "fgsm-rs": Part(
        "keras_efgsm.attacks.fgsm:FGSM",
        fixed={"random_start": True},
        hidden=("loss",),
        passes=_one_gradient,
    ),
    "n-fgsm": Part("keras_efgsm.attacks.n_fgsm:NFGSM", hidden=("loss",), passes=_one_gradient),
    "prior-fgsm": Part(
        "keras_efgsm.attacks.prior_fgsm:PriorFGSM", hidden=("loss",), passes=_one_gradient
    ),
    "nuclear": Part(
        "keras_efgsm.attacks.nuclear_attack:NuclearAttack",
        # The clean images' prediction as well.
        passes=lambda options, num_classes: 2 / 3 + 1 / 3,
    ),
    "pgd": Part(
        "keras_efgsm.attacks.pgd:PGD",
        hidden=("random_start", "loss"),
        defaults={"steps": 40},
        passes=lambda options, num_classes: 2 / 3 * options["steps"],
    ),
    "trades": Part(
        "keras_efgsm.attacks.trades_attack:TradesAttack",
        hidden=("start_deviation",),
        # The clean images' prediction once.
        passes=lambda options, num_classes: 2 / 3 * options["steps"] + 1 / 3,
    ),
    "free": Part(
        "keras_efgsm.attacks.free_replay:FreeReplay",
        hidden=("largest_batch",),
        # Gradients of weights and images from one backward pass.
        passes=lambda options, num_classes: options["replays"] - 1.0,
    ),
    "yopo": Part(
        "keras_efgsm.attacks.yopo:YOPO",
        # Its steps on the first layer come on top.
        passes=lambda options, num_classes: options["outer_steps"] - 1.0,
    ),
}
"""Attacks of trainings by name, each as `module:Class`, so that a list of them needs no Keras."""

OBJECTIVES: dict[str, Part | str | Callable[..., Any]] = {
    "cross-entropy": "keras_efgsm.objectives.cross_entropy:AdversarialCrossEntropy",
    "regularised-cross-entropy": Part(
        "keras_efgsm.recipes.regularised:regularised_cross_entropy", passes=_regularised_passes
    ),
    "joint": Part(
        "keras_efgsm.objectives.joint_reconstruction:JointReconstruction",
        renamed={"lambda": "classification_weight"},
        passes=_regularised_passes,
    ),
    "logit-consistency": Part(
        "keras_efgsm.objectives.logit_consistency:LogitConsistency", passes=_regularised_passes
    ),
    "nuclear-norm": Part("keras_efgsm.objectives.nuclear_norm:NuclearNorm", passes=_one_more),
    "trades": Part("keras_efgsm.objectives.trades:Trades", passes=_one_more),
    "logit-pairing": Part("keras_efgsm.objectives.logit_pairing:LogitPairing", passes=_one_more),
    "gradient-regularisation": Part(
        "keras_efgsm.objectives.gradient_regularisation:GradientRegularisation",
        # The update goes back through the images' gradient as well.
        passes=_one_more,
    ),
}
"""Objectives of trainings by name, likewise."""


def part_names(what: str) -> tuple[str, ...]:
    """Every attack or objective that there is: those above, and those registered from outside.

    Args:
        what: `"attack"` or `"objective"`.

    Example:

    ```python
    assert "pgd" in part_names("attack")
    ```
    """
    return tuple(_table(what))


def _table(what: str) -> dict[str, Part | str | Callable[..., Any]]:
    own = ATTACKS if what == "attack" else OBJECTIVES
    # Who registered one has imported the registry, and with it Keras.
    registry = sys.modules.get(f"{_PACKAGE}.{what}s.registry")
    registered = {} if registry is None else vars(registry)[f"{what.upper()}S"]
    outside = {
        name: made_by
        for name, made_by in registered.items()
        if made_by.__module__.partition(".")[0] != _PACKAGE
    }
    return {**outside, **own}


def find_part(name: str, what: str) -> Part:
    """The attack or objective of a name, or of `"package.module:Class"`.

    Args:
        name: its name.
        what: `"attack"` or `"objective"`.

    Raises:
        ValueError: if there is none, listing them.
    """
    table = _table(what)
    if name not in table and ":" in str(name):
        return Part(name)
    if name not in table:
        raise ValueError(
            f"`{what}` must be package.module:Class, or one of "
            f"{', '.join(map(repr, table))}. Received: {what}={name!r}"
        )
    found = table[name]
    return found if isinstance(found, Part) else Part(found)
