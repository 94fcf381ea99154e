import keras
import numpy as np
import pytest
from keras import ops

from keras_efgsm.attacks import EFGSM, FGSM, PGD, Identity
from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.backend import compiled
from keras_efgsm.noise import Noise
from keras_efgsm.objectives import AdversarialCrossEntropy, JointReconstruction
from support.networks import EPSILON, IDS, NUM_CLASSES, NUM_IMAGES, SHAPE, Net, linear_model

# Every attack of the library, under the name its tests have.
ATTACKS = {
    "identity": Identity(epsilon=EPSILON),
    "fgsm": FGSM(epsilon=EPSILON),
    "fgsm-cw": FGSM(epsilon=EPSILON, step_size=0.04, loss="cw"),
    "fgsm-rs": FGSM(epsilon=EPSILON, random_start=True),
    "pgd": PGD(epsilon=EPSILON, steps=5),
    "pgd-cw": PGD(epsilon=EPSILON, steps=5, step_size=0.03, random_start=False, loss="cw"),
    "efgsm": EFGSM(epsilon=EPSILON, sigma=0.05),
    "efgsm-all": EFGSM(epsilon=EPSILON, sigma=0.05, rivals="all", momentum_from="perturbation"),
    "efgsm-two": EFGSM(epsilon=EPSILON, sigma=0.2, rivals=2, decay=0.5, overshoot=3.0),
    "efgsm-corner": EFGSM(epsilon=EPSILON, sigma=0.05, first_visit="corner", step_size=0.07),
}
each_attack = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)


@pytest.fixture(scope="module")
def net():
    return Net()


def uniform_start(net):
    shift = Noise(7, 2, IDS).uniform(SHAPE, -EPSILON, EPSILON)
    return net.project(net.x.astype("float64") + shift)


def test_identity_leaves_the_images_as_they_are(net):
    perturbed = net.perturb(Identity(epsilon=EPSILON))
    np.testing.assert_array_equal(perturbed.images, net.x)
    assert perturbed.momentum is perturbed.robust is perturbed.start_loss is None


