"""What holds for every objective in the table: one that is registered is tested here."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

from keras_efgsm.attacks import ATTACKS
from keras_efgsm.objectives import (
    OBJECTIVES,
    AdversarialCrossEntropy,
    Examples,
    JointReconstruction,
    Objective,
    find_objective,
    register_objective,
)

SHAPE, CLASSES = (3, 3, 1), 4
KINDS = {**OBJECTIVES, "joint-consistency": lambda **o: JointReconstruction(**o | CONSISTENT)}
CONSISTENT = {"consistency_weight": 2.0}
each = pytest.mark.parametrize("name", sorted(KINDS))
each_class = pytest.mark.parametrize("name", sorted(OBJECTIVES))


RANDOM = np.random.default_rng(3)
# Of a classifier with a hidden layer, and of a re-constructor.
WEIGHTS = [RANDOM.normal(size=shape).astype("float32") for shape in ((9, 5), (5, CLASSES))]
REBUILT = RANDOM.normal(size=(CLASSES, 9)).astype("float32")


def networks_of(first, second, rebuilt):
    """The two networks as functions of their weights, so that a gradient of these is one of all."""

    def classifier(images):
        hidden = ops.tanh(ops.reshape(ops.cast(images, "float32"), (-1, 9)) @ first)
        return hidden @ second

    def reconstructor(probabilities):
        return ops.reshape(ops.sigmoid(probabilities @ rebuilt), (-1, *SHAPE))

    return classifier, reconstructor


@pytest.fixture
def networks():
    return networks_of(*(ops.convert_to_tensor(w) for w in (*WEIGHTS, REBUILT)))


def examples(classifier, **changes):
    random = np.random.default_rng(0)
    x = random.random((5, *SHAPE), dtype="float32")
    x_adv = np.clip(x + random.uniform(-0.3, 0.3, x.shape), 0, 1).astype("float32")
    labels = np.eye(CLASSES, dtype="float32")[[0, 1, 2, 3, 0]]
    given = {"x": x, "x_adv": x_adv, "labels": labels, "sample_weight": None} | changes
    given = {k: None if v is None else ops.convert_to_tensor(v) for k, v in given.items()}
    return Examples(**given, start_logits=classifier(given["x"]))


def losses(name, networks, options=None, **changes):
    classifier, reconstructor = networks
    objective = KINDS[name](**options or {})
    given = examples(classifier, **changes)
    return objective.losses(
        classifier,
        reconstructor if objective.needs_reconstructor else None,
        given,
    )


@each_class
def test_every_option_is_in_the_configuration_and_survives_saving(name):
    kind = OBJECTIVES[name]
    plain = kind()
    parameters = list(inspect.signature(kind).parameters)
    assert list(plain.get_config()) == parameters
    assert "get_config" not in vars(kind)
    for option, value in plain.get_config().items():
        made = kind(**{option: 0.5 * value or 0.25})
        assert made.get_config() != plain.get_config()
        saved = keras.saving.serialize_keras_object(made)
        assert saved["registered_name"] == f"keras_efgsm>{kind.__name__}"
        for again in (
            keras.saving.deserialize_keras_object(saved),
            kind.from_config(made.get_config()),
        ):
            assert type(again) is kind and vars(again) == vars(made)
        assert f"{option}={getattr(made, option)!r}" in repr(made)


@each
def test_losses_are_finite_scalars_and_named(name, networks):
    result = losses(name, networks)
    assert tuple(result.parts) == KINDS[name]().part_names
    for value in (result.loss, *result.parts.values()):
        assert tuple(value.shape) == () and np.isfinite(float(value))
    assert tuple(result.logits.shape) == (5, CLASSES)


@each
def test_gradients_are_finite_and_reach_every_weight(name, gradients):
    found = gradients(lambda *values: losses(name, networks_of(*values)).loss, *WEIGHTS, REBUILT)
    assert all(np.isfinite(gradient).all() for gradient in found)
    reached = [bool(np.abs(gradient).max() > 1e-6) for gradient in found]
    assert reached == [True, True, KINDS[name]().needs_reconstructor]


@each
def test_an_image_of_no_weight_counts_for_nothing(name, networks):
    weight = np.array([1, 1, 1, 1, 0], "float32")
    plain = examples(networks[0])
    other = np.array(plain.x_adv)
    other[4] = 0.0
    without, changed = (
        float(losses(name, networks, x_adv=x_adv, sample_weight=weight).loss)
        for x_adv in (plain.x_adv, other)
    )
    assert without == pytest.approx(changed, rel=1e-5)
    assert without != pytest.approx(float(losses(name, networks).loss), rel=1e-4)


@each
def test_nan_in_an_image_shows_in_the_loss(name, networks):
    x = np.array(examples(networks[0]).x)
    x[2, 0, 0, 0] = np.nan
    assert not np.isfinite(float(losses(name, networks, x=x, x_adv=x).loss))


@each
def test_smoother_labels_are_another_loss(name, networks):
    sharp, smooth = (
        float(losses(name, networks, {"label_smoothing": s}).parts["classification_loss"])
        for s in (0.0, 0.4)
    )
    assert sharp != pytest.approx(smooth, rel=1e-3)


@pytest.mark.parametrize("value", [-0.1, 1.0, 1.5, float("nan"), float("inf"), "0.1", None])
@each_class
def test_a_label_smoothing_outside_0_to_1_is_refused(name, value):
    with pytest.raises(ValueError) as error:
        OBJECTIVES[name](label_smoothing=value)
    assert str(error.value).startswith("`label_smoothing` must ")
    assert str(error.value).endswith(f"Received: label_smoothing={value!r}")


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "1", None])
@each_class
def test_a_weight_out_of_range_is_refused(name, value):
    for option in OBJECTIVES[name].option_names():
        with pytest.raises(ValueError) as error:
            OBJECTIVES[name](**{option: value})
        assert str(error.value).endswith(f"Received: {option}={value!r}")


@each
def test_half_of_a_regulariser_is_between_none_and_all_of_it(name, networks):
    objective = KINDS[name]()
    if objective.regularizer_weight is None:
        assert objective.scaled(0.5) is objective
        return
    half = objective.scaled(0.5)
    assert type(half) is type(objective)
    weight = objective.regularizer_weight
    assert getattr(half, weight) == 0.5 * getattr(objective, weight)


def test_each_name_leads_to_its_objective():
    for name, kind in OBJECTIVES.items():
        assert find_objective(name) is kind and kind.name == name
    with pytest.raises(ValueError, match=r"`objective` must be one of .*'trades'.*Received: obj"):
        find_objective("trade")


def test_the_table_has_every_objective_of_the_package():
    def below(kind):
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    ours = {o for o in below(Objective) if o.__module__.startswith("keras_efgsm.")}
    assert ours == {o for o in OBJECTIVES.values() if o.__module__.startswith("keras_efgsm.")}


@pytest.fixture
def table(monkeypatch):
    monkeypatch.setattr("keras_efgsm.objectives.registry.OBJECTIVES", table := dict(OBJECTIVES))
    return table


def test_an_objective_of_the_users_own_is_found_by_name_and_trains(table, small, new_trainer):
    @register_objective
    class Clean(AdversarialCrossEntropy):
        name = "clean"

        def losses(self, classifier, reconstructor, examples):
            return super().losses(classifier, None, examples._replace(x_adv=examples.x))

    trainer = new_trainer(ATTACKS["fgsm"](epsilon=0.1), objective=find_objective("clean")(0.2))
    history = trainer.fit(*small, batch_size=50, epochs=1, verbose=0).history
    assert np.isfinite(history["classification_loss"]).all()


def test_a_name_that_is_missing_or_taken_is_refused(table):
    with pytest.raises(ValueError, match="`name` of its own.*Received: objective=Nameless"):
        register_objective(type("Nameless", (AdversarialCrossEntropy,), {}))
    with pytest.raises(ValueError, match="registered under that name.*name='trades'"):
        register_objective(type("Other", (Objective,), {"name": "trades"}))
    made = [type("Mine", (Objective,), {"name": "mine", "__module__": "book"}) for _ in range(2)]
    for objective in made:
        register_objective(objective)
    assert table["mine"] is made[1]
