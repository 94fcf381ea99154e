"""What holds for every update strategy, each named once."""

import json

import keras
import numpy as np
import pytest

from keras_efgsm.attacks import EFGSM, FGSM, PGD, YOPO, Attack, FreeReplay
from keras_efgsm.objectives import Objective
from keras_efgsm.runs.checkpoint import Checkpoint, save_checkpoint
from keras_efgsm.trainer import AdversarialTrainer
from keras_efgsm.updates import (
    UPDATES,
    FreeReplayUpdates,
    OneUpdate,
    Update,
    YOPOUpdate,
    update_for,
)

EPSILON = 0.2
# A strategy, an attack that names it, and one that does not and goes with it.
STRATEGIES = {
    "one": (OneUpdate(), EFGSM(epsilon=EPSILON), YOPO(epsilon=EPSILON)),
    "free": (
        FreeReplayUpdates(replays=2),
        FreeReplay(epsilon=EPSILON, replays=2, largest_batch=20),
        FreeReplay(epsilon=EPSILON, replays=5, largest_batch=20),
    ),
    "yopo": (
        YOPOUpdate(outer_steps=2, inner_steps=1),
        YOPO(epsilon=EPSILON, outer_steps=2, inner_steps=1),
        PGD(epsilon=EPSILON, steps=3),
    ),
}
each_strategy = pytest.mark.parametrize("name", STRATEGIES)


@pytest.fixture(scope="module")
def few(small):
    return small[0][:20], small[1][:20]


@pytest.fixture
def fitted(new_trainer, few):
    """Makes a trainer that has seen one batch of ten and then another, eagerly."""

    def make(attack, callbacks=(), **options):
        trainer = new_trainer(
            attack,
            hidden=4,
            optimizer=keras.optimizers.Adam(0.01),
            compiled={"run_eagerly": True},
            **options,
        )
        trainer.fit(*few, batch_size=10, shuffle=False, verbose=0, callbacks=list(callbacks))
        return trainer

    return make


def test_every_strategy_is_here():
    assert set(STRATEGIES) == set(UPDATES)
    assert {type(strategy) for strategy, _, _ in STRATEGIES.values()} == set(UPDATES.values())


@each_strategy
def test_an_attack_names_its_strategy_with_the_options_it_has_for_it(name):
    strategy, attack, _ = STRATEGIES[name]
    found = update_for(attack)
    assert type(found) is type(strategy)
    assert vars(found) == vars(strategy)


@each_strategy
def test_a_strategy_comes_back_from_its_configuration(name):
    strategy = STRATEGIES[name][0]
    stored = json.loads(json.dumps(keras.saving.serialize_keras_object(strategy)))
    again = keras.saving.deserialize_keras_object(stored)
    assert type(again) is type(strategy)
    assert vars(again) == vars(strategy)


@each_strategy
def test_a_checkpoint_holds_all_that_a_strategy_goes_on_from(name, fitted, few, tmp_path):
    attack = STRATEGIES[name][1]
    trainer, other = fitted(attack), fitted(attack, seed=3)
    save_checkpoint(tmp_path / "state.npz", trainer, meta={}, callbacks={})
    other.seed = trainer.seed
    Checkpoint(tmp_path / "state.npz").restore(other, {})
    for one in (trainer, other):
        one.fit(*few, batch_size=10, shuffle=False, verbose=0)
    for a, b in zip(trainer.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@each_strategy
@pytest.mark.parametrize("given", [False, True], ids=["named by the attack", "given"])
def test_a_saved_trainer_comes_back_with_its_strategy(name, given, fitted, few, tmp_path):
    strategy, attack, other = STRATEGIES[name]
    trainer = fitted(other if given else attack, **({"update": strategy} if given else {}))
    assert ("update" in trainer.get_config()) == given
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.saving.load_model(tmp_path / "trainer.keras")
    assert type(loaded.update) is type(strategy)
    assert vars(loaded.update) == vars(strategy)
    assert loaded.attack.get_config() == trainer.attack.get_config()
    assert loaded.compiled and int(loaded.optimizer.iterations) == int(trainer.optimizer.iterations)
    np.testing.assert_array_equal(
        loaded.predict(few[0], verbose=0), trainer.predict(few[0], verbose=0)
    )


def test_a_given_strategy_takes_the_place_of_the_one_that_the_attack_names(fitted):
    attack = FreeReplay(epsilon=EPSILON, replays=4, largest_batch=20)
    assert int(fitted(attack).optimizer.iterations) == 8
    replayed = fitted(attack, update=FreeReplayUpdates(replays=3))
    assert int(replayed.optimizer.iterations) == 6
    assert int(fitted(attack, update=OneUpdate()).optimizer.iterations) == 2


def test_a_strategy_from_outside_is_a_class_and_a_line(fitted, monkeypatch):
    @keras.saving.register_keras_serializable(package="outside")
    class TwoUpdates(Update):
        """Two updates on the same adversarial images."""

        def take(self, step, batch):
            perturbed = step.perturb(batch)
            for _ in range(2):
                result, gradients, _ = step.gradients_on(batch, perturbed, of_images=False)
                step.apply_gradients(gradients)
            return perturbed, result

    class Twice(FGSM):
        update = "twice"

    monkeypatch.setitem(UPDATES, "twice", TwoUpdates)
    assert int(fitted(Twice(epsilon=EPSILON)).optimizer.iterations) == 4


@pytest.mark.parametrize(
    ("update", "attack", "message"),
    [
        (FreeReplayUpdates(), FGSM(epsilon=EPSILON), r"need an attack that carries.*attack=FGSM$"),
        (FreeReplayUpdates(), EFGSM(epsilon=EPSILON), "need an attack that carries.*attack=EFGSM$"),
        (YOPOUpdate(), EFGSM(epsilon=EPSILON), "without momentum.*attack=EFGSM$"),
        ("free", FGSM(epsilon=EPSILON), "must be an update strategy.*update='free'$"),
    ],
)
def test_a_strategy_that_does_not_go_with_the_attack_is_refused(
    new_classifier, update, attack, message
):
    with pytest.raises(ValueError, match=message):
        AdversarialTrainer(new_classifier(), attack, update=update)


def test_an_attack_that_names_no_strategy_there_is_is_refused(new_classifier):
    class Lost(FGSM):
        update = "nowhere"

    with pytest.raises(ValueError, match="one of free, one, yopo.*Lost, update='nowhere'$"):
        AdversarialTrainer(new_classifier(), Lost(epsilon=EPSILON))


@pytest.mark.parametrize(
    ("base", "method"), [(Attack, "perturb"), (Objective, "losses"), (Update, "take")]
)
def test_a_part_without_what_it_must_do_is_refused_when_it_is_made(base, method):
    class Idle(base):
        pass

    with pytest.raises(TypeError, match=f"abstract class Idle.*{method}"):
        Idle(**({"epsilon": EPSILON} if base is Attack else {}))


@pytest.mark.parametrize("count", [0, 1.5, True])
def test_options_of_a_strategy_that_are_no_counts_are_refused(count):
    for make, option in (
        (FreeReplayUpdates, "replays"),
        (YOPOUpdate, "outer_steps"),
        (YOPOUpdate, "inner_steps"),
    ):
        with pytest.raises(ValueError, match=f"Received: {option}={count}"):
            make(**{option: count})
