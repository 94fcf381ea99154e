"""What a training that has just ended says of itself."""

from dataclasses import replace

import numpy as np
import pytest

from keras_efgsm.data import ImageData
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.runs.ending import Outcome, outcome_of, warnings_of
from keras_efgsm.runs.training import train

CONFIG = TrainingConfig("mine", "digits", None, 0.1, method="efgsm")
WELL = Outcome(
    epochs=30,
    updates=6000,
    chance=0.1,
    under_attack=0.75,
    clean=0.92,
    clean_images=1000,
    natural=0.9,
    test_images=1000,
    probe=0.68,
    probe_images=256,
    side=32,
)
BY_HEART = replace(WELL, under_attack=0.98, clean=1.0, probe=0.16, natural=0.6)


def said(config=CONFIG, outcome=WELL, **changes):
    return warnings_of(config, replace(outcome, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"updates": 200, "under_attack": 0.8},  # few, and learned all the same
        {"under_attack": 0.9},  # a usual gap
        {"probe": None, "probe_images": 0},
        {"under_attack": 0.95, "clean": 0.94, "probe": 0.9},  # by the mean over the epoch
        {"chance": 0.5, "probe": 0.55},
        {"probe": 0.45, "probe_images": 14},  # of so few images by chance
    ],
)
def test_a_good_end_says_nothing(changes):
    assert said(**changes) == []


@pytest.mark.parametrize(
    ("changes", "figures"),
    [
        ({"probe": 0.0}, "held-out images ended at 0.0 %"),
        ({"probe": 0.09}, "held-out images ended at 9.0 %, where always naming one class gives 10"),
        ({"probe": 0.03, "chance": 0.01}, "ended at 3.0 %"),
        ({"probe": 0.5, "chance": 0.5}, "ended at 50.0 %"),
        ({"probe": None, "under_attack": 0.1, "clean": 0.1}, "own attack ended at 10.0 %"),
    ],
)
def test_a_probe_near_zero_is_said_with_what_to_try(changes, figures):
    changes = {"under_attack": 0.2, "clean": 0.5, **changes}
    (sentence,) = said(**changes)
    assert figures in sentence
    assert "try a smaller `--epsilon`, more `--epochs`, or `--epsilon-warmup-epochs`" in sentence
    (sentence,) = said(replace(CONFIG, epsilon_warmup_epochs=2.0), **changes)
    assert "warmup" not in sentence


def test_too_few_updates_are_said_with_the_epochs_to_ask_for():
    changes = {"updates": 132, "epochs": 12, "under_attack": 0.04, "clean": 0.05, "probe": 0.006}
    near_zero, few = said(**changes)
    assert "ended at 0.6 %" in near_zero
    assert few.startswith("132 updates of the weights are few") and "`--epochs 182`" in few
    (few,) = said(updates=999, under_attack=0.5, probe=0.4)
    assert "`--epochs 61`" in few


def test_images_learned_by_heart_are_said_with_the_options_that_are_off():
    (sentence,) = said(outcome=BY_HEART)
    assert (
        "98.0 % of them are right under attack, of held-out images under attack 16.0 %" in sentence
    )
    options = (
        "`--crop-padding 4`, `--flip` where a mirrored image stays of its class, `--keep-best`"
    )
    assert sentence.endswith(f"try {options}")
    (sentence,) = said(replace(CONFIG, crop_padding=4, keep_best=True), BY_HEART)
    assert sentence.endswith("try `--flip` where a mirrored image stays of its class")
    (sentence,) = said(replace(CONFIG, crop_padding=4, flip=True, keep_best=True), BY_HEART)
    assert sentence.endswith("try fewer `--epochs` or more images")
    (sentence,) = said(outcome=BY_HEART, probe=None, natural=0.5, side=4)
    assert "of clean test images 50.0 %; try `--crop-padding 1`, `--flip`" in sentence
    assert "--keep-best" not in sentence


@pytest.mark.parametrize(
    ("config", "changes", "remedy"),
    [
        (replace(CONFIG, attack_in_training_mode=False), {}, "`--attack-in-training-mode`"),
        (CONFIG, {"updates": 6}, "`--batch-norm-momentum`"),
        (CONFIG, {}, "`--attack pgd`"),
    ],
)
def test_an_accuracy_under_attack_above_the_clean_one_is_said(config, changes, remedy):
    changes = {"under_attack": 0.85, "clean": 0.39, "natural": 0.39, "probe": 0.7, **changes}
    (sentence,) = said(config, **changes)
    assert "under attack, 85.0 %, stands above that on clean images, 39.0 %" in sentence
    assert remedy in sentence


class Trained:
    """A trainer of whose clean training images four in five are right."""

    class optimizer:
        iterations = np.array(40)

    def evaluate(self, images, **options):
        self.seen = sum(len(labels) for _, labels in images)
        return {"loss": 1.0, "accuracy": 0.8}


@pytest.mark.parametrize(
    ("stop", "row"),
    [(None, 2), ({"restored_epoch": None}, 2), ({"restored_epoch": 2}, 1),
     ({"restored_epoch": 0}, 0)],
)  # fmt: skip
def test_the_epoch_whose_weights_remain_is_judged(stop, row):
    data = ImageData(np.zeros((1500, 4, 6, 1), "uint8"), np.arange(1500) % 3 // 2, ("a", "b"))
    rows = [{"accuracy": 0.1 * n, "probe_accuracy": 0.01 * n} for n in (1, 2, 3)]
    trained = Trained()
    probe = (np.zeros((20, 4, 6, 1)), np.zeros(20, int))
    found = outcome_of(trained, rows, stop, data, probe, 0.7, 360)
    assert trained.seen == found.clean_images == 1000
    assert found.under_attack == rows[row]["accuracy"] and found.clean == 0.8
    assert (found.probe, found.probe_images) == (rows[row]["probe_accuracy"], 20)
    assert (found.epochs, found.updates, found.side) == (3, 40, 4)
    assert found.chance == pytest.approx(2 / 3)


def test_a_run_prints_it_and_keeps_it(tmp_path, capsys):
    random = np.random.default_rng(0)
    noise = ImageData(
        random.integers(0, 256, (64, 8, 8, 1), "uint8"),
        np.arange(64) % 4,
        ("a", "b", "c", "d"),
    )
    config = replace(CONFIG, epochs=2, batch_size=16, probe_images=0)
    data = {"train_data": noise, "test_data": noise.take(20)}
    result = train(config, tmp_path / "run", verbose=2, **data)
    sentences = result.folder.read_metrics()["warnings"]
    assert any("8 updates of the weights are few" in text for text in sentences)
    out = capsys.readouterr().out
    assert all(f"warning: {text}" in out for text in sentences)
    train(config, tmp_path / "silent", verbose=0, **data)
    assert "warning" not in capsys.readouterr().out
