import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_tensor as tensor

from keras_efgsm.attacks import (
    EFGSM,
    FGSM,
    NFGSM,
    PGD,
    YOPO,
    FreeReplay,
    Identity,
    NuclearAttack,
    PriorFGSM,
    TradesAttack,
)
from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.backend import compiled
from keras_efgsm.noise import Noise
from keras_efgsm.sample_memory.momentum import SampleMomentum
from support.networks import EPSILON, IDS, NUM_CLASSES, NUM_IMAGES, SHAPE, Net, linear_model

# The attacks of training methods; FGSM, PGD and EFGSM have their tests in test_attacks.py.
ATTACKS = {
    "n-fgsm": NFGSM(epsilon=EPSILON),
    "n-fgsm-cw": NFGSM(epsilon=EPSILON, noise_scale=1.0, step_size=0.07, loss="cw"),
    "trades": TradesAttack(epsilon=EPSILON, steps=4, start_deviation=0.03),
    "nuat": NuclearAttack(epsilon=EPSILON, step_size=0.07),
    "prior-fgsm": PriorFGSM(epsilon=EPSILON),
    "prior-fgsm-cw": PriorFGSM(epsilon=EPSILON, step_size=0.04, decay=0.7, loss="cw"),
    "free": FreeReplay(epsilon=EPSILON, replays=3, step_size=0.06, largest_batch=16),
}
each_attack = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
ALL = {
    **ATTACKS,
    "identity": Identity(epsilon=EPSILON),
    "fgsm-rs": FGSM(epsilon=EPSILON, random_start=True),
    "pgd": PGD(epsilon=EPSILON, steps=4),
    "efgsm": EFGSM(epsilon=EPSILON, sigma=0.05),
}


@pytest.fixture(scope="module")
def net():
    return Net()


def uniform(step=2):
    """Uniform noise in [-1, 1) of the samples that `perturb` has."""
    return np.asarray(Noise(7, step, IDS).uniform(SHAPE, -1.0, 1.0), "float64")


def momentum_of(attack, net, scale=1.0):
    """A momentum that the attack can have had, of every third sample none yet."""
    if not attack.uses_momentum:
        return None
    shape = (NUM_IMAGES, *attack.momentum_shape(SHAPE))
    values = np.random.default_rng(1).uniform(-1, 1, shape) * attack.momentum_limit * scale
    values[::3] = 0.0
    return values.astype("float32")


def perturb(net, attack, chosen=slice(None), seed=7, step=2, momentum=None):
    if momentum is None:
        momentum = momentum_of(attack, net)
    return attack.perturb(
        evaluation_logits(net.model),
        tensor(net.x[chosen]),
        tensor(net.labels[chosen]),
        Noise(seed, step, IDS[chosen]),
        None if momentum is None else tensor(momentum[chosen]),
    )


# N-FGSM.


