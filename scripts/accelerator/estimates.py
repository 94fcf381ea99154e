"""How long things take: arithmetic that is counted, over rates assumed at first, then measured.

Two operations for each multiply-add of the convolutional and dense layers, as
`scripts/benchmarks/step_times.py` counts them. A rate is a share of the chip's peak in bfloat16.
"""

import functools
import math
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

from benchmarks.step_times import step_operations
from keras_efgsm.attacks import Attack
from keras_efgsm.networks import CLASSIFIERS, RECONSTRUCTORS, image_shape_of, multiply_adds
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import find_method

SHARES = {"training": 0.10, "gradients": 0.10, "queries": 0.10}
"""Of the peak, before anything was measured.

Training is in bfloat16 at batch 128. Gradients and logits of the attacks are in float32, whose
products are TF32 at half that peak, in larger batches.
"""

SECONDS = {
    # Imports, unpacking, decoding, the device's start.
    "setup": 25.0,
    # Each convolution is tried in several forms when it is first met.
    "first step": 40.0,
    # The same convolutions in another step.
    "step": 15.0,
    "attack": 9.0,
    "logits": 5.0,
    # Of the weights.
    "average": 3.0,
    # Its attack.
    "probe": 8.0,
}
"""Of compilation and the like on the accelerator, before anything was measured."""

REHEARSED_SHARES = {"training": 0.5, "gradients": 0.5, "queries": 0.5}
REHEARSED_SECONDS = {
    "setup": 10.0,
    "first step": 10.0,
    "step": 8.0,
    "attack": 4.0,
    "logits": 2.0,
    "average": 1.0,
    "probe": 3.0,
}
"""The same on a CPU of two cores, for a rehearsal."""

# Of the images that an attack of a set is given; the last for all that follow.
_SURVIVING = (0.85, 0.55, 0.5)
# Probe, averaging and Python beside the steps of an epoch.
_BESIDE = 1.1


class Networks(NamedTuple):
    """The networks of a configuration, for their layers alone."""

    classifier: Any
    reconstructor: Any


class Rates:
    """Operations a second of each kind of work, and the seconds of what is no arithmetic.

    Args:
        peak: of the chip in bfloat16, operations a second.
        shares: of the peak for each kind. Defaults to `SHARES`.
        seconds: of what is no arithmetic. Defaults to `SECONDS`.
    """

    def __init__(
        self,
        peak: float,
        shares: dict[str, float] | None = None,
        seconds: dict[str, float] | None = None,
    ):
        self.peak = peak
        self.rates = {kind: peak * share for kind, share in (shares or SHARES).items()}
        self.fixed = dict(seconds or SECONDS)
        self.measured: set[str] = set()

    def of(self, kind: str, operations: float) -> float:
        """Seconds of so many operations."""
        return operations / self.rates[kind]

    def learn(self, kind: str, operations: float, seconds: Sequence[float]) -> None:
        """Takes what was measured in place of what was known.

        Args:
            kind: of the work.
            operations: of one of the calls.
            seconds: of each call; none leaves all as it is.
        """
        if seconds:
            self.rates[kind] = operations / max(statistics.median(seconds), 1e-9)
            self.measured.add(kind)

    def learn_fixed(self, name: str, seconds: float) -> None:
        """Takes measured seconds of something that is no arithmetic."""
        self.fixed[name] = max(seconds, 0.0)
        self.measured.add(name)

    def to_dict(self) -> dict[str, Any]:
        """As it is written: what is known, and which of it was measured."""
        return {
            "peak_tflops": self.peak / 1e12,
            "tflops": {kind: rate / 1e12 for kind, rate in self.rates.items()},
            "seconds": self.fixed,
            "measured": sorted(self.measured),
        }


