"""A whole training run from a configuration to a run folder."""

from pathlib import Path
from typing import Any, NamedTuple

import keras

from keras_efgsm.callbacks import OverfittingStop, RunRecorder, WeightAveraging
from keras_efgsm.checkpoint import Checkpoint
from keras_efgsm.config import TrainingConfig
from keras_efgsm.curves import draw_curves
from keras_efgsm.data import (
    ImageData,
    evaluation_dataset,
    load_data,
    steps_per_epoch,
    training_dataset,
)
from keras_efgsm.environment import hardware, versions
from keras_efgsm.methods import find_method
from keras_efgsm.networks import CLASSIFIERS, RECONSTRUCTORS
from keras_efgsm.runs import RunFolder
from keras_efgsm.trainer import AdversarialTrainer


class TrainingResult(NamedTuple):
    """What a run gives.

    Attributes:
        trainer: the trained model; `trainer.classifier` is what leaves.
        metrics: how training ended, as in `metrics.json`.
        folder: the run's folder.
    """

    trainer: AdversarialTrainer
    metrics: dict[str, Any]
    folder: RunFolder


def build_trainer(config: TrainingConfig, data: ImageData) -> AdversarialTrainer:
    """Networks, attack, objective and optimizer of a run, compiled and with room for its momentum.

    Args:
        config: the run's options.
        data: the training data, for its image size, classes and number of samples.

    Raises:
        ValueError: if the images do not have the size that the classifier takes.
    """
    classifier = CLASSIFIERS[config.classifier](data.num_classes)
    if tuple(data.image_shape) != tuple(classifier.input_shape[1:]):
        raise ValueError(
            f"The images must have shape {tuple(classifier.input_shape[1:])}, as the classifier "
            f"{config.classifier!r} takes them. "
            f"Received: dataset={data.name!r} with images of shape {tuple(data.image_shape)}"
        )
    reconstructor = None
    if find_method(config.method).has_reconstructor:
        reconstructor = RECONSTRUCTORS[config.reconstructor](data.num_classes)
    attack = config.attack()
    updates = steps_per_epoch(data, config.batch_size) * attack.replays
    trainer = AdversarialTrainer(
        classifier,
        attack,
        reconstructor,
        config.objective(),
        num_samples=len(data),
        momentum_dtype=config.momentum_dtype,
        seed=config.seed,
        epsilon_warmup_steps=round(config.epsilon_warmup_epochs * updates),
    )
    trainer.compile(keras.optimizers.Adam(_learning_rate(config, updates)))
    return trainer


def _learning_rate(config: TrainingConfig, updates: int) -> Any:
    """A linear warm-up and a cosine over all updates, `updates` an epoch."""
    warmup = round(min(config.warmup_epochs, config.epochs / 2) * updates)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else config.learning_rate,
        config.epochs * updates - warmup,
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


def train(
    config: TrainingConfig,
    out: str | Path,
    *,
    resume: bool = False,
    train_data: ImageData | None = None,
    test_data: ImageData | None = None,
    verbose: str | int = "auto",
) -> TrainingResult:
    """Trains a classifier and writes a run folder that `resume=True` continues exactly.

    Args:
        config: the run's options, such as `PRESETS["mnist"]`.
        out: the run's folder; new or empty unless resumed.
        resume: whether to continue the run in `out` from its last whole epoch. Defaults to
            `False`.
        train_data: training images. Defaults to the train split of `config.dataset`.
        test_data: images for the natural accuracy. Defaults to its test split.
        verbose: as in `keras.Model.fit`. Defaults to `"auto"`.

    Raises:
        ValueError: if the data, the folder or the checkpoint are not as they must be.
        PermissionError: if the folder cannot be written.

    Example:

    ```python
    result = train(PRESETS["digits"], "runs/digits")
    ```
    """
    folder = RunFolder(out)
    if train_data is None:
        train_data = load_data(config.dataset, "train", config.data_dir)
    if test_data is None:
        test_data = load_data(config.dataset, "test", config.data_dir)
    keras.utils.set_random_seed(config.seed)
    train_data, probe = _hold_out_probe(config, train_data)
    trainer = build_trainer(config, train_data)
    callbacks = _stateful_callbacks(config, probe)
    folder.prepare(config, resume)
    epoch, rows, stopped = 0, [], False
    if resume and folder.checkpoint.exists():
        checkpoint = Checkpoint(folder.checkpoint)
        trainer.make_momentum(verbose=False)
        checkpoint.restore(trainer, callbacks)
        epoch, rows = checkpoint.meta["epoch"], checkpoint.meta["rows"]
        stopped = checkpoint.meta["stopped"]
        print(f"resuming after epoch {epoch} of {config.epochs}")
    recorder = RunRecorder(folder, callbacks, rows)
    trainer.fit(
        training_dataset(train_data, config.batch_size, seed=config.seed, initial_epoch=epoch),
        # A run that was stopped has no epochs left; its callbacks still put their weights back.
        epochs=epoch if stopped else config.epochs,
        initial_epoch=epoch,
        steps_per_epoch=steps_per_epoch(train_data, config.batch_size),
        callbacks=[*callbacks.values(), recorder],
        shuffle=False,
        verbose=verbose,
    )
    folder.save_model(trainer.classifier, folder.classifier)
    if trainer.reconstructor is not None:
        folder.save_model(trainer.reconstructor, folder.reconstructor)
    draw_curves(recorder.rows, folder.curves, f"{config.dataset}, epsilon {config.epsilon:g}")
    natural = trainer.evaluate(evaluation_dataset(test_data, 1000), verbose=0, return_dict=True)
    metrics = {
        "natural_accuracy": natural["accuracy"],
        "test_images": len(test_data),
        "train_images": len(train_data),
        "epochs": len(recorder.rows),
        "training_seconds": round(recorder.seconds, 1),
        "stop": callbacks["stop"].report() if "stop" in callbacks else None,
        "parameters": {
            "classifier": trainer.classifier.count_params(),
            "reconstructor": trainer.reconstructor.count_params() if trainer.reconstructor else 0,
        },
        "momentum_bytes": trainer.momentum.nbytes if trainer.momentum else 0,
        "class_names": list(train_data.class_names),
        "versions": versions(),
        "hardware": hardware(),
        "seed": config.seed,
    }
    folder.write_metrics(metrics)
    return TrainingResult(trainer, metrics, folder)


def _hold_out_probe(
    config: TrainingConfig, data: ImageData
) -> tuple[ImageData, tuple[Any, Any] | None]:
    """Training data without the images of the probe, and these; no images of the test split."""
    count = min(config.probe_images, len(data) // 10)
    if not config.overfitting_stop or count == 0:
        return data, None
    rest, held_out = data.split(count / len(data), seed=config.seed)
    return rest, (held_out.pixels(), held_out.labels)


def _stateful_callbacks(config: TrainingConfig, probe: tuple[Any, Any] | None) -> dict:
    callbacks = {}
    if config.weight_averaging:
        callbacks["averaging"] = WeightAveraging(config.weight_averaging)
    if config.overfitting_stop:
        callbacks["stop"] = OverfittingStop(probe=probe)
    return callbacks
