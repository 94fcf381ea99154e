"""Training methods by name: each an attack times an objective, with its paper and its cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keras_efgsm.attacks import (
    EFGSM,
    FGSM,
    NFGSM,
    PGD,
    YOPO,
    Attack,
    FreeReplay,
    Identity,
    NuclearAttack,
    PriorFGSM,
    TradesAttack,
)
from keras_efgsm.checks import check_choice
from keras_efgsm.objectives import (
    AdversarialCrossEntropy,
    GradientRegularisation,
    JointReconstruction,
    LogitConsistency,
    LogitPairing,
    NuclearNorm,
    Objective,
    Trades,
)

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Method:
    """A training method: how its attack and its objective are made from a run's options.

    Args:
        title: what it is called in its paper.
        paper: where it comes from.
        attack: makes the attack from epsilon and the options.
        objective: makes the objective from the label smoothing and the options.
        options: its own options with their defaults; None stands for one that follows from
            epsilon.
        passes: forward-and-backward passes per training image of an epoch, from the options; an
            ordinary step is 1.
        label_smoothing: the default for this method. Defaults to `0.0`.
        has_reconstructor: whether it trains a re-constructor. Defaults to `False`.

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
    attack: Callable[[float, Options], Attack]
    objective: Callable[[float, Options], Objective]
    options: Options = field(default_factory=dict)
    passes: Callable[[Options], float] = lambda options: 1.0
    label_smoothing: float = 0.0
    has_reconstructor: bool = False

    def complete(self, given: Options) -> dict[str, Any]:
        """The method's options, those not given at their defaults.

        Raises:
            ValueError: if there is none of a name.
        """
        unknown = sorted(set(given) - set(self.options))
        if unknown:
            takes = ", ".join(sorted(self.options)) or "none"
            raise ValueError(
                f"The options of {self.title} are: {takes}. Received: method_options={dict(given)}"
            )
        return {**self.options, **given}


def _cross_entropy(label_smoothing: float, options: Options) -> Objective:
    return AdversarialCrossEntropy(label_smoothing)


def _regularised_cross_entropy(label_smoothing: float, options: Options) -> Objective:
    consistency, nuclear = options["consistency_weight"], options["nuclear_weight"]
    if consistency and nuclear:
        raise ValueError(
            "One of `consistency_weight` and `nuclear_weight` must be 0. "
            f"Received: consistency_weight={consistency}, nuclear_weight={nuclear}"
        )
    if nuclear:
        return NuclearNorm(nuclear, label_smoothing)
    if consistency:
        return LogitConsistency(consistency, label_smoothing)
    return AdversarialCrossEntropy(label_smoothing)


def _joint(label_smoothing: float, options: Options) -> Objective:
    return JointReconstruction(options["lambda"], label_smoothing, options["consistency_weight"])


def _pick(options: Options, *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names}


_EFGSM_OPTIONS = {
    "sigma": 0.1,
    "decay": 0.95,
    "momentum_from": "gradient",
    "rivals": 1,
    "overshoot": 1.0,
    "use_projection": True,
    "first_visit": "gaussian",
    "step_size": None,
    "memory": "sample",
}


def _efgsm(epsilon: float, options: Options) -> Attack:
    return EFGSM(epsilon=epsilon, **_pick(options, *_EFGSM_OPTIONS))


def _efgsm_passes(options: Options) -> float:
    # A pass in which only the images' gradient is taken, and one backward pass for each rival.
    rivals = 9 if options["rivals"] == "all" else options["rivals"]
    # Consistency goes back through the attack's own pass; the nuclear norm classifies the clean
    # images as well.
    consistency = 2 / 3 if options.get("consistency_weight") else 0.0
    nuclear = 1.0 if options.get("nuclear_weight") else 0.0
    return (1 + rivals) / 3 + 1 + consistency + nuclear


def _pgd(epsilon: float, options: Options) -> Attack:
    return PGD(epsilon=epsilon, **_pick(options, "steps", "step_size"))


# A gradient of the images costs a forward and a backward pass, an update a forward and two.
def _steps_passes(options: Options) -> float:
    return 2 / 3 * options["steps"] + 1


_PGD_OPTIONS = {"steps": 40, "step_size": None}