@pytest.mark.parametrize("loss", ["ce", "cw"])
@pytest.mark.parametrize("random_start", [False, True])
def test_fgsm_is_one_step_along_the_sign_of_the_gradient(net, loss, random_start):
    start = uniform_start(net) if random_start else net.x.astype("float64")
    value, gradient = net.loss(loss)(start)
    expected = net.project(start + 0.07 * np.sign(gradient))
    attack = FGSM(epsilon=EPSILON, step_size=0.07, random_start=random_start, loss=loss)
    perturbed = net.perturb(attack)
    np.testing.assert_allclose(perturbed.images, expected, atol=1e-5)
    np.testing.assert_allclose(perturbed.start_loss, value, rtol=1e-4, atol=1e-5)
    gain = (gradient * (expected - start)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(perturbed.predicted_gain, gain, rtol=1e-3, atol=1e-5)
    assert (gain > 0).all()


@pytest.mark.parametrize(("random_start", "factor"), [(False, 1.0), (True, 1.25)])
def test_fgsm_steps_by_epsilon_or_after_a_random_start_by_a_quarter_more(random_start, factor):
    attack = FGSM(epsilon=EPSILON, random_start=random_start)
    assert attack.step_size == pytest.approx(factor * EPSILON)


@pytest.mark.parametrize("loss", ["ce", "cw"])
@pytest.mark.parametrize("random_start", [False, True])
@pytest.mark.parametrize("steps", [1, 6])
def test_pgd_is_projected_steps_along_the_sign_of_the_gradient(net, loss, random_start, steps):
    x_adv = uniform_start(net) if random_start else net.x.astype("float64")
    for _ in range(steps):
        _, gradient = net.loss(loss)(x_adv)
        x_adv = net.project(x_adv + 0.03 * np.sign(gradient))
    attack = PGD(epsilon=EPSILON, steps=steps, step_size=0.03, random_start=random_start, loss=loss)
    np.testing.assert_allclose(net.perturb(attack).images, x_adv, atol=1e-5)


def test_pgd_steps_reach_two_and_a_half_radii_together():
    assert PGD(epsilon=EPSILON, steps=50).step_size == pytest.approx(2.5 * EPSILON / 50)


def numpy_efgsm(net, attack):
    """The equations of the paper, image by image where it needs a choice."""
    sign = np.sign(net.momentum.astype("float64"))
    if attack.first_visit == "corner":
        coin = np.asarray(Noise(7, 2, IDS).uniform(SHAPE, -1.0, 1.0, stream=1))
        sign = np.where(sign == 0, np.sign(coin), sign)
    kappa = sign * attack.epsilon + attack.sigma * np.asarray(Noise(7, 2, IDS).normal(SHAPE))
    start = np.clip(net.x + np.clip(kappa, -attack.epsilon, attack.epsilon), 0, 1)
    margins, gradients = net.margins(start)
    count = NUM_CLASSES - 1 if attack.rivals == "all" else attack.rivals
    x_adv, robust, direction = np.zeros_like(start), [], np.zeros_like(start)
    for b in range(NUM_IMAGES):
        rivals = np.argsort(margins[b])[:count]
        distances = [abs(margins[b, i]) / np.abs(gradients[b, i]).sum() for i in rivals]
        nearest = rivals[np.argmin(distances)]
        length = attack.overshoot * min(distances)
        if attack.step_size is not None:
            length = attack.step_size
        x_adv[b] = np.clip(start[b] - length * np.sign(gradients[b, nearest]), 0, 1)
        direction[b] = -gradients[b, nearest]
        low = np.maximum(net.x[b] - attack.epsilon, 0)
        high = np.minimum(net.x[b] + attack.epsilon, 1)
        corner = np.where(gradients[b, nearest] > 0, low, high)
        worst = margins[b, nearest] + (gradients[b, nearest] * (corner - start[b])).sum()
        robust.append(worst > 0)
    if attack.use_projection or attack.step_size is not None:
        x_adv = net.project(x_adv, attack.epsilon)
    if attack.momentum_from == "perturbation":
        direction = x_adv - net.x
    # A pixel that did not move to float32's precision has no sign.
    direction[np.abs(direction) < 1e-7] = 0
    return x_adv, np.array(robust), attack.decay * net.momentum + np.sign(direction)


@pytest.mark.parametrize("rivals", [1, 2, "all"])
@pytest.mark.parametrize("momentum_from", ["gradient", "perturbation"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_projection": False},
        {"overshoot": 2.0},
        {"sigma": 0.0},
        {"epsilon": 0.02},
        {"first_visit": "corner"},
        {"step_size": 0.07},
        {"step_size": 0.09, "first_visit": "corner"},
    ],
    ids=str,
)
def test_efgsm_follows_the_equations(net, rivals, momentum_from, options):
    options = {"epsilon": EPSILON, "sigma": 0.05, "decay": 0.9, **options}
    attack = EFGSM(rivals=rivals, momentum_from=momentum_from, **options)
    images, robust, momentum = numpy_efgsm(net, attack)
    perturbed = net.perturb(attack)
    np.testing.assert_allclose(perturbed.images, images, atol=1e-5)
    np.testing.assert_array_equal(perturbed.robust, robust)
    np.testing.assert_allclose(perturbed.momentum, momentum, rtol=1e-5, atol=1e-5)


def starts_of(net, attack, momentum, **options):
    """Where the attack takes its gradient: without a step to speak of, the images themselves."""
    attack = EFGSM(**{**attack.get_config(), "step_size": 1e-9})
    return np.asarray(net.perturb(attack, momentum=momentum, **options).images, "float64")


def test_a_first_visit_in_a_corner_starts_unseen_pixels_there_and_leaves_the_others():
    """Of images in the middle of the pixel range, so that each corner is an image."""
    net = Net()
    net.x = np.full_like(net.x, 0.5)
    unseen = net.momentum == 0
    assert 0 < unseen.sum() < unseen.size
    attack = EFGSM(epsilon=EPSILON, sigma=0.0, first_visit="corner")
    shift = starts_of(net, attack, net.momentum) - 0.5
    np.testing.assert_allclose(np.abs(shift), EPSILON, atol=1e-6)
    np.testing.assert_array_equal(np.sign(shift)[~unseen], np.sign(net.momentum)[~unseen])
    # A fair coin, thrown anew for each sample, step and seed.
    zero = np.zeros_like(net.momentum)
    first = np.sign(starts_of(net, attack, zero) - 0.5)
    assert 0.3 < np.mean(first > 0) < 0.7
    assert len(np.unique(first, axis=0)) == NUM_IMAGES
    for other in (starts_of(net, attack, zero, step=3), starts_of(net, attack, zero, seed=8)):
        assert 0.3 < np.mean(np.sign(other - 0.5) != first) < 0.7
    np.testing.assert_array_equal(np.sign(starts_of(net, attack, zero) - 0.5), first)
    # As the paper has it, an unseen pixel starts where it is.
    plain = EFGSM(epsilon=EPSILON, sigma=0.0)
    assert np.abs(starts_of(net, plain, net.momentum) - 0.5)[unseen].max() < 1e-6


def test_the_noise_of_the_start_is_added_to_a_corner_too():
    net = Net()
    net.x, zero = np.full_like(net.x, 0.5), np.zeros_like(net.momentum)
    options = {"epsilon": EPSILON, "first_visit": "corner"}
    corner = starts_of(net, EFGSM(sigma=0.0, **options), zero) - 0.5
    normal = 0.05 * np.asarray(Noise(7, 2, IDS).normal(SHAPE))
    expected = np.clip(corner + normal, -EPSILON, EPSILON)
    shift = starts_of(net, EFGSM(sigma=0.05, **options), zero) - 0.5
    np.testing.assert_allclose(shift, expected, atol=1e-6)
    # The coin is no part of the noise: half of it goes outwards, where the ball cuts it.
    assert 0.3 < np.mean(np.isclose(np.abs(shift), EPSILON, atol=1e-6)) < 0.7


def test_a_step_of_epsilon_is_that_of_fgsm_on_the_margin_wherever_the_boundary_is(net):
    attack = EFGSM(epsilon=EPSILON, sigma=0.0, step_size=EPSILON)
    fgsm = FGSM(epsilon=EPSILON, step_size=EPSILON, loss="cw")
    zero = np.zeros_like(net.momentum)
    images = np.asarray(net.perturb(attack, momentum=zero).images)
    np.testing.assert_allclose(images, net.perturb(fgsm).images, atol=1e-6)
    # Which is another step than that to the boundary.
    boundary = net.perturb(EFGSM(epsilon=EPSILON, sigma=0.0), momentum=zero).images
    assert np.abs(images - boundary).max() > 0.01


@pytest.mark.parametrize("momentum_from", ["gradient", "perturbation"])
@pytest.mark.parametrize("first_visit", ["gaussian", "corner"])
def test_a_universal_memory_is_one_row_of_the_mean_of_the_signs(net, momentum_from, first_visit):
    """All samples start from it; each adds a vote, however large its gradient."""
    options = {
        "epsilon": EPSILON,
        "sigma": 0.03,
        "decay": 0.9,
        "momentum_from": momentum_from,
        "first_visit": first_visit,
    }
    row = net.momentum[:1].copy()
    row[0, 0, 0] = 0.0
    # What each sample adds if it starts from that row, from a memory of its own.
    alone = net.perturb(EFGSM(**options), momentum=np.repeat(row, NUM_IMAGES, axis=0))
    votes = np.asarray(alone.momentum) - 0.9 * row
    attack = EFGSM(memory="universal", **options)
    made = net.perturb(attack, momentum=row)
    np.testing.assert_allclose(made.images, alone.images, atol=1e-6)
    assert made.momentum.shape == (1, *SHAPE)
    mean = votes.mean(axis=0, keepdims=True)
    np.testing.assert_allclose(made.momentum, 0.9 * row + mean, atol=1e-5)
    # They do not agree on every pixel, and a narrow vote is no whole one.
    assert np.abs(votes).max() == pytest.approx(1.0, rel=1e-4)
    assert np.abs(mean).min() < 0.5


def test_a_universal_memory_has_one_row_whatever_the_number_of_samples():
    attack = EFGSM(epsilon=EPSILON, memory="universal")
    assert (attack.momentum_rows(500), attack.momentum_of) == (1, "dataset")
    own = EFGSM(epsilon=EPSILON)
    assert (own.momentum_rows(500), own.momentum_of) == (500, "sample")


@pytest.mark.parametrize("first_visit", ["gaussian", "corner"])
def test_without_memory_each_visit_is_the_first(net, first_visit):
    options = {"epsilon": EPSILON, "sigma": 0.03, "first_visit": first_visit}
    first = net.perturb(EFGSM(**options), momentum=np.zeros_like(net.momentum))
    attack = EFGSM(memory="none", **options)
    made = net.perturb(attack)
    assert not attack.uses_momentum and made.momentum is None
    np.testing.assert_array_equal(made.images, first.images)
    # And that is not what a sample with a memory starts from.
    later = net.perturb(EFGSM(**options), momentum=net.momentum)
    assert np.abs(np.asarray(later.images) - np.asarray(made.images)).max() > 0.01


def test_the_network_has_robust_and_not_robust_images(net):
    """The cases above would prove little about `robust` if all images were alike."""
    assert 0 < np.sum(net.perturb(EFGSM(epsilon=0.02, sigma=0.05)).robust) < NUM_IMAGES


def test_the_nearest_of_all_rivals_is_no_further_than_the_runner_up(net):
    options = {"epsilon": EPSILON, "sigma": 0.05, "use_projection": False}
    zero = np.zeros_like(net.momentum)
    start = net.x + np.clip(0.05 * np.asarray(Noise(7, 2, IDS).normal(SHAPE)), -EPSILON, EPSILON)
    one, every = (
        np.abs(net.perturb(EFGSM(rivals=r, **options), momentum=zero).images - start.clip(0, 1))
        .max(axis=(1, 2, 3))
        .astype("float64")
        for r in (1, "all")
    )
    assert (every <= one + 1e-6).all()
    assert (every < one - 1e-3).any()


def test_only_the_sign_of_the_momentum_enters_the_images(net):
    attack = EFGSM(epsilon=EPSILON)
    images = net.perturb(attack).images
    np.testing.assert_array_equal(net.perturb(attack, momentum=net.momentum * 5).images, images)
    assert np.any(net.perturb(attack, momentum=-net.momentum).images != images)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.95])
