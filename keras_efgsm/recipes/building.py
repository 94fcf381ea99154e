"""Builds the parts of a run from its configuration: trainer, held-out probe, callbacks."""

import dataclasses
import os
from typing import Any

import keras

from keras_efgsm.backend import BACKEND, replica_count
from keras_efgsm.callbacks import MomentumReset, OverfittingStop, WeightAveraging
from keras_efgsm.data import ImageData, load_data, steps_per_epoch
from keras_efgsm.networks import RECONSTRUCTORS, build_classifier, synchronize_batch_norm
from keras_efgsm.networks.batch_normalization import set_batch_norm_momentum
from keras_efgsm.networks.dtype_policies import AUTOMATIC
from keras_efgsm.networks.precision import choose_dtype_policy, dtype_policy_scope
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import find_method
from keras_efgsm.recipes.optimizers import L2SGD
from keras_efgsm.recipes.schedules import OneCycle
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
from keras_efgsm.trainer.trained_classifier import check_trained


def load_training_data(config: TrainingConfig, split: str, **options: Any) -> ImageData:
    """The images of a run, of its size and channels.

    Args:
        config: the run.
        split: `"train"` or `"test"`, or another that the data set has.
        **options: in place of those of the run, as `load_images` takes them.

    Raises:
        ValueError: if there are none, or not of one size.
    """
    return load_images(config.dataset, split, config, **options)


def load_images(
    dataset: str | os.PathLike[str],
    split: str,
    config: TrainingConfig | None = None,
    **options: Any,
) -> ImageData:
    """The images of a data set, prepared as a run prepares them.

    Args:
        dataset: as for `load_data`.
        split: as there.
        config: the run, whose options stand where none is given. Defaults to none.
        **options: `data_dir`, `image_size`, `channels` and `seed` as there; None is that of the
            run, or of `load_data`.

    Raises:
        ValueError: if there are none, or not of one size.
    """
    names = ("data_dir", "image_size", "channels", "seed")
    of_run = {} if config is None else {name: getattr(config, name) for name in names}
    given = {name: value for name, value in options.items() if value is not None}
    return load_data(dataset, split, **{**of_run, **given})


def build_trainer(config: TrainingConfig, data: ImageData) -> AdversarialTrainer:
    """Networks, attack, objective and optimizer of a run, compiled and with room for its momentum.

    Args:
        config: the run's options.
        data: the training data, for its image size, classes and number of samples.

    Raises:
        ValueError: if the images do not have the size that the classifier takes, or that cannot be
            trained.
    """
    config, _ = with_dtype_policy(config, data)
    with dtype_policy_scope(config.dtype_policy):
        classifier = _classifier(config, data)
        reconstructor = None
        if find_method(config.method).has_reconstructor:
            assert config.reconstructor is not None  # which the configuration checks
            build = RECONSTRUCTORS[config.reconstructor]
            reconstructor = build(data.image_shape, data.num_classes)
    if config.batch_norm_momentum is not None:
        for network in filter(None, (classifier, reconstructor)):
            set_batch_norm_momentum(network, config.batch_norm_momentum)
    if replica_count() > 1:
        # Or each replica would normalise by a part of the batch, and the training depend on them.
        for network in filter(None, (classifier, reconstructor)):
            synchronize_batch_norm(network)
    taken = tuple(classifier.input_shape[1:])
    if any(side not in (None, has) for side, has in zip(taken, data.image_shape, strict=True)):
        raise ValueError(
            f"The images must have shape {taken}, as the classifier {config.classifier!r} takes "
            f"them; {size_options(taken)} brings them to it. "
            f"Received: dataset={data.name!r} with images of shape {data.image_shape}"
        )
    attack = config.make_attack()
    updates = steps_per_epoch(data, config.batch_size) * attack.replays
    trainer = AdversarialTrainer(
        classifier,
        attack,
        reconstructor,
        config.make_objective(),
        num_samples=len(data),
        momentum_dtype=config.momentum_dtype,
        momentum_storage=config.momentum_storage,
        momentum_directory=config.momentum_directory,
        seed=config.seed,
        epsilon_warmup_steps=round(config.epsilon_warmup_epochs * updates),
        regularizer_warmup_steps=round(config.regularizer_warmup_epochs * updates),
        augmentation=config.augmentation(),
        attack_in_training_mode=config.attack_in_training_mode,
    )
    # As `fit` will, but before a run folder is made.
    check_trained(trainer)
    trainer.compile(make_optimizer(config, _learning_rate(config, updates)))
    if BACKEND != "tensorflow":
        # Its batches are numbers of samples alone.
        trainer.keep_images(data.images)
    return trainer


