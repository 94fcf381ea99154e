"""Training methods: names for an attack and an objective, with the paper they come from."""

from dataclasses import dataclass, field
from inspect import Parameter
from typing import TYPE_CHECKING, Any

from keras_efgsm.checks import check_choice
from keras_efgsm.recipes.parts import ATTACKS, OBJECTIVES, Options, Part, find_part
from keras_efgsm.recipes.signature import Argument, resolve

if TYPE_CHECKING:
    from keras_efgsm.attacks import Attack
    from keras_efgsm.objectives import Objective

__all__ = ["ATTACKS", "METHODS", "OBJECTIVES", "Method", "find_method"]


@dataclass(frozen=True)
class Method:
    """A training method: the name of a pair of an attack and an objective.

    Its options are those of both signatures; one that both have is one option.

    Args:
        title: what it is called in its paper.
        paper: where it comes from.
        attack_name: name in `keras_efgsm.recipes.parts.ATTACKS`, or `"package.module:Class"`.
        objective_name: name in `keras_efgsm.recipes.parts.OBJECTIVES`, or likewise.
        label_smoothing: the default for this method. Defaults to that of the objective.
        fixed: options of the pair that are no options of the method, and their values. Defaults
            to none.

    Example:

    ```python
    method = METHODS["trades"]
    options = method.complete({"beta": 6.0})
    trainer = AdversarialTrainer(
        classifier, method.attack(0.3, options), objective=method.objective(0.0, options)
    )
    ```
    """

    title: str
    paper: str
    attack_name: str
    objective_name: str
    label_smoothing: float | None = None
    fixed: Options = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.label_smoothing is None:
            smoothing = self._parts()[1].default_of("label_smoothing")
            object.__setattr__(self, "label_smoothing", smoothing or 0.0)

    def _parts(self) -> tuple[Part, Part]:
        return find_part(self.attack_name, "attack"), find_part(self.objective_name, "objective")

    def arguments(self) -> dict[str, Argument]:
        """Its options by name.

        Raises:
            ValueError: if attack and objective both have one of a name, with other defaults, or
                one has no default.
        """
        attack, objective = (part.arguments() for part in self._parts())
        for name in set(attack) & set(objective):
            if attack[name].default != objective[name].default:
                raise ValueError(
                    f"The attack and the objective both have an option `{name}`, but with other "
                    f"defaults, {attack[name].default!r} and {objective[name].default!r}. "
                    f"Received: attack={self.attack_name!r}, objective={self.objective_name!r}"
                )
        together = {**objective, **attack}
        if without := [n for n, a in together.items() if a.default is Parameter.empty]:
            raise ValueError(
                "Every argument of an attack or objective but epsilon must have a default. "
                f"Received: {self.attack_name!r} and {self.objective_name!r} with "
                f"{', '.join(without)}"
            )
        return {name: a for name, a in together.items() if name not in self.fixed}

    @property
    def options(self) -> dict[str, Any]:
        """Its options with their defaults; None stands for one that follows from epsilon."""
        return {name: argument.default for name, argument in self.arguments().items()}

    @property
    def has_reconstructor(self) -> bool:
        """Whether it trains a re-constructor."""
        made_by = resolve(self._parts()[1].made_by)
        return bool(getattr(made_by, "needs_reconstructor", False))

    def attack(self, epsilon: float, options: Options) -> "Attack":
        """Its attack.

        Args:
            epsilon: L-infinity radius in pixels of [0, 1].
            options: as `complete` gives them.

        Raises:
            ValueError: if one is out of range.
        """
        attack: Attack = self._parts()[0].make({**options, **self.fixed}, epsilon=epsilon)
        return attack

    def objective(self, label_smoothing: float, options: Options) -> "Objective":
        """What it minimises.

        Args:
            label_smoothing: share of each label spread over the classes.
            options: as `complete` gives them.

        Raises:
            ValueError: if one is out of range.
        """
        given = {**options, **self.fixed}
        objective: Objective = self._parts()[1].make(given, label_smoothing=label_smoothing)
        return objective

    def passes(self, options: Options, num_classes: int | None = None) -> float:
        """Forward-and-backward passes per training image of an epoch; an ordinary step is 1.

        Args:
            options: as `complete` gives them.
            num_classes: how many classes there are, which the cost of eFGSM against all rivals
                depends on. Defaults to unknown.

        Raises:
            ValueError: if it depends on the number of classes, and that is not given.
        """
        return 1.0 + sum(part.passes(options, num_classes) for part in self._parts())

    def complete(self, given: Options) -> dict[str, Any]:
        """The method's options, those not given at their defaults.

        Raises:
            ValueError: if there is none of a name.
        """
        options = self.options
        if set(given) - set(options):
            takes = ", ".join(sorted(options)) or "none"
            raise ValueError(
                f"The options of {self.title} are: {takes}. Received: method_options={dict(given)}"
            )
        return {**options, **given}