def test_the_momentum_limit_is_the_sum_of_the_geometric_series(decay):
    series = sum(decay**n for n in range(2000))
    assert EFGSM(epsilon=EPSILON, decay=decay).momentum_limit == pytest.approx(series)


@pytest.mark.tensorflow("cleverhans")
def test_fgsm_makes_the_images_of_cleverhans(net):
    fast_gradient_method = pytest.importorskip(
        "cleverhans.tf2.attacks.fast_gradient_method"
    ).fast_gradient_method
    theirs = fast_gradient_method(
        net.model, net.x, EPSILON, np.inf, clip_min=0.0, clip_max=1.0, y=net.labels
    )
    np.testing.assert_allclose(net.perturb(FGSM(epsilon=EPSILON)).images, theirs, atol=1e-6)


@pytest.mark.tensorflow("cleverhans")
@pytest.mark.parametrize("loss", ["ce", "cw"])
def test_pgd_makes_the_images_of_cleverhans(net, loss):
    projected_gradient_descent = pytest.importorskip(
        "cleverhans.tf2.attacks.projected_gradient_descent"
    ).projected_gradient_descent

    def carlini_wagner(labels, logits):
        true = ops.one_hot(labels, NUM_CLASSES)
        rivals = ops.max(logits - 1e4 * true, axis=1)
        return rivals - ops.sum(true * logits, axis=1)

    theirs = projected_gradient_descent(
        net.model,
        ops.convert_to_tensor(net.x),
        EPSILON,
        0.03,
        6,
        np.inf,
        loss_fn=carlini_wagner if loss == "cw" else None,
        clip_min=0.0,
        clip_max=1.0,
        y=net.labels,
        rand_init=False,
    )
    attack = PGD(epsilon=EPSILON, steps=6, step_size=0.03, random_start=False, loss=loss)
    np.testing.assert_allclose(net.perturb(attack).images, theirs, atol=1e-5)