def with_dtype_policy(config: TrainingConfig, data: ImageData) -> tuple[TrainingConfig, str | None]:
    """The configuration with a policy measured on this machine in place of `"auto"`.

    Args:
        config: the run's options.
        data: the training data, for its number of classes.

    Returns:
        The configuration, and a sentence about the choice, None where there was none to make.
    """
    if config.dtype_policy != AUTOMATIC:
        return config, None
    choice = choose_dtype_policy(
        lambda: _classifier(config, data),
        config.batch_size,
    )
    decided = dataclasses.replace(config, dtype_policy=choice.policy)
    return decided, f"dtype policy {choice.policy}: {choice.reason}"


def size_options(shape: tuple[int | None, ...]) -> str:
    """The options of the command line that bring images to a shape (height, width, channels).

    Example:

    ```python
    assert size_options((28, 28, 1)) == "`--image-size 28 28 --channels 1`"
    ```
    """
    height, width, channels = shape
    words = [] if None in (height, width) else [f"--image-size {height} {width}"]
    if channels is not None:
        words.append(f"--channels {channels}")
    return f"`{' '.join(words)}`"


def _classifier(config: TrainingConfig, data: ImageData) -> keras.Model:
    return build_classifier(
        config.classifier,
        data.image_shape,
        data.num_classes,
        activation=config.activation,
        freeze_until=config.freeze_until,
    )


def make_optimizer(config: TrainingConfig, learning_rate: Any) -> keras.optimizers.Optimizer:
    """The optimizer of a configuration.

    Args:
        config: the run's options.
        learning_rate: a number or a schedule.
    """
    if config.optimizer == "sgd":
        return L2SGD(learning_rate, config.optimizer_momentum, l2=config.weight_decay)
    return keras.optimizers.Adam(learning_rate, weight_decay=config.weight_decay or None)


def _learning_rate(config: TrainingConfig, updates: int) -> Any:
    """The schedule over all updates, `updates` an epoch."""
    total = config.epochs * updates
    if config.schedule == "one-cycle":
        return OneCycle(
            config.learning_rate, total, min(round(config.peak_share * total), total - 1)
        )
    if config.schedule == "piecewise":
        rates = [config.learning_rate / factor for factor in (1, 10, 100)]
        return keras.optimizers.schedules.PiecewiseConstantDecay(
            [total // 2, total * 3 // 4], rates
        )
    warmup = round(min(config.warmup_epochs, config.epochs / 2) * updates)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else config.learning_rate,
        total - warmup,
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


def hold_out_probe(
    config: TrainingConfig, data: ImageData
) -> tuple[ImageData, tuple[Any, Any] | None]:
    """Training data without the images of the stop's probe, and these.

    Args:
        config: the run.
        data: the images of the train split, of which `config.train_images` are used.

    Returns:
        The rest, and `(pixels, labels)` of the probe or None without one.

    Raises:
        ValueError: if there are fewer than `config.train_images`.
    """
    data = _part_to_train_on(config, data)
    count = min(config.probe_images, len(data) // 10)
    if not config.overfitting_stop or count == 0:
        return data, None
    rest, held_out = data.split(count / len(data), seed=config.seed)
    return rest, (held_out.pixels(), held_out.labels)


def _part_to_train_on(config: TrainingConfig, data: ImageData) -> ImageData:
    wanted = config.train_images
    if wanted is None or wanted == len(data):
        return data
    if wanted > len(data):
        raise ValueError(
            f"`train_images` must be at most {len(data)}, the number of training images of "
            f"{data.name!r}. Received: train_images={wanted}"
        )
    return data.split(wanted / len(data), seed=config.seed)[1]


def stateful_callbacks(
    config: TrainingConfig, probe: tuple[Any, Any] | None, *, verbose: bool = True
) -> dict[str, keras.callbacks.Callback]:
    """The weight averaging and the overfitting stop of a run, by name, where present.

    Args:
        config: the run.
        probe: what `hold_out_probe` held out.
        verbose: whether the stop says what it does. Defaults to `True`.
    """
    callbacks: dict[str, keras.callbacks.Callback] = {}
    if config.weight_averaging:
        callbacks["averaging"] = WeightAveraging(config.weight_averaging)
    if config.overfitting_stop:
        options: dict[str, Any] = {"final_drop": 0.0} if config.keep_best else {}
        callbacks["stop"] = OverfittingStop(probe=probe, verbose=verbose, **options)
    return callbacks


def momentum_callbacks(config: TrainingConfig) -> list[keras.callbacks.Callback]:
    """The callbacks of a run that act on the per-sample momentum and keep no state.

    Args:
        config: the run.
    """
    every = config.momentum_reset_epochs
    return [MomentumReset(every)] if every else []