def networks_of(config: TrainingConfig, num_classes: int = 10) -> Networks:
    """The networks that a run trains; those of runs with the same ones are made once.

    Args:
        config: the run.
        num_classes: number of logits. Defaults to 10.
    """
    has_reconstructor = find_method(config.method).has_reconstructor
    shape = image_shape_of(config.dataset)
    return Networks(
        _classifier(config.classifier, shape, num_classes, config.activation),
        _reconstructor(config.reconstructor, shape, num_classes) if has_reconstructor else None,
    )


@functools.cache
def _classifier(
    name: str, image_shape: tuple[int, int, int], num_classes: int, activation: str
) -> keras.Model:
    return CLASSIFIERS[name](image_shape, num_classes, activation=activation)


@functools.cache
def _reconstructor(name: str, image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    return RECONSTRUCTORS[name](image_shape, num_classes)


def epoch_operations(config: TrainingConfig, networks: Networks, images: int) -> float:
    """Operations of an epoch of training, without those of the probe.

    Args:
        config: the run.
        networks: its networks.
        images: of an epoch.
    """
    return step_operations(networks, config) / config.batch_size * images


def epoch_seconds(config: TrainingConfig, networks: Networks, images: int, rates: Rates) -> float:
    """Seconds of an epoch, with all that is done at its end.

    Args:
        config: the run.
        networks: its networks.
        images: of an epoch.
        rates: what is known.
    """
    steps = rates.of("training", epoch_operations(config, networks, images)) * _BESIDE
    # At most a tenth of all.
    probe = min(config.probe_images, images // 9) if config.overfitting_stop else 0
    # Its twenty steps go forward and back.
    return steps + rates.of("training", probe * 20 * 4 * multiply_adds(networks.classifier))


def start_seconds(config: TrainingConfig, rates: Rates) -> float:
    """Seconds of a training beside its epochs: what is compiled for it.

    Args:
        config: the run.
        rates: what is known.
    """
    has_probe = config.overfitting_stop and config.probe_images
    return rates.fixed["step"] + (rates.fixed["probe"] if has_probe else 0.0)


def measuring_seconds(
    config: TrainingConfig, networks: Networks, steps: int, rates: Rates
) -> float:
    """Seconds of `training.measure_step`.

    Args:
        config: the run.
        networks: its networks.
        steps: of each of its four rounds.
        rates: what is known.
    """
    operations = 4 * steps * step_operations(networks, config)
    return rates.fixed["first step"] + rates.fixed["average"] + rates.of("training", operations)


def attack_operations(attack: Attack, multiply_adds: int) -> tuple[str, float]:
    """The kind of work of an attack, and its operations for one image in one round.

    Args:
        attack: any attack of an evaluation.
        multiply_adds: of the classifier's forward pass.
    """
    spent = attack.budget
    if spent.queries:
        return "queries", 2.0 * multiply_adds * spent.queries
    # The images' gradient goes forward and back once.
    return "gradients", 4.0 * multiply_adds * (spent.steps or 1)


def evaluation_seconds(
    attacks: Sequence[Attack],
    images: int,
    batch_size: int,
    multiply_adds: int,
    rates: Rates,
    *,
    compiled: bool,
    surviving: Sequence[float] = _SURVIVING,
) -> float:
    """Seconds of a cascade of attacks in batches of one size.

    Args:
        attacks: the attacks.
        images: so many, those that are misclassified included.
        batch_size: of every batch.
        multiply_adds: of the classifier's forward pass.
        rates: what is known.
        compiled: whether the attacks were compiled before.
        surviving: share of the images that each attack is given; the last one for all that
            follow. Defaults to what is usual.
    """
    seconds = 0.0 if compiled else rates.fixed["logits"] + rates.fixed["attack"] * len(attacks)
    for number, attack in enumerate(attacks):
        given = images * surviving[min(number, len(surviving) - 1)]
        batches = max(math.ceil(given / batch_size), 1) * attack.rounds
        kind, operations = attack_operations(attack, multiply_adds)
        seconds += batches * rates.of(kind, operations * batch_size)
    return seconds