@each_attack
def test_every_attack_stays_in_the_ball_and_in_the_pixel_range(net, attack):
    images = np.asarray(net.perturb(attack).images)
    assert images.dtype == np.float32
    assert images.min() >= 0.0 and images.max() <= 1.0
    assert np.abs(images - net.x).max() <= EPSILON + 1e-6


@each_attack
def test_every_attack_but_identity_raises_the_loss(net, attack):
    before = net.cross_entropy(net.x.astype("float64"))[0].mean()
    after = net.cross_entropy(np.asarray(net.perturb(attack).images, "float64"))[0].mean()
    assert (after == before) if attack.kind == "identity" else (after > before)


@each_attack
def test_every_attack_makes_the_same_images_whatever_the_batch(net, attack):
    together = np.asarray(net.perturb(attack).images)
    for chosen in ([3], [8, 0, 3, 11]):
        images = attack.perturb(
            evaluation_logits(net.model),
            ops.convert_to_tensor(net.x[chosen]),
            ops.convert_to_tensor(net.labels[chosen]),
            Noise(7, 2, IDS[chosen]),
            ops.convert_to_tensor(net.momentum[chosen]) if attack.uses_momentum else None,
        ).images
        np.testing.assert_allclose(images, together[chosen], atol=1e-5)


@pytest.mark.parametrize("name", ["fgsm-rs", "pgd", "efgsm"])
def test_a_random_start_depends_on_seed_and_step(net, name):
    # Many steps of PGD end in the same corner of the ball from anywhere.
    attack = (
        PGD(epsilon=EPSILON, steps=1, step_size=EPSILON / 10) if name == "pgd" else ATTACKS[name]
    )
    images = np.asarray(net.perturb(attack).images)
    np.testing.assert_array_equal(net.perturb(attack).images, images)
    assert np.any(net.perturb(attack, seed=8).images != images)
    assert np.any(net.perturb(attack, step=3).images != images)


