"""Images a second of eFGSM by dtype policy, beside the same network and FGSM-RS in PyTorch."""

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import track

from benchmarks.alternation import Contender, alternate, rate_table, ratio, ratio_table
from benchmarks.short_training import ShortTraining, accuracy_table
from benchmarks.step_times import Fitted, compared_config, random_data
from experiments.ablation.variants import make_variant
from keras_efgsm.checks import check_choice, check_count
from keras_efgsm.data import ImageData
from keras_efgsm.networks import multiply_adds
from keras_efgsm.networks.dtype_policies import AUTOMATIC, DTYPE_POLICIES
from keras_efgsm.networks.precision import float32_twin
from keras_efgsm.recipes.building import with_dtype_policy
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.records.environment import hardware, versions

# Of FGSM-RS in PyTorch, by whether it is under autocast.
TORCH_NAMES = {True: "PyTorch FGSM-RS, bfloat16 autocast", False: "PyTorch FGSM-RS, float32"}
_CHECKED_IMAGES = 16


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is measured.

    Args:
        policies: dtype policies, `"auto"` among them or not; the last one is compared with the
            others and with PyTorch.
        images: of a round of each training.
        rounds: of each training.
        torch: whether PyTorch takes part.
        accuracy: a short training for its accuracies; None for none.
    """

    policies: Sequence[str]
    images: int
    rounds: int
    torch: bool = False
    accuracy: ShortTraining | None = None

    def __post_init__(self):
        for policy in self.policies:
            check_choice(policy, "policies", (*DTYPE_POLICIES, AUTOMATIC))
        if len(set(self.policies)) < len(self.policies):
            raise ValueError(
                f"`policies` must be distinct. Received: policies={','.join(self.policies)}"
            )
        check_count(self.images, "images")
        check_count(self.rounds, "rounds")


class Timed(NamedTuple):
    """The trainings of a benchmark.

    Attributes:
        contenders: in the order of a turn.
        shown: the contender that each name of the tables stands for; two dtype policies that mean
            the same here are one training.
        pairs: names of the tables whose ratio is wanted.
        facts: of the network.
    """

    contenders: list[Contender]
    shown: dict[str, str]
    pairs: list[tuple[str, str]]
    facts: dict[str, Any]


def efgsm_config(config: TrainingConfig) -> TrainingConfig:
    """The run with eFGSM alone, whose step is as many passes as one of FGSM-RS.

    Args:
        config: a run of eFGSM, with a re-constructor or without.

    Raises:
        ValueError: if it is of another method.
    """
    check_choice(config.method, "method", ("efgsm", "combined"))
    if config.method == "combined":
        config = make_variant("reconstructor", config)
    return compared_config(
        dataclasses.replace(
            config,
            method_options={
                **config.method_options,
                "consistency_weight": 0.0,
                "nuclear_weight": 0.0,
            },
            regularizer_warmup_epochs=0.0,
            cutout=0,  # which the views in PyTorch have not
        ),
        "efgsm",
    )


def resolve(
    config: TrainingConfig, data: ImageData, policies: Sequence[str]
) -> tuple[dict[str, str], str | None]:
    """What each dtype policy stands for on this machine, and a sentence on the automatic one.

    Args:
        config: the run.
        data: its images.
        policies: the dtype policies.
    """
    meant, said = {}, None
    for policy in policies:
        decided = dataclasses.replace(config, dtype_policy=policy)
        if policy == AUTOMATIC:
            decided, said = with_dtype_policy(decided, data)
        meant[policy] = decided.dtype_policy
    return meant, said


def prepare(plan: Plan, config: TrainingConfig, data: ImageData, meant: dict[str, str]) -> Timed:
    """Builds every training, each dtype policy once.

    Args:
        plan: what is measured.
        config: the run, with eFGSM.
        data: the images of a round.
        meant: see `resolve`.
    """
    steps = plan.images // config.batch_size
    fitted: dict[str, Fitted] = {}
    for policy in dict.fromkeys(meant.values()):
        run = dataclasses.replace(config, dtype_policy=policy)
        fitted[f"eFGSM, {policy}"] = Fitted(run, data, steps)
    shown = {f"eFGSM, {_words(p, meant)}": f"eFGSM, {meant[p]}" for p in plan.policies}
    *others, best = shown
    pairs = [(best, other) for other in others]
    network = next(iter(fitted.values())).trainer.classifier
    facts = {
        "classifier": config.classifier,
        "multiply_adds": multiply_adds(network),
        "parameters": network.count_params(),
        "passes": METHODS["efgsm"].passes(config.method_options),
    }
    if not plan.torch:
        return Timed([*map(_contender, fitted.items())], shown, pairs, facts)
    from benchmarks.torch_training import TorchTraining, check_same_logits

    last = plan.policies[-1]
    rival = f"FGSM-RS, {_words(last, meant)}"
    rs_config = dataclasses.replace(compared_config(config, "fgsm-rs"), dtype_policy=meant[last])
    fitted[rival] = Fitted(rs_config, data, steps)
    twin = float32_twin(fitted[rival].trainer.classifier)
    facts["logits_differ_by"] = check_same_logits(twin, data.pixels(slice(_CHECKED_IMAGES)))
    contenders = [*map(_contender, fitted.items())]
    for bfloat16, name in TORCH_NAMES.items():
        training = TorchTraining(twin, rs_config, data, bfloat16)
        contenders.append(Contender(name, lambda training=training: training.round(steps)))
    shown |= {name: name for name in (rival, *TORCH_NAMES.values())}
    pairs += [(name, TORCH_NAMES[True]) for name in (best, rival)]
    return Timed(contenders, shown, pairs, facts)


def _words(policy: str, meant: dict[str, str]) -> str:
    return policy if meant[policy] == policy else f"{policy} ({meant[policy]})"


def _contender(named: tuple[str, Fitted]) -> Contender:
    name, fitted = named
    return Contender(name, lambda: fitted.config.batch_size / fitted.run())


def measure(plan: Plan, config: TrainingConfig, console: Console) -> dict[str, Any]:
    """Measures, shows and returns the figures.

    Args:
        plan: what is measured.
        config: the run; its method is eFGSM, with a re-constructor or without.
        console: the terminal.

    Raises:
        ImportError: if PyTorch takes part and is not installed.
        ValueError: if the run, its data or the plan are not as they must be.
    """
    config = efgsm_config(config)
    if plan.images < config.batch_size:
        raise ValueError(
            "`images` of a round must be at least those of a batch. "
            f"Received: images={plan.images}, batch_size={config.batch_size}"
        )
    if plan.torch:
        check_choice(config.optimizer, "optimizer", ("sgd",))
        require_torch()
    # Before minutes go by.
    measured = plan.accuracy and plan.accuracy.read(config)
    data = random_data(config, plan.images)
    meant, said = resolve(config, data, plan.policies)
    console.print(hardware())
    if said:
        console.print(said, soft_wrap=True)
    timed = prepare(plan, config, data, meant)
    facts = timed.facts
    console.print(
        f"{facts['classifier']}, {facts['multiply_adds'] / 1e6:,.1f} million multiply-adds and "
        f"{facts['parameters'] / 1e6:,.2f} million parameters, batch {config.batch_size}, "
        f"{facts['passes']:.2f} passes a step",
        soft_wrap=True,
    )
    if "logits_differ_by" in facts:
        console.print(f"logits in PyTorch differ by {facts['logits_differ_by']:.1e} at most")
    timings = alternate(timed.contenders, track(range(plan.rounds), "timing", console=console))
    rates = {name: timings[contender] for name, contender in timed.shown.items()}
    ratios = [ratio(rates, *pair) for pair in timed.pairs]
    console.print(rate_table(rates).rich())
    if ratios:
        console.print(ratio_table(ratios).rich())
    result = {
        **facts,
        "dtype_policies": meant,
        "automatic": said,
        "batch_size": config.batch_size,
        "images": plan.images // config.batch_size * config.batch_size,
        "rounds": plan.rounds,
        "config": config.to_dict(),
        "images_per_second": rates,
        "medians": {name: statistics.median(values) for name, values in rates.items()},
        "ratios": [ratio._asdict() for ratio in ratios],
        "hardware": hardware(),
        "versions": versions(*(("torch",) if plan.torch else ())),
    }
    if plan.accuracy:
        distinct = list(dict.fromkeys(meant.values()))
        found = plan.accuracy.measure(config, measured, distinct, console.print)
        console.print(accuracy_table(found).rich())
        result["accuracy"] = found
    return result


def require_torch() -> None:
    """Checks that PyTorch is installed.

    Raises:
        ImportError: otherwise, naming the extra that brings it.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "`--torch` needs an optional dependency: pip install 'keras-efgsm[benchmark]' "
            f"({error})"
        ) from error
