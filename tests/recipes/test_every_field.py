"""Every field of a configuration changes what a run is made of, from `train` to its parts.

A field that is added needs a case here. A case names what it looks at and what it finds there with
two values of the field, so that a wire that is cut anywhere between configuration and part shows.
"""

import dataclasses
from collections.abc import Callable, Mapping
from tempfile import gettempdir
from types import MappingProxyType
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

from keras_efgsm.callbacks import MomentumReset, OverfittingStop, WeightAveraging
from keras_efgsm.data import SOURCES, ImageData, Source, SourceFacts
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.runs.training import train
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

IMAGES, SIDE = 200, 8
BASE = TrainingConfig(
    dataset="noise:10",
    classifier="digits",
    reconstructor="digits",
    epsilon=0.2,
    epochs=6,
    batch_size=40,
    weight_averaging=0.9,
    overfitting_stop=False,
)
STEPS = IMAGES // BASE.batch_size


class Noise(Source):
    """`noise:K`: noise in K classes; it remembers how it was asked for."""

    accepts = "noise:K"

    def __init__(self):
        self.options = []

    def claims(self, dataset, options):
        return dataset.startswith("noise:")

    def describe(self, dataset, options):
        names = tuple(map(str, range(int(dataset.partition(":")[2]))))
        counts = {"train": IMAGES, "test": IMAGES}
        return SourceFacts(dataset, "noise", names, counts, {(SIDE, SIDE): IMAGES}, {1: IMAGES})

    def load(self, dataset, split, options):
        self.options.append(options)
        names = self.describe(dataset, options).class_names
        images = np.random.default_rng(0).integers(0, 256, (IMAGES, SIDE, SIDE, 1), "uint8")
        return ImageData(images, np.arange(IMAGES) % len(names), names, name=f"{dataset}:{split}")


class Started(Exception):
    """In place of the first epoch."""


class Run(NamedTuple):
    """All that `train` hands to `fit`, with the momentum as `fit` makes it."""

    trainer: AdversarialTrainer
    batches: Any
    epochs: int
    callbacks: dict
    options: Any

    def rate(self, step):
        """The learning rate of an update, from 0."""
        self.trainer.optimizer.iterations.assign(step)
        return round(float(self.trainer.optimizer.learning_rate), 7)

    def of(self, kind, attribute):
        """An attribute of a callback, `"none"` if there is no such callback."""
        return getattr(self.callbacks[kind], attribute) if kind in self.callbacks else "none"

    @property
    def first_batch(self):
        return next(iter(self.batches))[0]["id"].numpy().tolist()

    @property
    def images(self):
        """The pixels of the first batch, in no order."""
        x, _ = next(iter(self.batches))
        return sorted(image.tobytes() for image in x["image"].numpy())

    @property
    def probe(self):
        return self.callbacks[OverfittingStop].probe_images


@pytest.fixture(scope="module")
def begin(tmp_path_factory):
    """What a run is made of when its training begins; each configuration is begun once."""
    source, begun = Noise(), {}

    def fit(trainer, batches, **options):
        trainer.make_momentum(verbose=False)
        callbacks = {type(callback): callback for callback in options["callbacks"]}
        raise Started(Run(trainer, batches, options["epochs"], callbacks, source.options[0]))

    def start(config):
        if repr(config) not in begun:
            keras.backend.clear_session(free_memory=False)  # layers are numbered from one
            source.options.clear()
            with pytest.raises(Started) as started:
                train(config, tmp_path_factory.mktemp("run") / "out", verbose=0)
            begun[repr(config)] = started.value.args[0]
        return begun[repr(config)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SOURCES, "noise", source)
        patch.setattr(AdversarialTrainer, "fit", fit)
        yield start


class Case(NamedTuple):
    """`look` finds `before` in a run of the base, and `after` where the field has `value` as well.

    Where the two are not said, only that they differ is asked.
    """

    value: Any
    look: Callable[[Run], Any]
    before: Any = None
    after: Any = None
    base: Mapping[str, Any] = MappingProxyType({})


def norm_momentum(run):
    """Of the batch normalizations, which all have the same."""
    (found,) = {
        layer.momentum
        for layer in run.trainer.classifier.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }
    return found


