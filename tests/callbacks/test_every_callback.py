"""What holds for every callback of the package, each named once."""

import copy

import keras
import numpy as np
import pytest

import keras_efgsm.callbacks
from keras_efgsm.attacks import EFGSM
from keras_efgsm.callbacks import (
    AdversarialTensorBoard,
    MarginWarning,
    MomentumReset,
    OverfittingStop,
    TimeLeft,
    WeightAveraging,
)
from keras_efgsm.runs.checkpoint import Checkpoint, save_checkpoint

EPSILON = 0.2
CALLBACKS = {
    "averaging": lambda folder, data: WeightAveraging(0.5),
    "stop": lambda folder, data: OverfittingStop(verbose=False),
    "reset": lambda folder, data: MomentumReset(1),
    "warning": lambda folder, data: MarginWarning(every=1),
    "time left": lambda folder, data: TimeLeft(),
    "tensorboard": lambda folder, data: AdversarialTensorBoard(folder / "board", images=data),
}
# An option that each refuses, and values that are none.
REFUSED = {
    "averaging": ("momentum", (-0.1, 1.0, "0.9", None, float("nan"))),
    "stop": ("final_drop", (-0.1, 1.1, "0.1", None, float("nan"))),
    "reset": ("every", (0, -1, 1.5, True, None)),
    "warning": ("every", (0, -1, 1.5, True, None)),
    "tensorboard": ("every", (0, -1, 1.5, True, None)),
}


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


def test_every_callback_is_here(tmp_path, few):
    named = [getattr(keras_efgsm.callbacks, name) for name in keras_efgsm.callbacks.__all__]
    classes = {one for one in named if isinstance(one, type)}
    made = {type(make(tmp_path, few)) for name, make in CALLBACKS.items() if name != "tensorboard"}
    assert classes == made | {AdversarialTensorBoard}
    # The one without options that could be wrong.
    assert set(REFUSED) == set(CALLBACKS) - {"time left"}


@pytest.mark.parametrize("name", REFUSED)
def test_an_option_out_of_range_is_refused_by_its_name(name, tmp_path, few):
    if name == "tensorboard":
        pytest.importorskip("tensorboard")
    kinds = {"averaging": WeightAveraging, "stop": OverfittingStop, "reset": MomentumReset}
    kinds |= {"warning": MarginWarning, "tensorboard": AdversarialTensorBoard}
    given = (tmp_path,) if name == "tensorboard" else ()
    option, values = REFUSED[name]
    for value in values:
        with pytest.raises(ValueError) as error:
            kinds[name](*given, **{option: value})
        assert str(error.value).startswith(f"`{option}` ")
        assert str(error.value).endswith(f"Received: {option}={value!r}")


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_callback_is_copied_trains_keeps_its_state_and_leaves_the_trainer_savable(
    name, fitted, few, tmp_path
):
    if name == "tensorboard":
        pytest.importorskip("tensorboard")
    make = CALLBACKS[name]
    # As a tuner does for each trial.
    callback = copy.deepcopy(make(tmp_path, few))
    trainer = fitted(EFGSM(epsilon=EPSILON), [callback])
    stateful = {"callback": callback} if hasattr(callback, "get_state") else {}
    save_checkpoint(tmp_path / "state.npz", trainer, meta={}, callbacks=stateful)
    if stateful:
        again = make(tmp_path, few)
        other = fitted(EFGSM(epsilon=EPSILON), [])
        Checkpoint(tmp_path / "state.npz").restore(other, {"callback": again})
        # It is in place once the `fit` that resumes has begun, and no epoch is left to train.
        other.fit(*few, epochs=1, initial_epoch=1, callbacks=[again], verbose=0)
        keras.tree.assert_same_structure(again.get_state(), callback.get_state())
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.saving.load_model(tmp_path / "trainer.keras")
    for a, b in zip(loaded.get_weights(), trainer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