_OURS = "Chen & Lee"

METHODS: dict[str, Method] = {
    "combined": Method("eFGSM with re-constructor", _OURS, "efgsm", "joint"),
    "efgsm": Method("eFGSM alone (AdvTrain)", _OURS, "efgsm", "regularised-cross-entropy"),
    "rec": Method(
        "re-constructor alone (REC)",
        _OURS,
        "none",
        "joint",
        # There is no gradient pass whose logits could be compared.
        fixed={"consistency_weight": 0.0},
    ),
    "efgsm-trades": Method("TRADES with eFGSM", f"{_OURS}, section 4.2", "efgsm", "trades"),
    "standard": Method("ordinary training", "-", "none", "cross-entropy", 0.0),
    "fgsm": Method("FGSM", "Goodfellow et al. 2014", "fgsm", "cross-entropy", 0.0),
    "fgsm-rs": Method("FGSM-RS", "Wong et al. 2020", "fgsm-rs", "cross-entropy", 0.0),
    "n-fgsm": Method("N-FGSM", "De Jorge et al. 2022", "n-fgsm", "cross-entropy", 0.0),
    "fgsm-pgi": Method(
        "FGSM with a per-sample prior and logit consistency",
        "Jia et al. 2022",
        "prior-fgsm",
        "logit-consistency",
        4 / 9,
    ),
    "nuat": Method("NuAT", "Sriramanan et al. 2021", "nuclear", "nuclear-norm"),
    "pgd": Method("PGD", "Madry et al. 2018", "pgd", "cross-entropy", 0.0),
    "trades": Method("TRADES", "Zhang et al. 2019", "trades", "trades"),
    "alp": Method("adversarial logit pairing", "Kannan et al. 2018", "pgd", "logit-pairing"),
    "free": Method("AdvFree", "Shafahi et al. 2019", "free", "cross-entropy", 0.0),
    "yopo": Method("YOPO", "Zhang et al. 2019", "yopo", "cross-entropy", 0.0),
    "gradient-regularisation": Method(
        "input-gradient regularisation",
        "Ross & Doshi-Velez 2018",
        "none",
        "gradient-regularisation",
    ),
}
"""Training methods by name, in the order in which they are listed."""


def compose_name(attack: str, objective: str) -> str:
    """The name of the method that is a pair.

    Example:

    ```python
    assert find_method(compose_name("pgd", "trades")).objective_name == "trades"
    ```
    """
    return f"{attack}+{objective}"


def parts_of_name(method: str) -> tuple[str, str]:
    """The names of the attack and the objective of a method or of a pair.

    Raises:
        ValueError: if there is no method of the name.
    """
    attack, plus, objective = str(method).partition("+")
    if plus:
        return attack, objective
    found = METHODS[check_choice(method, "method", tuple(METHODS))]
    return found.attack_name, found.objective_name


def find_method(name: str) -> Method:
    """The method of a name, or of a pair `"ATTACK+OBJECTIVE"`.

    Raises:
        ValueError: if there is none, listing them.

    Example:

    ```python
    find_method("pgd+trades").attack_name  # "pgd"
    ```
    """
    if "+" not in str(name):
        return METHODS[check_choice(name, "method", tuple(METHODS))]
    attack, objective = parts_of_name(name)
    return Method(f"{attack} with {objective}", "-", attack, objective)