@each_attack
def test_a_compiled_attack_makes_the_images_of_an_eager_one(net, attack):
    images, momentum = compiled(
        lambda: (net.perturb(attack).images, net.perturb(attack).momentum)
    )()
    eager = net.perturb(attack)
    np.testing.assert_allclose(images, eager.images, atol=1e-5)
    assert (momentum is None) == (eager.momentum is None) == (not attack.uses_momentum)
    if momentum is not None:
        np.testing.assert_allclose(momentum, eager.momentum, atol=1e-5)


@each_attack
def test_an_attack_is_called_on_arrays_with_a_seed(net, attack):
    momentum = ops.zeros_like(net.x) if attack.uses_momentum else None
    for seed, labels in ((0, list(net.labels)), (5, net.labels.astype("uint8"))):
        expected = attack.perturb(
            net.model,
            ops.convert_to_tensor(net.x),
            ops.convert_to_tensor(net.labels),
            Noise(seed, 0, np.arange(NUM_IMAGES, dtype="int32")),
            momentum,
        ).images
        images = attack(net.model, net.x.astype("float64"), labels, seed=seed)
        np.testing.assert_allclose(images, expected, atol=1e-5)
    np.testing.assert_array_equal(
        attack(net.model, net.x, net.labels), attack(net.model, net.x, net.labels, seed=0)
    )


@each_attack
def test_batch_norm_statistics_do_not_move_while_examples_are_made(net, attack):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Flatten(),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(NUM_CLASSES),
        ]
    )
    before = model.get_weights()
    images = attack(model, net.x, net.labels)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    # Nor does the state of the others enter: no batch statistics and no dropout.
    np.testing.assert_allclose(attack(model, net.x[:1], net.labels[:1]), images[:1], atol=1e-5)


@pytest.mark.parametrize(
    "attack",
    [
        FGSM(epsilon=EPSILON),
        PGD(epsilon=EPSILON, steps=2, random_start=False),
        EFGSM(epsilon=EPSILON, sigma=0.0, overshoot=1e-9),
        EFGSM(epsilon=EPSILON, sigma=0.0, overshoot=1e-9, rivals="all"),
    ],
    ids=["fgsm", "pgd", "efgsm", "efgsm-all"],
)
def test_the_gradient_scale_keeps_a_float16_network_from_underflowing(net, attack):
    def direction(policy, scale):
        perturbed = attack.perturb(
            evaluation_logits(linear_model(policy)),
            ops.full(net.x.shape, 0.5),
            ops.convert_to_tensor(net.labels),
            Noise(0, 0, IDS),
            ops.zeros_like(net.x),
            scale,
        )
        moved = perturbed.images - 0.5
        return np.sign(moved if perturbed.momentum is None else perturbed.momentum)

    exact = direction("float32", 1.0)
    assert np.all(exact != 0)
    assert np.all(direction("mixed_float16", 1.0) == 0)
    np.testing.assert_array_equal(direction("mixed_float16", 1024.0), exact)


