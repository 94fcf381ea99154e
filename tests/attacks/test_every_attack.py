"""What holds for every attack in the table: one that is registered is tested here."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

from keras_efgsm.attacks import ATTACKS, Attack, Budget, find_attack, named_attacks
from keras_efgsm.attacks.ball import change_of
from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.backend import BACKEND
from keras_efgsm.noise import Noise
from support.networks import EPSILON, NUM_CLASSES, SHAPE

# A run of each is a few passes.
SMALL = {"steps": 3, "targets": 2, "queries": 20, "samples": 4, "replays": 2, "directions": 3}
# SPSA is cleverhans's, on TensorFlow alone.
KINDS = sorted(kind for kind in ATTACKS if BACKEND == "tensorflow" or kind != "spsa")
# Those that only a training step can make.
CALLED = [kind for kind in KINDS if kind != "yopo"]
each_kind = pytest.mark.parametrize("kind", KINDS)
each_called = pytest.mark.parametrize("kind", CALLED)
# In each of its balls; those of other norms than L-infinity once.
IN_BALLS = [(kind, norm) for kind in CALLED for norm in ATTACKS[kind].norms]


def make(kind, epsilon=EPSILON, **options):
    attack = ATTACKS[kind]
    small = {name: value for name, value in SMALL.items() if name in attack.option_names()}
    return attack(epsilon=epsilon, **{**small, **options})


def in_ball(kind, norm, **options):
    """The attack in a ball of a norm; the L2 one holds about as much of the images."""
    return make(kind, **options) if norm == "linf" else make(kind, 0.3, norm=norm, **options)


def other_value(name, value):
    """Another value of an option that every attack which has it takes."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 2
    if isinstance(value, float):
        return 1.5 if name == "eta" else 0.5 * value
    words = {"norm": "l2", "loss": "cw", "momentum_from": "perturbation", "first_visit": "corner"}
    return {**words, "memory": "universal", "step_size": 0.01}[name]


@pytest.fixture(scope="module")
def networks():
    """The same network in two precisions, and its images."""

    def network(policy):
        keras.utils.set_random_seed(3)
        flat = [keras.Input(SHAPE), keras.layers.Flatten()]
        hidden = keras.layers.Dense(9, activation="tanh", dtype=policy)
        return keras.Sequential([*flat, hidden, keras.layers.Dense(NUM_CLASSES, dtype=policy)])

    random = np.random.default_rng(0)
    x = random.uniform(-0.2, 1.2, (6, *SHAPE)).clip(0, 1).astype("float32")
    full = network("float32")
    labels = np.array(np.argmax(full(x), axis=1), "int32")
    labels[0] = (labels[0] + 1) % NUM_CLASSES  # one is misclassified
    return {"float32": full, "mixed_bfloat16": network("mixed_bfloat16")}, x, labels


@each_kind
def test_every_option_is_a_keyword_in_the_configuration(kind):
    attack = make(kind)
    parameters = inspect.signature(type(attack)).parameters.values()
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters)
    assert list(attack.get_config()) == [p.name for p in parameters]
    assert "get_config" not in vars(type(attack))


@each_kind
def test_every_option_survives_saving(kind):
    plain = make(kind)
    for name, value in plain.get_config().items():
        attack = type(plain)(**{**plain.get_config(), name: other_value(name, value)})
        assert attack.get_config() != plain.get_config()
        saved = keras.saving.serialize_keras_object(attack)
        assert saved["registered_name"] == f"keras_efgsm>{type(attack).__name__}"
        for again in (
            keras.saving.deserialize_keras_object(saved),
            type(attack).from_config(attack.get_config()),
        ):
            assert type(again) is type(attack)
            assert again.get_config() == attack.get_config()
            assert vars(again) == vars(attack)
        assert repr(attack).startswith(f"{type(attack).__name__}(epsilon=")
        assert f"{name}={getattr(attack, name)!r}" in repr(attack)


@pytest.mark.parametrize(
    ("kind", "norm", "policy"),
    [
        (*one, policy)
        for one in IN_BALLS
        for policy in ("float32", "mixed_bfloat16")
        if one[1] == "linf" or policy == "float32"
    ],
)
def test_images_are_float32_in_the_ball_and_in_the_pixel_range(networks, kind, norm, policy):
    models, x, labels = networks
    attack = in_ball(kind, norm)
    images = np.asarray(attack(models[policy], x, labels))
    assert images.dtype == np.float32 and images.shape == x.shape
    assert np.isfinite(images).all()
    assert images.min() >= 0.0 and images.max() <= 1.0
    if attack.stays_in_ball:
        assert change_of(images, x, norm).max() <= attack.epsilon + 1e-6
        assert bool(attack.ball.contains(images, x, attack.epsilon))