def kind(part):
    return lambda run: type(getattr(run.trainer, part)).__name__


def shape(run):
    return tuple(run.trainer.classifier.input_shape[1:])


# What a field needs to be seen.
STANDARD = {"method": "standard", "method_options": {}}
SGD = {"optimizer": "sgd"}
STOP = {"overfitting_stop": True}
DISK = {"momentum_storage": "disk"}
ONE_CYCLE = {"schedule": "one-cycle"}
CONSISTENT = {"method_options": {"consistency_weight": 2.0}}
CASES = {
    # data
    "dataset": [Case("noise:4", lambda run: run.trainer.num_classes, 10, 4)],
    "data_dir": [Case("/data", lambda run: run.options.data_dir, None, "/data")],
    "train_images": [Case(80, lambda run: run.trainer.num_samples, IMAGES, 80)],
    "crop_padding": [Case(2, lambda run: run.trainer.augmentation.padding, 0, 2, {"flip": True})],
    "flip": [Case(True, lambda run: run.trainer.augmentation.flip, False, True, {"cutout": 2})],
    "cutout": [Case(3, lambda run: run.trainer.augmentation.cutout, 0, 3, {"flip": True})],
    "image_size": [Case((12, 10), shape, (8, 8, 1), (12, 10, 1))],
    "channels": [Case(3, shape, (8, 8, 1), (8, 8, 3))],
    # network
    "classifier": [
        Case("conv4", lambda run: run.trainer.classifier.name, "digits_classifier", "conv4")
    ],
    "reconstructor": [
        Case("dense", lambda run: "dense" in run.trainer.reconstructor.name, False, True)
    ],
    "activation": [
        Case(
            "silu", lambda run: run.trainer.classifier.layers[1].activation.__name__, "relu", "silu"
        )
    ],
    "freeze_until": [
        Case("conv2d", lambda run: len(run.trainer.classifier.trainable_variables), 8, 6)
    ],
    # method
    "epsilon": [Case(0.1, lambda run: run.trainer.attack.epsilon, 0.2, 0.1)],
    "epsilon_factor": [Case(1.5, lambda run: run.trainer.attack.epsilon, 0.2, pytest.approx(0.3))],
    "epsilon_warmup_epochs": [
        Case(2.0, lambda run: run.trainer.epsilon_warmup_steps, 0, 2 * STEPS)
    ],
    "regularizer_warmup_epochs": [
        Case(2.0, lambda run: run.trainer.regularizer_warmup_steps, 0, 2 * STEPS, CONSISTENT)
    ],
    "method": [
        Case("trades", kind("attack"), "Identity", "TradesAttack", STANDARD),
        Case("trades", kind("objective"), "AdversarialCrossEntropy", "Trades", STANDARD),
        Case("rec", lambda run: run.trainer.reconstructor is None, True, False, STANDARD),
    ],
    "method_options": [
        Case({"lambda": 0.3}, lambda run: run.trainer.objective.classification_weight, 0.1, 0.3),
        Case({"decay": 0.5}, lambda run: run.trainer.attack.decay, 0.95, 0.5),
    ],
    "label_smoothing": [Case(0.25, lambda run: run.trainer.objective.label_smoothing, 0.1, 0.25)],
    "attack": [Case("pgd", kind("attack"), "Identity", "PGD", STANDARD)],
    "objective": [Case("trades", kind("objective"), "AdversarialCrossEntropy", "Trades", STANDARD)],
    "attack_in_training_mode": [
        Case(False, lambda run: run.trainer.attack_in_training_mode, True, False)
    ],
    # memory
    "momentum_dtype": [
        Case("float16", lambda run: str(run.trainer.momentum.numpy().dtype), "int8", "float16")
    ],
    "momentum_storage": [
        Case("disk", lambda run: hasattr(run.trainer.momentum, "rows"), False, True)
    ],
    "momentum_directory": [
        Case(gettempdir(), lambda run: str(run.trainer.momentum.rows.directory), base=DISK)
    ],
    "align_momentum": [
        Case(False, lambda run: run.trainer.augmentation.aligned, True, False, {"flip": True})
    ],
    "momentum_reset_epochs": [Case(2, lambda run: run.of(MomentumReset, "every"), "none", 2)],
    # optimisation
    "epochs": [
        Case(4, lambda run: run.epochs, 6, 4),
        Case(4, lambda run: run.rate(4 * STEPS) == 0.0, False, True),  # where the schedule ends
    ],
    "batch_size": [Case(20, lambda run: len(run.first_batch), 40, 20)],
    "optimizer": [Case("sgd", kind("optimizer"), "Adam", "L2SGD")],
    "optimizer_momentum": [Case(0.5, lambda run: run.trainer.optimizer.momentum, 0.9, 0.5, SGD)],
    "weight_decay": [
        Case(0.1, lambda run: run.trainer.optimizer.weight_decay, None, 0.1),
        Case(0.1, lambda run: run.trainer.optimizer.l2, 0.0, 0.1, SGD),
    ],
    "learning_rate": [
        Case(0.1, lambda run: run.rate(0), 0.002, 0.1, {"warmup_epochs": 0.0}),
        Case(0.1, lambda run: run.rate(3 * STEPS), 0.002, 0.1, {"warmup_epochs": 3.0}),
        Case(0.1, lambda run: run.rate(12), 0.002, 0.1, ONE_CYCLE),
        Case(0.1, lambda run: run.rate(0), 0.002, 0.1, {"schedule": "piecewise"}),
    ],
    "schedule": [
        Case("piecewise", lambda run: run.rate(6 * STEPS), 0.0, 0.00002),
        Case("one-cycle", lambda run: run.rate(12) == max(map(run.rate, range(30))), False, True),
    ],
    "warmup_epochs": [Case(0.0, lambda run: run.rate(0), 0.0, 0.002)],
    "peak_share": [Case(0.5, lambda run: max(range(30), key=run.rate), 12, 15, ONE_CYCLE)],
    "weight_averaging": [
        Case(0.5, lambda run: run.of(WeightAveraging, "momentum"), 0.9, 0.5),
        Case(0.0, lambda run: run.of(WeightAveraging, "momentum"), 0.9, "none"),
    ],
    "batch_norm_momentum": [
        Case(0.5, norm_momentum, 0.9, 0.5, {"classifier": "cifar10-wrn10-1"}),
    ],
    "overfitting_stop": [Case(True, lambda run: OverfittingStop in run.callbacks, False, True)],
    "keep_best": [Case(True, lambda run: run.of(OverfittingStop, "final_drop"), 0.05, 0.0, STOP)],
    "probe_images": [
        Case(10, lambda run: len(run.probe[0]), 20, 10, STOP),
        Case(0, lambda run: run.probe is None, False, True, STOP),
    ],
    # machine
    "dtype_policy": [
        Case(
            "mixed_bfloat16",
            lambda run: run.trainer.classifier.layers[1].compute_dtype,
            "float32",
            "bfloat16",
        )
    ],
    "seed": [
        Case(7, lambda run: run.trainer.seed, 0, 7),  # of the attack's noise
        Case(7, lambda run: run.trainer.classifier.get_weights()[0].tolist()),
        Case(7, lambda run: run.first_batch),
        Case(7, lambda run: run.probe[0].tolist(), base=STOP),
        Case(7, lambda run: run.images, base={"train_images": 80, "batch_size": 80}),
        Case(7, lambda run: run.options.seed, 0, 7),  # of a split that is made
    ],
}


def test_there_is_a_case_for_every_field():
    assert set(CASES) == {field.name for field in dataclasses.fields(TrainingConfig)}


@pytest.mark.parametrize(
    ("field", "case"),
    [
        pytest.param(name, case, id=f"{name}-{number}")
        for name, cases in CASES.items()
        for number, case in enumerate(cases)
    ],
)
def test_a_field_changes_what_is_built(begin, field, case):
    base = dataclasses.replace(BASE, **case.base)
    before, after = (
        case.look(begin(config))
        for config in (base, dataclasses.replace(base, **{field: case.value}))
    )
    assert before != after
    if (case.before, case.after) != (None, None):
        assert (before, after) == (case.before, case.after)