SERIALISED = {
    **ATTACKS,
    "efgsm-universal": EFGSM(epsilon=EPSILON, memory="universal"),
    "ce": AdversarialCrossEntropy(label_smoothing=0.25),
    "joint": JointReconstruction(classification_weight=0.05, label_smoothing=0.3),
}


@pytest.mark.parametrize("part", SERIALISED.values(), ids=SERIALISED)
def test_attacks_and_objectives_are_restored_from_their_configuration(part):
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(part))
    assert type(restored) is type(part)
    assert restored.get_config() == part.get_config()
    again = type(part).from_config(part.get_config())
    assert again.get_config() == part.get_config()
    plain = {k: v for k, v in vars(part).items() if not k.startswith("_")}
    if getattr(part, "norms", ()) == ("linf",):
        plain.pop("norm", None)  # no option of an attack that knows one ball
    assert set(part.get_config()) == set(plain)  # every option, and nothing else
    for name, value in plain.items():
        assert getattr(restored, name) == value


BAD_OPTIONS = [
    *((attack, {"epsilon": e}) for attack in (Identity, FGSM, PGD, EFGSM) for e in (0, -0.1, 8)),
    *((Identity, {"epsilon": e}) for e in (float("nan"), float("inf"), "0.3", None, True)),
    *((attack, {"step_size": s}) for attack in (FGSM, PGD) for s in (0, -0.1, float("nan"))),
    *((attack, {"loss": loss}) for attack in (FGSM, PGD) for loss in ("dlr", None)),
    *((PGD, {"steps": s}) for s in (0, -1, 2.5, True)),
    *((EFGSM, {"sigma": s}) for s in (-0.1, float("nan"))),
    *((EFGSM, {"decay": d}) for d in (-0.1, 1.0, 1.5)),
    *((EFGSM, {"rivals": r}) for r in (0, -1, 1.5, "some", None)),
    *((EFGSM, {"overshoot": o}) for o in (0, -1)),
    (EFGSM, {"momentum_from": "sign"}),
    *((EFGSM, {"first_visit": v}) for v in ("uniform", None)),
    *((EFGSM, {"step_size": s}) for s in (0, -0.1, float("nan"))),
    *((EFGSM, {"memory": m}) for m in ("dataset", None)),
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


@pytest.mark.parametrize("epsilon", [1e-3, 8 / 255, 0.3, 1.0])
def test_efgsm_starts_with_a_third_of_its_ball_unless_told(epsilon):
    attack = EFGSM(epsilon=epsilon)
    assert attack.sigma == epsilon / 3 == EFGSM.from_config(attack.get_config()).sigma
    assert EFGSM(epsilon=epsilon, sigma=0.1).sigma == 0.1
    assert EFGSM(epsilon=epsilon, sigma=0.0).sigma == 0.0
    # With the epsilon of MNIST it is what it was before it followed epsilon, to the bit.
    assert np.float32(EFGSM(epsilon=0.3).sigma) == np.float32(0.1)


def test_a_radius_on_the_255_scale_is_told_to_be_divided():
    with pytest.raises(ValueError, match=r"0\.\.255 scale by 255 \(here 0\.0313725\)"):
        PGD(epsilon=8)


def test_options_are_keywords_only():
    for attack in (Identity, FGSM, PGD, EFGSM):
        with pytest.raises(TypeError):
            attack(0.3)


@pytest.mark.parametrize("rivals", [NUM_CLASSES, 1000])
def test_more_rivals_than_there_are_mean_all_of_them(net, rivals):
    images = net.perturb(EFGSM(epsilon=EPSILON, rivals=rivals)).images
    np.testing.assert_array_equal(net.perturb(EFGSM(epsilon=EPSILON, rivals="all")).images, images)