@pytest.mark.parametrize("loss", ["ce", "cw"])
@pytest.mark.parametrize("noise_scale", [0.0, 1.0, 2.5])
def test_n_fgsm_steps_from_wide_noise_and_is_not_projected(net, loss, noise_scale):
    start = np.clip(net.x + noise_scale * EPSILON * uniform(), 0, 1)
    value, gradient = net.loss(loss)(start)
    expected = np.clip(start + 0.07 * np.sign(gradient), 0, 1)
    attack = NFGSM(epsilon=EPSILON, noise_scale=noise_scale, step_size=0.07, loss=loss)
    made = perturb(net, attack)
    np.testing.assert_allclose(made.images, expected, atol=1e-5)
    np.testing.assert_allclose(made.start_loss, value, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(made.start_logits, net.logits(start), rtol=1e-4, atol=1e-5)
    gain = (gradient * (expected - start)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(made.predicted_gain, gain, rtol=1e-3, atol=1e-5)
    reach = np.abs(expected - net.x).max()
    assert reach == pytest.approx(noise_scale * EPSILON + 0.07, rel=0.05)


def test_n_fgsm_has_the_defaults_of_its_paper():
    attack = NFGSM(epsilon=EPSILON)
    assert (attack.noise_scale, attack.step_size, attack.loss) == (2.0, EPSILON, "ce")


@pytest.mark.parametrize("attack", [*ALL.values(), YOPO(epsilon=EPSILON)], ids=[*ALL, "yopo"])
def test_only_n_fgsm_says_that_it_leaves_the_ball(net, attack):
    assert attack.stays_in_ball == (attack.kind != "n-fgsm")
    images = np.asarray(perturb(net, attack).images)
    assert images.dtype == np.float32
    assert images.min() >= 0.0 and images.max() <= 1.0
    assert (np.abs(images - net.x).max() <= EPSILON + 1e-6) == attack.stays_in_ball


# TRADES.


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def divergence(net, images):
    """`KL(softmax(C(x)) || softmax(C(images)))` and its gradient, with the labels nowhere."""
    p, q = softmax(net.logits(net.x.astype("float64"))), softmax(net.logits(images))
    gradient = np.einsum("bk,bkhwc->bhwc", q - p, net.jacobian(images))
    return (p * np.log(p / q)).sum(axis=1), gradient


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("deviation", [0.03, 0.2])
def test_the_trades_attack_ascends_the_divergence_within_the_ball(net, steps, deviation):
    normal = np.asarray(Noise(7, 2, IDS).normal(SHAPE), "float64")
    images = net.project(net.x + deviation * normal)
    for _ in range(steps):
        images = net.project(images + 0.06 * np.sign(divergence(net, images)[1]))
    attack = TradesAttack(epsilon=EPSILON, steps=steps, step_size=0.06, start_deviation=deviation)
    np.testing.assert_allclose(perturb(net, attack).images, images, atol=1e-5)


def test_the_trades_attack_starts_a_thousandth_of_gaussian_noise_away(net):
    attack = TradesAttack(epsilon=EPSILON, steps=1, step_size=1e-9)
    normal = np.asarray(Noise(7, 2, IDS).normal(SHAPE))
    expected = np.clip(net.x + 0.001 * normal, 0, 1)
    np.testing.assert_allclose(perturb(net, attack).images, expected, atol=1e-6)
    assert TradesAttack(epsilon=EPSILON).step_size == pytest.approx(2.5 * EPSILON / 40)


def test_the_trades_attack_from_its_own_start_drives_the_predictions_apart(net):
    """At the clean images the divergence has no gradient; a thousandth of noise is enough."""
    images = perturb(net, TradesAttack(epsilon=EPSILON, steps=20)).images
    random = net.project(net.x + EPSILON * np.sign(uniform()))
    reached = divergence(net, np.asarray(images, "float64"))[0]
    assert reached.mean() > 3 * divergence(net, random)[0].mean()


def test_the_trades_attack_does_not_look_at_the_labels(net):
    attack = ATTACKS["trades"]
    images = attack.perturb(
        evaluation_logits(net.model),
        tensor(net.x),
        tensor((net.labels + 1) % NUM_CLASSES),
        Noise(7, 2, IDS),
    ).images
    np.testing.assert_array_equal(images, perturb(net, attack).images)


# NuAT.


@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_the_attack_of_nuat_is_on_the_nuclear_norm_too_in_odd_steps(net, step):
    x = net.x.astype("float64")
    # A coin for each pixel, half the radius away; not in the ball alone, but an image.
    start = np.clip(x + 0.5 * EPSILON * np.sign(uniform(step)), 0, 1)
    _, gradient = net.cross_entropy(start)
    u, _, v = np.linalg.svd(net.logits(start) - net.logits(x), full_matrices=False)
    nuclear = np.einsum("bk,bkhwc->bhwc", u @ v, net.jacobian(start))
    both = gradient + (step % 2) * 6.0 * nuclear
    expected = net.project(start + 0.08 * np.sign(both))
    # The norm turns some of the signs, so that odd steps differ from even ones.
    assert 0.02 < np.mean(np.sign(gradient + 6.0 * nuclear) != np.sign(gradient)) < 0.5
    attack = NuclearAttack(epsilon=EPSILON, nuclear_weight=6.0, step_size=0.08)
    np.testing.assert_allclose(perturb(net, attack, step=step).images, expected, atol=1e-5)


def test_nuat_has_the_defaults_of_its_paper():
    attack = NuclearAttack(epsilon=EPSILON)
    assert (attack.nuclear_weight, attack.step_size) == (4.0, EPSILON)


# The prior of each sample.


@pytest.mark.parametrize("loss", ["ce", "cw"])
def test_prior_fgsm_carries_a_momentum_and_a_prior_through_the_epochs(net, loss):
    attack = PriorFGSM(epsilon=EPSILON, step_size=0.07, decay=0.6, loss=loss)
    x = net.x.astype("float64")
    momentum = np.asarray(attack.initial_momentum(tensor(net.x)))
    # In a random corner of the ball for a sample that was not seen before.
    eta, g = EPSILON * np.sign(uniform(0)), np.zeros_like(x)
    for epoch in range(5):
        made = perturb(net, attack, step=epoch, momentum=momentum)
        momentum = np.asarray(made.momentum)
        start = net.project(x + eta)
        value, gradient = net.loss(loss)(start)
        images = net.project(start + 0.07 * np.sign(gradient))
        g = 0.6 * g + gradient / np.abs(gradient).mean()
        eta = np.clip(eta + 0.07 * np.sign(g), -EPSILON, EPSILON)
        np.testing.assert_allclose(made.images, images, atol=1e-5)
        np.testing.assert_allclose(made.start_loss, value, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(made.start_logits, net.logits(start), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            made.predicted_gain, (gradient * (images - start)).sum((1, 2, 3)), rtol=1e-3, atol=1e-5
        )
        past, prior = np.split(momentum, 2, axis=-1)
        np.testing.assert_allclose(past, g, rtol=1e-4, atol=1e-4)
        # Kept so that both halves have one bound, that of the storage.
        np.testing.assert_allclose(prior, eta / EPSILON * attack.momentum_limit, atol=1e-3)
    assert attack.momentum_limit == pytest.approx(32 / 0.4)
    assert np.abs(g).max() > 2.0


def test_the_size_of_a_gradient_counts_in_the_momentum_of_prior_fgsm_by_its_share_alone(net):
    """The same momentum, and so the same prior, whatever the scale of the loss."""
    attack = PriorFGSM(epsilon=EPSILON)
    before = momentum_of(attack, net)

    def past(factor):
        logits_fn = evaluation_logits(net.model)

        class Scaled(PriorFGSM):
            def loss_of(self, logits, labels):
                return factor * super().loss_of(logits, labels)

        made = Scaled(epsilon=EPSILON).perturb(
            logits_fn, tensor(net.x), tensor(net.labels), Noise(7, 2, IDS), tensor(before)
        )
        return np.asarray(made.momentum)

    np.testing.assert_allclose(past(1000.0), past(1.0), rtol=1e-4, atol=1e-3)
    added = np.abs(past(1.0) - 0.3 * before)[..., : SHAPE[-1]]
    assert added.mean() == pytest.approx(1.0, rel=1e-4)
    assert added.max() > 2.0


def test_a_batch_without_gradients_adds_nothing_to_the_momentum_of_prior_fgsm(net):
    attack = PriorFGSM(epsilon=EPSILON)
    before = momentum_of(attack, net)
    made = attack.perturb(
        lambda images: ops.zeros((images.shape[0], NUM_CLASSES)) + 0.0 * ops.sum(images),
        tensor(net.x),
        tensor(net.labels),
        Noise(7, 2, IDS),
        tensor(before),
    )
    past = np.asarray(made.momentum)[..., : SHAPE[-1]]
    np.testing.assert_allclose(past, 0.3 * before[..., : SHAPE[-1]], rtol=1e-6)


def test_prior_fgsm_draws_noise_for_samples_not_seen_before_only(net):
    attack = PriorFGSM(epsilon=EPSILON)
    one, other = (np.asarray(perturb(net, attack, seed=s).images) for s in (7, 8))
    is_new = np.arange(NUM_IMAGES) % 3 == 0
    np.testing.assert_array_equal(one[~is_new], other[~is_new])
    logits = [np.asarray(perturb(net, attack, seed=s).start_logits) for s in (7, 8)]
    assert (np.abs(logits[0] - logits[1]).max(axis=1)[is_new] > 1e-4).all()


def test_prior_fgsm_is_stored_within_its_bound_and_cut_off_beyond(net):
    """A gradient of the same place and sign in each epoch, 40 times their mean."""
    attack = PriorFGSM(epsilon=EPSILON, decay=0.5)
    assert attack.momentum_limit == 64.0
    values = np.zeros((NUM_IMAGES, *attack.momentum_shape(SHAPE)), "float32")
    values[0, 0, 0, 0], values[1, 0, 0, 0], values[1, 0, 0, 1] = -80.0, 50.0, attack.momentum_limit
    table = SampleMomentum(
        NUM_IMAGES, attack.momentum_shape(SHAPE), "int8", limit=attack.momentum_limit
    )
    table.write(tensor(np.arange(NUM_IMAGES)), tensor(values))
    kept = np.asarray(table.gather(tensor(np.arange(NUM_IMAGES))))
    assert kept[0, 0, 0, 0] == pytest.approx(-64.0)
    assert kept[1, 0, 0, 0] == pytest.approx(50.0, rel=0.02)
    # The prior at the edge of the ball is kept exactly there.
    assert kept[1, 0, 0, 1] == pytest.approx(64.0)


def test_prior_fgsm_keeps_twice_the_channels_of_an_image():
    assert PriorFGSM(epsilon=EPSILON).momentum_shape((4, 5, 3)) == (4, 5, 6)
    assert EFGSM(epsilon=EPSILON).momentum_shape((4, 5, 3)) == (4, 5, 3)


# Free and YOPO outside of training.


def test_free_outside_of_training_is_fgsm_over_and_over_from_the_clean_image(net):
    images = net.x.astype("float64")
    for _ in range(3):
        images = net.project(images + 0.06 * np.sign(net.cross_entropy(images)[1]))
    zeros = np.zeros_like(net.x)
    attack = FreeReplay(epsilon=EPSILON, replays=3, step_size=0.06)
    np.testing.assert_allclose(perturb(net, attack, momentum=zeros).images, images, atol=1e-5)
    np.testing.assert_allclose(attack(net.model, net.x, net.labels), images, atol=1e-5)
    assert FreeReplay(epsilon=EPSILON).step_size == EPSILON


def test_outside_of_training_yopo_is_the_pgd_of_all_its_steps(net):
    yopo = YOPO(epsilon=EPSILON, outer_steps=2, inner_steps=3, step_size=0.02)
    pgd = PGD(epsilon=EPSILON, steps=6, step_size=0.02)
    images = np.asarray(perturb(net, yopo).images)
    np.testing.assert_array_equal(images, perturb(net, pgd).images)
    assert np.abs(images - net.x).max() <= EPSILON + 1e-6


def test_yopo_steps_reach_two_and_a_half_radii_together():
    attack = YOPO(epsilon=EPSILON, outer_steps=4, inner_steps=5)
    assert attack.step_size == pytest.approx(2.5 * EPSILON / 20)


# What attacks tell of their start.


@pytest.mark.tensorflow("it looks at values that JAX only traces")
@pytest.mark.parametrize("name", ["fgsm", "fgsm-rs", "n-fgsm", "prior-fgsm", "efgsm"])
def test_an_attack_of_one_gradient_tells_the_logits_where_it_took_it(net, name):
    attack = {**ALL, "fgsm": FGSM(epsilon=EPSILON)}[name]
    visited = []

    def logits_fn(images):
        visited.append(np.asarray(images))
        return evaluation_logits(net.model)(images)

    momentum = momentum_of(attack, net)
    made = attack.perturb(logits_fn, tensor(net.x), net.labels, Noise(7, 2, IDS), momentum)
    assert attack.tells_start_logits
    (start,) = visited
    expected = net.logits(start.astype("float64"))
    np.testing.assert_allclose(made.start_logits, expected, rtol=1e-4, atol=1e-5)
    if name == "fgsm":
        np.testing.assert_array_equal(start, net.x)


@pytest.mark.parametrize("name", ["identity", "pgd", "trades", "nuat", "free"])
def test_other_attacks_tell_no_start_logits(net, name):
    assert not ALL[name].tells_start_logits
    assert perturb(net, ALL[name]).start_logits is None


# What holds for every attack.


@each_attack
def test_every_attack_makes_the_same_images_whatever_the_batch(net, attack):
    together = perturb(net, attack)
    for chosen in ([3], [8, 0, 3, 11]):
        some = perturb(net, attack, chosen)
        np.testing.assert_allclose(some.images, np.asarray(together.images)[chosen], atol=1e-5)
        # That of a prior is in units of the mean gradient of the batch.
        if attack.uses_momentum and attack.kind != "prior-fgsm":
            np.testing.assert_allclose(
                some.momentum, np.asarray(together.momentum)[chosen], atol=1e-4
            )


@pytest.mark.parametrize("name", ["n-fgsm", "trades", "nuat", "prior-fgsm"])
def test_a_random_start_depends_on_seed_and_step(net, name):
    images = np.asarray(perturb(net, ATTACKS[name]).images)
    np.testing.assert_array_equal(perturb(net, ATTACKS[name]).images, images)
    assert np.any(np.abs(perturb(net, ATTACKS[name], seed=8).images - images) > 1e-3)
    assert np.any(np.abs(perturb(net, ATTACKS[name], step=3).images - images) > 1e-3)


@each_attack
def test_a_compiled_attack_makes_the_images_of_an_eager_one(net, attack):
    images = compiled(lambda: perturb(net, attack).images)()
    np.testing.assert_allclose(images, perturb(net, attack).images, atol=1e-5)


@each_attack
def test_an_attack_is_called_on_arrays_with_a_seed(net, attack):
    zeros = np.asarray(attack.initial_momentum(tensor(net.x)))
    expected = attack.perturb(
        evaluation_logits(net.model),
        tensor(net.x),
        tensor(net.labels),
        Noise(5, 0, np.arange(NUM_IMAGES, dtype="int32")),
        tensor(zeros) if attack.uses_momentum else None,
    ).images
    images = attack(net.model, net.x.astype("float64"), list(net.labels), seed=5)
    np.testing.assert_allclose(images, expected, atol=1e-5)


@each_attack
def test_batch_norm_statistics_do_not_move_while_examples_are_made(net, attack):
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Flatten(),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dense(NUM_CLASSES),
        ]
    )
    before = model.get_weights()
    attack(model, net.x, net.labels)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    "attack",
    [
        NFGSM(epsilon=EPSILON, noise_scale=0.0),
        PriorFGSM(epsilon=EPSILON, decay=0.0),
        FreeReplay(epsilon=EPSILON, replays=2, step_size=0.04),
    ],
    ids=lambda attack: attack.name,
)
def test_the_gradient_scale_keeps_a_float16_network_from_underflowing(net, attack):
    def direction(policy, scale):
        made = attack.perturb(
            evaluation_logits(linear_model(policy)),
            ops.full(net.x.shape, 0.5),
            tensor(net.labels),
            Noise(0, 0, IDS),
            attack.initial_momentum(tensor(net.x)),
            scale,
        )
        if attack.kind == "prior-fgsm":
            return np.sign(made.momentum)[..., :1]
        return np.sign(made.images - 0.5)

    exact = direction("float32", 1.0)
    assert np.all(exact != 0)
    assert np.all(direction("mixed_float16", 1.0) == 0)
    np.testing.assert_array_equal(direction("mixed_float16", 1024.0), exact)