@pytest.mark.parametrize(("kind", "norm"), IN_BALLS)
def test_a_seed_makes_the_same_images_and_another_one_others_where_it_is_random(
    networks, kind, norm
):
    models, x, labels = networks
    # A step so short that it does not end where the ball does.
    short = {"step_size": 0.01} if "step_size" in ATTACKS[kind].option_names() else {}
    attack = in_ball(kind, norm, **short)
    first, again, other = (
        np.asarray(attack(models["float32"], x, labels, seed=seed)).copy() for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other) == attack.starts_at_random


@each_called
def test_perturb_does_what_the_compiled_call_does(networks, kind):
    models, x, labels = networks
    attack, images, held = make(kind), x, np.ones(len(x), bool)
    logits_fn = evaluation_logits(models["float32"])
    arguments = [ops.convert_to_tensor(part) for part in (x, labels)]
    for step in range(attack.rounds):
        ids = ops.arange(len(x), dtype="int32")
        made = attack.perturb(logits_fn, *arguments, Noise(2, step, ids)).images
        images = np.where(held[:, None, None, None], made, images)
        held &= np.argmax(logits_fn(made), axis=1) == labels
    found = attack(models["float32"], x, labels, seed=2)
    # Where a sign or a comparison turns on the rounding, few pixels may differ.
    assert np.mean(np.abs(np.asarray(found) - images) > 1e-4) < 0.05


@pytest.mark.parametrize("epsilon", [0.0, -0.1, float("nan"), float("inf"), 8, "0.1", None])
@each_kind
def test_a_radius_that_is_none_is_refused(kind, epsilon):
    with pytest.raises(ValueError) as error:
        make(kind, epsilon=epsilon)
    assert str(error.value).startswith("`epsilon` ")
    assert str(error.value).endswith(f"Received: epsilon={epsilon!r}")


@each_called
def test_bad_images_and_labels_are_refused_before_anything_is_compiled(networks, kind):
    models, x, labels = networks
    attack, model = make(kind), models["float32"]
    for images, classes in (
        (x * 255, labels),
        (np.full_like(x, np.nan), labels),
        (x[:, :2], labels),
        (x, labels + NUM_CLASSES),
        (x, labels[:3]),
    ):
        with pytest.raises(ValueError, match="`[xy]` must .*Received: [xy]"):
            attack(model, images, classes)


@each_kind
def test_a_smaller_ball_is_the_same_attack_on_that_ball(kind):
    attack = make(kind)
    half = attack.scaled(0.5)
    assert type(half) is type(attack) and attack.epsilon == EPSILON
    for name, value in attack.get_config().items():
        # What is a length in pixels shrinks with the ball; what has a scale of its own does not.
        shrinks = name in ("epsilon", "step_size") and value is not None
        assert getattr(half, name) == pytest.approx(0.5 * value if shrinks else value)


@each_kind
def test_what_an_attack_says_of_itself_fits_together(kind):
    attack = make(kind)
    assert attack.kind == kind
    assert attack.budget == attack.budget._replace(rounds=attack.rounds)
    assert isinstance(attack.budget, Budget) and (attack.budget.steps or attack.budget.queries)
    assert bool(attack.budget.queries) <= (not attack.needs_gradient)
    assert attack.gains_by_restarts or not attack.starts_at_random
    assert attack.evaluation_options is None or attack.stays_in_ball
    assert set(attack.evaluation_options or ()) <= set(attack.option_names())
    assert (attack.replays > 1) <= (attack.update != "one")
    if attack.uses_momentum:
        assert attack.momentum_of in ("sample", "position", "dataset")
        assert attack.momentum_limit > 0.0
        assert attack.initial_momentum(ops.zeros((2, *SHAPE))).shape[0] == 2


def test_each_name_leads_to_the_attack_that_has_it():
    table = named_attacks()
    assert {"pgd-ce", "pgd-cw", "apgd-dlr", "apgd-t", "n-fgsm-cw", "free", "identity"} <= set(table)
    for name, named in table.items():
        if named.attack.kind in KINDS:
            assert make(named.attack.kind, **named.options).name == name
            assert find_attack(name) == named
    for kind in KINDS:
        assert find_attack(kind).attack is ATTACKS[kind]
    with pytest.raises(ValueError, match=r"`attack` must be one of .*'pgd-cw'.*Received: attack="):
        find_attack("pdg")


def test_the_table_has_every_attack_of_the_package():
    def below(kind):
        for each in kind.__subclasses__():
            yield each
            yield from below(each)

    ours = {a for a in below(Attack) if a.__module__.startswith("keras_efgsm.attacks.")}
    public = {attack for attack in ours if "kind" in vars(attack)}
    assert public == {a for a in ATTACKS.values() if a.__module__.startswith("keras_efgsm.")}
