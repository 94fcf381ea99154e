"""Accuracies of a short training by dtype policy, beside how far the seeds lie apart."""

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_efgsm.attacks import PGD
from keras_efgsm.checks import check_count
from keras_efgsm.data import ImageData, steps_per_epoch, training_dataset
from keras_efgsm.evaluation import evaluate_robustness
from keras_efgsm.recipes.building import build_trainer, load_training_data
from keras_efgsm.recipes.config import TrainingConfig
from reporting.result_table import ResultTable, spread

PGD_STEPS = 10
FIGURES = {"natural_accuracy": "natural", "robust_accuracy": f"PGD-{PGD_STEPS}"}


@dataclasses.dataclass(frozen=True)
class ShortTraining:
    """How much is trained and measured.

    Args:
        images: trained on.
        epochs: passes over them.
        held_out: images of the train split that are measured.
        seeds: how many, from the run's own.
    """

    images: int
    epochs: int
    held_out: int
    seeds: int

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            check_count(value, f"accuracy_{name}", minimum=2 if name == "seeds" else 1)

    def read(self, config: TrainingConfig) -> tuple[ImageData, ImageData]:
        """Images to train on, and others of the train split to measure.

        Args:
            config: the run, for its data set.

        Raises:
            ValueError: if there is no such data set, or it has too few images.
        """
        data = load_training_data(config, "train")
        if self.images + self.held_out > len(data):
            raise ValueError(
                f"`accuracy_images` and `accuracy_held_out` must be at most {len(data)} together, "
                f"the training images of {data.name!r}. Received: accuracy_images={self.images}, "
                f"accuracy_held_out={self.held_out}"
            )
        rest, held_out = data.split(self.held_out / len(data), seed=0)
        if self.images < len(rest):
            rest = rest.split(self.images / len(rest), seed=0)[1]
        return rest, held_out

    def measure(
        self,
        config: TrainingConfig,
        data: tuple[ImageData, ImageData],
        policies: Sequence[str],
        tell: Callable[[str], None],
    ) -> dict[str, Any]:
        """Trains with each policy and seed, in turn.

        Args:
            config: the run.
            data: see `read`.
            policies: the dtype policies.
            tell: called with a line when a training is done.

        Returns:
            The runs, and of each policy after the first how far it lies from it.
        """
        train, held_out = data
        config = dataclasses.replace(config, epochs=self.epochs)
        runs: dict[str, list[dict[str, Any]]] = {policy: [] for policy in policies}
        for seed in range(config.seed, config.seed + self.seeds):
            for policy in policies:
                run = dataclasses.replace(config, seed=seed, dtype_policy=policy)
                figures = {"seed": seed, **_accuracies(run, train, held_out)}
                runs[policy].append(figures)
                words = [f"{word} {figures[name]:.1%}" for name, word in FIGURES.items()]
                tell(f"{policy}, seed {seed}: {', '.join(words)}")
        return {
            **dataclasses.asdict(self),
            # The same share of every class, which may not come out.
            "images": len(train),
            "held_out": len(held_out),
            "dataset": config.dataset,
            "runs": runs,
            "differences": {
                policy: difference(runs[policies[0]], runs[policy]) for policy in policies[1:]
            },
        }


def _accuracies(config: TrainingConfig, train: ImageData, held_out: ImageData) -> dict[str, float]:
    keras.utils.set_random_seed(config.seed)
    trainer = build_trainer(config, train)
    trainer.fit(
        training_dataset(train, config.batch_size, seed=config.seed),
        epochs=config.epochs,
        steps_per_epoch=steps_per_epoch(train, config.batch_size),
        shuffle=False,
        verbose=0,
    )
    attack = PGD(epsilon=config.epsilon, steps=PGD_STEPS, step_size=config.epsilon / 4)
    report = evaluate_robustness(trainer.classifier, held_out, attack, progress=False)
    return {
        "natural_accuracy": report.natural_accuracy,
        "robust_accuracy": report.attacks[0].robust_accuracy,
    }


def difference(
    base: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """How far the means of two policies lie apart, and the seeds of either at most.

    Args:
        base: figures of each seed with the first policy.
        other: the same with the other one.

    Returns:
        For each figure `of_means`, `of_seeds` and whether the former is `within` the latter.
    """
    found = {}
    for name in FIGURES:
        values = [[run[name] for run in runs] for runs in (base, other)]
        of_means = statistics.mean(values[1]) - statistics.mean(values[0])
        of_seeds = max(map(spread, values))
        found[name] = {
            "of_means": of_means,
            "of_seeds": of_seeds,
            "within": abs(of_means) <= of_seeds,
        }
    return found


def accuracy_table(found: dict[str, Any]) -> ResultTable:
    """The mean and the spread of each policy, and its difference from the first.

    Args:
        found: what `ShortTraining.measure` returned.
    """
    rows = []
    for policy, runs in found["runs"].items():
        row = [policy]
        for name in FIGURES:
            values = [run[name] for run in runs]
            row.append(f"{statistics.mean(values):.1%} ({spread(values):.1%})")
            apart = found["differences"].get(policy, {}).get(name)
            row.append(_words(apart) if apart else "-")
        rows.append(row)
    headings = ["dtype policy"]
    for word in FIGURES.values():
        headings += [word, "from the first"]
    return ResultTable(
        headings,
        rows,
        f"{found['epochs']} epochs of {found['images']:,} images of {found['dataset']}: mean of "
        f"{found['seeds']} seeds (their spread) on {found['held_out']:,} held-out images; points "
        "from the first policy, within the larger spread or beyond it",
    )


def _words(apart: dict[str, Any]) -> str:
    return f"{100 * apart['of_means']:+.1f}, {'within' if apart['within'] else 'beyond'}"