SMALLER = {
    "n-fgsm": NFGSM(epsilon=EPSILON / 4),
    "n-fgsm-cw": NFGSM(epsilon=EPSILON / 4, noise_scale=1.0, step_size=0.07 / 4, loss="cw"),
    "trades": TradesAttack(epsilon=EPSILON / 4, steps=4, start_deviation=0.03),
    "nuat": NuclearAttack(epsilon=EPSILON / 4, step_size=0.07 / 4),
    "prior-fgsm": PriorFGSM(epsilon=EPSILON / 4),
    "free": FreeReplay(epsilon=EPSILON / 4, replays=3, step_size=0.06 / 4, largest_batch=16),
    "fgsm-rs": FGSM(epsilon=EPSILON / 4, random_start=True),
    "pgd": PGD(epsilon=EPSILON / 4, steps=4),
    "efgsm": EFGSM(epsilon=EPSILON / 4, sigma=0.05),
}


@pytest.mark.parametrize("name", SMALLER)
@pytest.mark.parametrize("as_tensor", [False, True])
def test_a_scaled_attack_is_the_same_attack_on_a_smaller_ball(net, name, as_tensor):
    attack = ALL[name]
    before = attack.get_config()
    scaled = attack.scaled(tensor(0.25) if as_tensor else 0.25)
    expected = perturb(net, SMALLER[name])
    np.testing.assert_allclose(perturb(net, scaled).images, expected.images, atol=1e-6)
    if attack.uses_momentum:
        np.testing.assert_allclose(perturb(net, scaled).momentum, expected.momentum, atol=1e-4)
    assert attack.get_config() == before


