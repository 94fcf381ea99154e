"""What a finished training says of itself: what went wrong, and which options to try."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_efgsm.callbacks.probe import is_none
from keras_efgsm.data import ImageData, evaluation_dataset
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records.wording import percent
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

# Under so many updates a network has learned little, unless its training accuracy says otherwise.
_FEW_UPDATES, _ENOUGH_UPDATES, _LEARNED = 1000, 2000, 0.7
# How far the accuracy on the training images may stand above that on others.
_GAP = 0.25
# How far the accuracy under attack, a mean over the epoch, may stand above the clean one by chance.
_ABOVE = 0.02
# Training images that are classified unattacked at the end.
_CLEAN_IMAGES = 1000


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a training ended, as shares in [0, 1] and counts.

    Args:
        epochs: how many were trained.
        updates: of the weights.
        chance: share of the most frequent class.
        under_attack: accuracy on the training images under the training's attack, in the epoch
            whose weights remain.
        clean: accuracy on `clean_images` of the training images, unattacked, of these weights.
        clean_images: how many these were.
        natural: accuracy on the test images.
        test_images: how many there are.
        probe: robust accuracy on held-out images, in the same epoch; None without.
        probe_images: how many these are.
        side: the shorter side of the images in pixels.
    """

    epochs: int
    updates: int
    chance: float
    under_attack: float
    clean: float
    clean_images: int
    natural: float
    test_images: int
    probe: float | None
    probe_images: int
    side: int


def outcome_of(
    trainer: AdversarialTrainer,
    rows: Sequence[Mapping[str, Any]],
    stop: Mapping[str, Any] | None,
    train_data: ImageData,
    probe: tuple[Any, Any] | None,
    natural: float,
    test_images: int,
) -> Outcome:
    """Puts together how a training ended, and classifies some clean training images for it.

    Args:
        trainer: the trained model.
        rows: the figures of each epoch.
        stop: what the overfitting stop reports; None without one.
        train_data: the training images.
        probe: the held-out images and labels; None without them.
        natural: accuracy on the test images, in [0, 1].
        test_images: how many there are.
    """
    kept = stop["restored_epoch"] if stop is not None else None
    # Weights of before the first epoch have no row.
    row = rows[max(kept, 1) - 1] if kept is not None else rows[-1]
    some = np.linspace(0, len(train_data) - 1, min(_CLEAN_IMAGES, len(train_data)), dtype=int)
    images = evaluation_dataset(train_data.subset(some, train_data.name), _CLEAN_IMAGES)
    clean = trainer.evaluate(images, verbose=0, return_dict=True)["accuracy"]
    counts = np.bincount(train_data.labels)
    return Outcome(
        epochs=len(rows),
        updates=int(keras.ops.convert_to_numpy(trainer.optimizer.iterations)),
        chance=float(counts.max() / counts.sum()),
        under_attack=float(row["accuracy"]),
        clean=float(clean),
        clean_images=len(some),
        natural=natural,
        test_images=test_images,
        probe=row.get("probe_accuracy"),
        probe_images=0 if probe is None else len(probe[1]),
        side=min(train_data.image_shape[:2]),
    )


def warnings_of(config: TrainingConfig, outcome: Outcome) -> list[str]:
    """What a user should know of a training that has just ended: a sentence each.

    Args:
        config: the run.
        outcome: how it ended.

    Returns:
        Nothing where nothing is wrong.
    """
    found = [
        _attacked_another_network(config, outcome),
        _near_zero(config, outcome),
        _too_few_updates(config, outcome),
        _learned_by_heart(config, outcome),
    ]
    return [sentence for sentence in found if sentence]


def _is_near_zero(outcome: Outcome) -> bool:
    # Without a probe the accuracy in training, which is an upper bound.
    robust = outcome.under_attack if outcome.probe is None else outcome.probe
    return is_none(robust, outcome.chance)


def _near_zero(config: TrainingConfig, outcome: Outcome) -> str:
    if not _is_near_zero(outcome):
        return ""
    if outcome.probe is None:
        what, share = "the accuracy under the training's own attack", outcome.under_attack
    else:
        what, share = "the robust accuracy on held-out images", outcome.probe
    warmup = "" if config.epsilon_warmup_epochs else ", or `--epsilon-warmup-epochs`"
    return (
        f"{what} ended at {percent(share, 1)}, where always naming one class gives "
        f"{percent(outcome.chance, 1)}: the network is not robust at epsilon "
        f"{config.epsilon_in_words}; try a smaller `--epsilon`, more `--epochs`{warmup}"
    )


def _too_few_updates(config: TrainingConfig, outcome: Outcome) -> str:
    learned = outcome.under_attack >= _LEARNED and not _is_near_zero(outcome)
    if outcome.updates >= _FEW_UPDATES or learned:
        return ""
    wanted = math.ceil(_ENOUGH_UPDATES * outcome.epochs / outcome.updates)
    return (
        f"{outcome.updates:,} updates of the weights are few, and the network had not learned its "
        f"training images yet ({percent(outcome.under_attack, 1)} under attack); try "
        f"`--epochs {wanted}`, {_ENOUGH_UPDATES:,} updates"
    )


def _learned_by_heart(config: TrainingConfig, outcome: Outcome) -> str:
    # Natural accuracy is no less than robust accuracy, so that it tells as well, if less often.
    if outcome.probe is None:
        others, count, what = outcome.natural, outcome.test_images, "clean test images"
    else:
        others, count, what = outcome.probe, outcome.probe_images, "held-out images under attack"
    if outcome.under_attack - others <= _GAP + 0.5 / math.sqrt(max(count, 1)):
        return ""
    options = []
    if not config.crop_padding:
        options.append(f"`--crop-padding {max(1, outcome.side // 8)}`")
    if not config.flip:
        options.append("`--flip` where a mirrored image stays of its class")
    if not config.keep_best and outcome.probe is not None:
        options.append("`--keep-best`")
    return (
        "the network has learned its training images by heart: "
        f"{percent(outcome.under_attack, 1)} of them are right under attack, of {what} "
        f"{percent(others, 1)}; try {', '.join(options) or 'fewer `--epochs` or more images'}"
    )


def _attacked_another_network(config: TrainingConfig, outcome: Outcome) -> str:
    above = outcome.under_attack - outcome.clean
    if above <= _ABOVE + 0.5 / math.sqrt(max(outcome.clean_images, 1)):
        return ""
    if not config.attack_in_training_mode:
        remedy = "let the attack see batch norm as the update does, `--attack-in-training-mode`"
    elif outcome.updates < _FEW_UPDATES:
        remedy = (
            "in so few updates averaged weights and the statistics of batch norm lag behind: more "
            "`--epochs`, a lower `--weight-averaging` or `--batch-norm-momentum`"
        )
    else:
        remedy = "the training may have overfitted to its attack: `--attack pgd`"
    return (
        f"in training the accuracy under attack, {percent(outcome.under_attack, 1)}, stands above "
        f"that on clean images, {percent(outcome.clean, 1)}: the network that was attacked is not "
        f"the one that is used; try {remedy}"
    )
