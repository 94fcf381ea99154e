"""What a run is made of, from its configuration: trainer, held-out probe, callbacks."""

from typing import Any

import keras

from keras_efgsm.callbacks import OverfittingStop, WeightAveraging
from keras_efgsm.config import TrainingConfig
from keras_efgsm.data import ImageData, steps_per_epoch
from keras_efgsm.methods import find_method
from keras_efgsm.networks import CLASSIFIERS, RECONSTRUCTORS
from keras_efgsm.precision import dtype_policy_scope
from keras_efgsm.trainer import AdversarialTrainer


def build_trainer(config: TrainingConfig, data: ImageData) -> AdversarialTrainer:
    """Networks, attack, objective and optimizer of a run, compiled and with room for its momentum.

    Args:
        config: the run's options.
        data: the training data, for its image size, classes and number of samples.

    Raises:
        ValueError: if the images do not have the size that the classifier takes.
    """
    with dtype_policy_scope(config.dtype_policy):
        classifier = CLASSIFIERS[config.classifier](data.num_classes)
        reconstructor = None
        if find_method(config.method).has_reconstructor:
            reconstructor = RECONSTRUCTORS[config.reconstructor](data.num_classes)
    if tuple(data.image_shape) != tuple(classifier.input_shape[1:]):
        raise ValueError(
            f"The images must have shape {tuple(classifier.input_shape[1:])}, as the classifier "
            f"{config.classifier!r} takes them. "
            f"Received: dataset={data.name!r} with images of shape {tuple(data.image_shape)}"
        )
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


def hold_out_probe(
    config: TrainingConfig, data: ImageData
) -> tuple[ImageData, tuple[Any, Any] | None]:
    """Training data without the images of the stop's probe, and these.

    Args:
        config: the run.
        data: the images of the train split.

    Returns:
        The rest, and `(pixels, labels)` of the probe or None without one.
    """
    count = min(config.probe_images, len(data) // 10)
    if not config.overfitting_stop or count == 0:
        return data, None
    rest, held_out = data.split(count / len(data), seed=config.seed)
    return rest, (held_out.pixels(), held_out.labels)


def stateful_callbacks(
    config: TrainingConfig, probe: tuple[Any, Any] | None, *, verbose: bool = True
) -> dict[str, keras.callbacks.Callback]:
    """The weight averaging and the overfitting stop of a run, by name, as far as it has them.

    Args:
        config: the run.
        probe: what `hold_out_probe` held out.
        verbose: whether the stop says what it does. Defaults to `True`.
    """
    callbacks: dict[str, keras.callbacks.Callback] = {}
    if config.weight_averaging:
        callbacks["averaging"] = WeightAveraging(config.weight_averaging)
    if config.overfitting_stop:
        callbacks["stop"] = OverfittingStop(probe=probe, verbose=verbose)
    return callbacks