SERIALISED = {**ATTACKS, "yopo": YOPO(epsilon=EPSILON, outer_steps=2, inner_steps=7)}


@pytest.mark.parametrize("attack", SERIALISED.values(), ids=SERIALISED)
def test_attacks_are_restored_from_their_configuration(attack):
    config = attack.get_config()
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(attack))
    for again in (restored, type(attack).from_config(config)):
        assert type(again) is type(attack)
        assert again.get_config() == config
        assert vars(again) == vars(attack)
    # Every option that the attack takes, and nothing else.
    taken = {k for k in type(attack).__init__.__annotations__ if k != "return"}
    assert set(config) == taken


TRAINING = (NFGSM, NuclearAttack, PriorFGSM, TradesAttack, FreeReplay, YOPO)
BAD_OPTIONS = [
    *((attack, {"epsilon": 8}) for attack in TRAINING),
    *((attack, {"step_size": 0}) for attack in TRAINING),
    *((attack, {"loss": "kl"}) for attack in (NFGSM, PriorFGSM)),
    *((NuclearAttack, {"nuclear_weight": w}) for w in (-1.0, float("nan"))),
    *((NFGSM, {"noise_scale": k}) for k in (-0.1, float("nan"), None)),
    *((PriorFGSM, {"decay": d}) for d in (-0.1, 1.0)),
    *((TradesAttack, {"start_deviation": d}) for d in (0, -0.1, float("inf"))),
    *((TradesAttack, {"steps": s}) for s in (0, 2.5)),
    *((FreeReplay, {name: 0}) for name in ("replays", "largest_batch")),
    *((YOPO, {name: n}) for name in ("outer_steps", "inner_steps") for n in (0, 1.5, True)),
]


@pytest.mark.parametrize(
    ("attack", "options"), BAD_OPTIONS, ids=lambda v: getattr(v, "__name__", str(v))
)
def test_bad_options_are_refused_with_what_was_received(attack, options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError) as error:
        attack(**{"epsilon": 0.3, **options})
    assert str(error.value).startswith(f"`{name}` ")
    assert str(error.value).endswith(f"Received: {name}={value!r}")


def test_options_are_keywords_only():
    for attack in TRAINING:
        with pytest.raises(TypeError):
            attack(0.3)