METHODS: dict[str, Method] = {
    "combined": Method(
        "eFGSM with re-constructor",
        "Chen & Lee",
        _efgsm,
        _joint,
        {"lambda": 0.1, **_EFGSM_OPTIONS, "consistency_weight": 0.0},
        _efgsm_passes,
        label_smoothing=0.1,
        has_reconstructor=True,
    ),
    "efgsm": Method(
        "eFGSM alone (AdvTrain)",
        "Chen & Lee",
        _efgsm,
        _regularised_cross_entropy,
        {**_EFGSM_OPTIONS, "consistency_weight": 0.0, "nuclear_weight": 0.0},
        _efgsm_passes,
        label_smoothing=0.1,
    ),
    "rec": Method(
        "re-constructor alone (REC)",
        "Chen & Lee",
        lambda epsilon, options: Identity(epsilon=epsilon),
        lambda smoothing, options: JointReconstruction(options["lambda"], smoothing),
        {"lambda": 0.1},
        label_smoothing=0.1,
        has_reconstructor=True,
    ),
    "efgsm-trades": Method(
        "TRADES with eFGSM",
        "Chen & Lee, section 4.2",
        _efgsm,
        lambda smoothing, options: Trades(options["beta"], smoothing),
        {"beta": 1.0, **_EFGSM_OPTIONS},
        lambda options: _efgsm_passes(options) + 1,
    ),
    "standard": Method(
        "ordinary training",
        "-",
        lambda epsilon, options: Identity(epsilon=epsilon),
        _cross_entropy,
    ),
    "fgsm": Method(
        "FGSM",
        "Goodfellow et al. 2014",
        lambda epsilon, options: FGSM(epsilon=epsilon, **options),
        _cross_entropy,
        {"step_size": None},
        lambda options: 5 / 3,
    ),
    "fgsm-rs": Method(
        "FGSM-RS",
        "Wong et al. 2020",
        lambda epsilon, options: FGSM(epsilon=epsilon, random_start=True, **options),
        _cross_entropy,
        {"step_size": None},
        lambda options: 5 / 3,
    ),
    "n-fgsm": Method(
        "N-FGSM",
        "De Jorge et al. 2022",
        lambda epsilon, options: NFGSM(epsilon=epsilon, **options),
        _cross_entropy,
        {"noise_scale": 2.0, "step_size": None},
        lambda options: 5 / 3,
    ),
    "fgsm-pgi": Method(
        "FGSM with a per-sample prior and logit consistency",
        "Jia et al. 2022",
        lambda epsilon, options: PriorFGSM(epsilon=epsilon, **_pick(options, "step_size", "decay")),
        lambda smoothing, options: LogitConsistency(options["consistency_weight"], smoothing),
        {"consistency_weight": 10.0, "step_size": None, "decay": 0.3},
        lambda options: 7 / 3,
        label_smoothing=4 / 9,
    ),
    "nuat": Method(
        "NuAT",
        "Sriramanan et al. 2021",
        lambda epsilon, options: NuclearAttack(epsilon=epsilon, **options),
        lambda smoothing, options: NuclearNorm(options["nuclear_weight"], smoothing),
        {"nuclear_weight": 4.0, "step_size": None},
        # The clean images' prediction once in the attack, and its update.
        lambda options: 5 / 3 + 1 / 3 + 1,
    ),
    "pgd": Method(
        "PGD",
        "Madry et al. 2018",
        _pgd,
        _cross_entropy,
        _PGD_OPTIONS,
        _steps_passes,
    ),
    "trades": Method(
        "TRADES",
        "Zhang et al. 2019",
        lambda epsilon, options: TradesAttack(
            epsilon=epsilon, **_pick(options, "steps", "step_size")
        ),
        lambda smoothing, options: Trades(options["beta"], smoothing),
        {"beta": 1.0, **_PGD_OPTIONS},
        # The clean images' prediction once in the attack, and its update.
        lambda options: _steps_passes(options) + 4 / 3,
    ),
    "alp": Method(
        "adversarial logit pairing",
        "Kannan et al. 2018",
        _pgd,
        lambda smoothing, options: LogitPairing(options["pairing_weight"], smoothing),
        {"pairing_weight": 0.5, **_PGD_OPTIONS},
        lambda options: _steps_passes(options) + 1,
    ),
    "free": Method(
        "AdvFree",
        "Shafahi et al. 2019",
        lambda epsilon, options: FreeReplay(epsilon=epsilon, **options),
        _cross_entropy,
        {"replays": 8, "step_size": None},
        # Gradients of weights and images from one backward pass.
        lambda options: float(options["replays"]),
    ),
    "yopo": Method(
        "YOPO",
        "Zhang et al. 2019",
        lambda epsilon, options: YOPO(epsilon=epsilon, **options),
        _cross_entropy,
        {"outer_steps": 5, "inner_steps": 3, "step_size": None},
        # Its steps on the first layer come on top.
        lambda options: float(options["outer_steps"]),
    ),
    "gradient-regularisation": Method(
        "input-gradient regularisation",
        "Ross & Doshi-Velez 2018",
        lambda epsilon, options: Identity(epsilon=epsilon),
        lambda smoothing, options: GradientRegularisation(options["gradient_weight"], smoothing),
        {"gradient_weight": 1.0},
        # The update goes back through the images' gradient as well.
        lambda options: 2.0,
    ),
}


def find_method(name: str) -> Method:
    """The method of a name.

    Raises:
        ValueError: if there is none, listing them.
    """
    return METHODS[check_choice(name, "method", tuple(METHODS))]
