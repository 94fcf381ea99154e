"""What is trained for the paper's tables: one row for each model, and how much of it at a scale."""

import dataclasses

from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.recipes.presets import PRESETS

LAMBDAS = {"mnist": (1.0, 0.5, 0.1, 0.01, 0.001), "cifar10": (1.0, 0.5, 0.1, 0.05, 0.01)}


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much is trained and measured.

    Args:
        epochs: of the paper's method and its ablations.
        baseline_epochs: of the methods that take many passes a step: Madry's and TRADES.
        free_epochs: of AdvFree, each of which makes all of its replays.
        source_epochs: of the ordinarily trained sources of transferred attacks.
        seeds: of the paper's method; the others get the first.
        train_images: first so many training images; None for all.
        test_images: first so many test images that are attacked.
        steps: of the adaptive attacks and of PGD.
        targets: of the targeted attack.
        curve_images: test images of the curves of figures 2 and 3.
        timed_steps: of Madry's and TRADES's training on their own networks.
        queries: of the black-box attack that follows adp on the rows of Table 1.
    """

    epochs: int
    baseline_epochs: int
    free_epochs: int
    source_epochs: int
    seeds: tuple[int, ...]
    train_images: int | None
    test_images: int
    steps: int
    targets: int
    curve_images: int
    queries: int
    timed_steps: int


SCALES = {
    "smoke": Scale(1, 1, 1, 1, (0,), 512, 64, 5, 2, 64, 20, 1),
    # For CIFAR-10 on a CPU; that of the figures in `results/`.
    "subset": Scale(10, 4, 4, 5, (0, 1, 2), 20_000, 1000, 100, 9, 200, 1000, 5),
    "small": Scale(10, 4, 4, 5, (0, 1, 2), None, 1000, 100, 9, 200, 1000, 5),
    "paper": Scale(40, 100, 37, 40, (0, 1, 2), None, 10_000, 100, 9, 1000, 5000, 20),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """A model of the tables.

    Args:
        name: as its files are called.
        config: how it is trained, but for the seed.
        has_all_seeds: whether it is trained with every seed of the scale. Defaults to `False`.
        has_black_box: whether Square follows its adaptive attacks. Defaults to `False`.
        is_source: whether it is a source of transferred attacks and nothing else. Defaults to
            `False`.
    """

    name: str
    config: TrainingConfig
    has_all_seeds: bool = False
    has_black_box: bool = False
    is_source: bool = False

    def seeds(self, scale: Scale) -> tuple[int, ...]:
        """The seeds it is trained with."""
        return scale.seeds if self.has_all_seeds else scale.seeds[:1]


def lambda_row(value: float, smoothing: bool) -> str:
    """Name of the row of Table 2, or of Table 3 without label smoothing."""
    return f"lambda-{value:g}" + ("" if smoothing else "-no-smoothing")


def base_config(dataset: str) -> TrainingConfig:
    """The paper's method on a data set; its classifier is that of every row but the sources."""
    if dataset == "mnist":
        # Not the preset `mnist-paper`: as printed, the momentum costs it much, see the results.
        return PRESETS["mnist-joint"]
    return TrainingConfig(
        dataset="cifar10_jpeg75",
        classifier="cifar10-conv4",
        reconstructor="cifar10-small",
        epsilon=8 / 255,
        method_options={"lambda": 0.05, "sigma": 4 / 255},
    )


def make_rows(dataset: str, scale: Scale) -> list[Row]:
    """Every model of the tables, those that the figures need most first.

    Args:
        dataset: `"mnist"` or `"cifar10"`.
        scale: how much is trained.
    """
    # Without the stop: an ablation that overfits is a result here, not an accident.
    ours = dataclasses.replace(
        base_config(dataset), epochs=scale.epochs, overfitting_stop=False, warmup_epochs=0.5
    )
    is_mnist = dataset == "mnist"
    steps, step_size = (40, 0.01) if is_mnist else (10, 2 / 255)
    steps = min(steps, max(scale.steps, 2))
    chosen = ours.method_options["lambda"]

    def with_lambda(value: float, smoothing: bool) -> TrainingConfig:
        options = {**ours.method_options, "lambda": value}
        return dataclasses.replace(
            ours, method_options=options, label_smoothing=0.1 if smoothing else 0.0
        )

    printed = {**ours.method_options, "momentum_from": "perturbation"}
    printed = dataclasses.replace(ours, method_options=printed)

    def baseline(epochs: int, method: str, **options) -> TrainingConfig:
        return dataclasses.replace(ours.with_method(method, **options), epochs=epochs)

    pgd = {"steps": steps, "step_size": step_size}
    # Attacked at the full epsilon of MNIST from the first step on, it answers with one class for
    # longer than the smaller scales last.
    rise = 0.3 * scale.baseline_epochs if is_mnist and scale.baseline_epochs < 100 else 0.0
    madry = baseline(scale.baseline_epochs, "pgd", **pgd)
    madry = dataclasses.replace(madry, epsilon_warmup_epochs=rise)

    def source(classifier: str) -> TrainingConfig:
        config = baseline(scale.source_epochs, "standard")
        return dataclasses.replace(config, classifier=classifier)

    free = {"replays": 15, "step_size": 0.01} if is_mnist else {"replays": 8}
    if scale.epochs == 1:
        free["replays"] = 3
    efgsm = {k: v for k, v in ours.method_options.items() if k in METHODS["efgsm-trades"].options}
    beta = 1.0 if is_mnist else 6.0
    names = ("mnist-paper", "mnist-resnet") if is_mnist else ("cifar10-conv4", "cifar10-resnet")
    return [
        Row("ours", ours, has_all_seeds=True, has_black_box=True),
        Row("advtrain", ours.with_method("efgsm", **efgsm), has_all_seeds=True),
        Row("madry", madry, has_black_box=True),
        Row(
            "trades",
            baseline(scale.baseline_epochs, "trades", beta=beta, **pgd),
            has_black_box=True,
        ),
        Row("free", baseline(scale.free_epochs, "free", **free), has_black_box=True),
        Row("rec", ours.with_method("rec", **{"lambda": chosen})),
        Row("trades-efgsm", ours.with_method("efgsm-trades", beta=beta, **efgsm)),
        *(
            Row(lambda_row(value, smoothing), with_lambda(value, smoothing))
            for smoothing in (True, False)
            for value in LAMBDAS[dataset]
            if not (smoothing and value == chosen)
        ),
        Row("printed-momentum", printed, has_black_box=True),
        Row("conv4", source(names[0]), is_source=True),
        Row("resnet", source(names[1]), is_source=True),
    ]
