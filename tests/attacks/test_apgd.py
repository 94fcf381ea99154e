import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_tensor as tensor

from keras_efgsm.attacks import PGD
from keras_efgsm.attacks.apgd import APGD, TargetedAPGD
from keras_efgsm.attacks.auto_pgd import window_lengths
from keras_efgsm.attacks.losses import (
    dlr_loss,
    still_correct,
    targeted_dlr_loss,
)
from keras_efgsm.attacks.random_sampling import RandomSampling
from keras_efgsm.backend import compiled_once
from keras_efgsm.equations import margin
from keras_efgsm.noise import Noise

EPSILON = 0.1
RADII = {"linf": EPSILON, "l2": 0.25}
NUM_IMAGES, NUM_CLASSES = 16, 6
SHAPE = (3, 4, 1)
IDS = np.arange(100, 100 + NUM_IMAGES, dtype="int32")


class Net:
    """A small wavy network in float64, in TensorFlow and, with its Jacobian, in numpy.

    In float64 both follow the same path over many steps; in float32 the sign of a gradient near
    zero would soon part them.
    """

    def __init__(self):
        rng = np.random.default_rng(5)
        self.weights = (
            rng.normal(size=(12, 24)),
            rng.normal(size=24),
            rng.normal(size=(24, NUM_CLASSES)),
        )
        # Some pixels at 0 and 1, where the box cuts the ball; images of middling to large margins,
        # of which some withstand and others are turned, at once or on the way.
        pool = rng.uniform(-0.2, 1.2, (400, *SHAPE)).clip(0, 1)
        margins = np.diff(np.sort(self.logits(pool), axis=1)[:, -2:])[:, 0]
        chosen = np.linspace(0.6 * len(pool), len(pool) - 1, NUM_IMAGES).astype(int)
        self.x = pool[np.argsort(margins)[chosen]]
        self.labels = self.logits(self.x).argmax(axis=1).astype("int32")
        self.labels[::8] = (self.labels[::8] + 1) % NUM_CLASSES  # some are misclassified
        self.visited = []

    def tf_logits(self, x):
        w1, b1, w2 = self.weights
        return ops.matmul(ops.sin(ops.matmul(ops.reshape(x, (-1, 12)), w1) + b1), w2)

    def recorded_logits(self, x):
        self.visited.append(np.asarray(x))
        return self.tf_logits(x)

    def logits(self, x):
        w1, b1, w2 = self.weights
        return np.sin(x.reshape(-1, 12) @ w1 + b1) @ w2

    def gradient(self, x, error):
        """Gradient of one image's loss from its gradient `(K,)` with respect to the logits."""
        w1, b1, w2 = self.weights
        return (w1 @ (np.cos(x.reshape(12) @ w1 + b1) * (w2 @ error))).reshape(SHAPE)

    def perturb(self, attack, step=0, logits_fn=None, rows=slice(None)):
        images = attack.perturb(
            logits_fn or self.tf_logits,
            tensor(self.x[rows]),
            tensor(self.labels[rows]),
            Noise(7, step, IDS[rows]),
        ).images
        return np.asarray(images)

    def loss(self, name, z, label, target=None):
        """One image's loss and its gradient with respect to the logits, by the paper's formulas."""
        unit = np.eye(NUM_CLASSES)
        order = np.argsort(-z)
        if name == "ce":
            p = np.exp(z) / np.exp(z).sum()
            return -np.log(p[label]), p - unit[label]
        rival = (order[1] if order[0] == label else order[0]) if target is None else target
        top, slope = z[rival] - z[label], unit[rival] - unit[label]
        if name == "cw":
            return top, slope
        if target is None:
            bottom, its_slope = z[order[0]] - z[order[2]], unit[order[0]] - unit[order[2]]
        else:
            bottom = z[order[0]] - (z[order[2]] + z[order[3]]) / 2
            its_slope = unit[order[0]] - (unit[order[2]] + unit[order[3]]) / 2
        return top / bottom, slope / bottom - top / bottom**2 * its_slope


@pytest.fixture
def net():
    return Net()


def lengths(changes, norm):
    """The norm of each change, as `(B, 1, 1, 1)`."""
    order = {"linf": np.inf, "l2": 2}[norm]
    return np.linalg.norm(changes.reshape(len(changes), -1), order, axis=1)[:, None, None, None]


def random_start(net, step, norm="linf"):
    noise = Noise(7, step, IDS)
    draws = noise.uniform(SHAPE, -1.0, 1.0) if norm == "linf" else noise.normal(SHAPE)
    shift = np.asarray(draws, "float64")
    return (net.x + RADII[norm] * shift / lengths(shift, norm)).clip(0, 1)


def numpy_apgd(net, b, start, name, steps, rank=None, norm="linf"):
    """Algorithm 1 of Croce & Hein for image b, with the whole history of its losses kept.

    Returns its iterates until it is misclassified, the result, and which conditions halved the
    step. Momentum and steps are dyadic, so that an image may come back to where it was but for
    rounding, which then decides what rose; there the iterates end, and the result is None.
    """
    x, label, target, epsilon = net.x[b], net.labels[b], None, RADII[norm]
    if rank is not None:
        order = [c for c in np.argsort(-net.logits(x)[0]) if c != label]
        target = order[rank]

    def project(image):
        if norm == "linf":
            return np.clip(np.clip(image, x - epsilon, x + epsilon), 0, 1)
        change = np.clip(image, 0, 1) - x
        return x + change * min(1.0, epsilon / np.sqrt((change**2).sum()))

    def direction(gradient):
        return np.sign(gradient) if norm == "linf" else gradient / np.sqrt((gradient**2).sum())

    def evaluate(image):
        z = net.logits(image)[0]
        value, error = net.loss(name, z, label, target)
        return value, net.gradient(image, error), z.argmax() == label

    image = old = best = start
    value, gradient, correct = evaluate(image)
    best_gradient, values, bests, iterates = gradient, [value], [value], [image]
    if not correct:
        return iterates, image, set()
    step_size, reasons, reduced = 2 * epsilon, set(), True
    checkpoint, length = max(int(0.22 * steps), 1), max(int(0.22 * steps), 1)
    last_checkpoint = 0
    for i in range(steps):
        stepped = project(image + step_size * direction(gradient))
        weight = 1.0 if i == 0 else 0.75
        moved = project(image + weight * (stepped - image) + (1 - weight) * (image - old))
        old, image = image, moved
        value, gradient, correct = evaluate(image)
        iterates.append(image)
        if not correct:
            return iterates, image, reasons
        for other, its_value in ((old, values[-1]), (best, bests[-1])):
            if abs(value - its_value) < 1e-11 and np.any(image != other):
                return iterates, None, reasons
        values.append(value)
        if value > bests[-1]:
            best, best_gradient = image, gradient
        bests.append(max(bests[-1], value))
        if i + 1 == checkpoint:
            window = range(last_checkpoint, checkpoint)
            rises = sum(values[k + 1] > values[k] for k in window)
            first = rises <= 0.75 * len(window)
            second = not reduced and bests[checkpoint] <= bests[last_checkpoint]
            reasons |= {"few rises"} if first else {"no gain"} if second else set()
            reduced = first or second
            if reduced:
                step_size /= 2
                image, gradient = best, best_gradient
            length = max(length - max(int(0.03 * steps), 1), max(int(0.06 * steps), 1))
            last_checkpoint, checkpoint = checkpoint, checkpoint + length
    return iterates, best, reasons


CASES = [
    (APGD(epsilon=EPSILON, steps=40, loss="ce"), "ce", 0, None),
    (APGD(epsilon=EPSILON, steps=40, loss="cw"), "cw", 1, None),
    (APGD(epsilon=EPSILON, steps=40, loss="dlr"), "dlr", 2, None),
    (APGD(epsilon=EPSILON, steps=25, random_start=False), "ce", 0, None),
    # Rounds 0 and 4 of the first restart, and round 1 of the second.
    (TargetedAPGD(epsilon=EPSILON, steps=40, targets=5), "dlr", 0, 0),
    (TargetedAPGD(epsilon=EPSILON, steps=40, targets=5), "dlr", 4, 4),
    (TargetedAPGD(epsilon=EPSILON, steps=40, targets=5), "dlr", 6, 1),
    (APGD(epsilon=RADII["l2"], steps=40, loss="ce", norm="l2"), "ce", 0, None),
    (APGD(epsilon=RADII["l2"], steps=40, loss="cw", norm="l2"), "cw", 1, None),
    (TargetedAPGD(epsilon=RADII["l2"], steps=40, targets=5, norm="l2"), "dlr", 0, 0),
    # Of six classes five are rivals, so that round 7 of nine is towards rival 2 again.
    (TargetedAPGD(epsilon=EPSILON, steps=25, targets=9), "dlr", 7, 2),
]


@pytest.mark.parametrize(("attack", "loss", "step", "rank"), CASES)
def test_the_path_is_that_of_the_published_algorithm(net, attack, loss, step, rank):
    images = net.perturb(attack, step, net.recorded_logits)
    visited = np.stack(net.visited[rank is not None :], axis=1)  # a targeted one ranks them first
    starts = random_start(net, step, attack.norm) if attack.random_start else net.x
    turned, compared, reasons = 0, 0, set()
    for b in range(NUM_IMAGES):
        iterates, result, why = numpy_apgd(net, b, starts[b], loss, attack.steps, rank, attack.norm)
        np.testing.assert_allclose(visited[b, : len(iterates)], iterates, atol=1e-7)
        if result is not None:
            np.testing.assert_allclose(images[b], result, atol=1e-7)
            compared += 1
            turned += len(iterates) <= attack.steps
        reasons |= why
    # What the comparison covers: images that were turned on the way and others that were not.
    assert compared >= NUM_IMAGES - 4
    assert 2 < turned < compared
    assert visited.shape[1] == attack.steps + 1
    assert "few rises" in reasons


def test_both_conditions_halve_the_step_in_the_comparisons_above(net):
    attack, loss, step, rank = CASES[-1]
    starts = random_start(net, step)
    paths = [numpy_apgd(net, b, starts[b], loss, attack.steps, rank) for b in range(NUM_IMAGES)]
    assert set().union(*(path[2] for path in paths)) == {"few rises", "no gain"}


def test_the_windows_end_at_the_published_checkpoints():
    ends, length = [22], 22
    while ends[-1] < 99:  # p_j+1 = p_j + max(p_j - p_j-1 - 0.03, 0.06)
        length = max(length - 3, 6)
        ends.append(ends[-1] + length)
    assert ends == [22, 41, 57, 70, 80, 87, 93, 99]
    np.testing.assert_array_equal(np.cumsum(window_lengths(100)), [*ends, 100])


@pytest.mark.parametrize("steps", [1, 2, 7, 50, 333])
def test_the_windows_make_all_steps(steps):
    lengths = window_lengths(steps)
    assert sum(lengths) == steps
    assert min(lengths) >= 1
    assert lengths[0] == max(int(0.22 * steps), 1)


def test_the_logits_ratio_is_the_one_computed_by_hand():
    logits = tensor([[3.0, 1.0, 0.5, -1.0]] * 3)
    # Largest 3, third 0.5: the margins 2, -2 and -4 over 2.5.
    np.testing.assert_allclose(dlr_loss(logits, tensor([0, 1, 3])), [-0.8, 0.8, 1.6])
    # Of three classes the third is the last: margin 1 over 3.
    three = dlr_loss(tensor([[2.0, 1.0, -1.0]]), tensor([0]))
    np.testing.assert_allclose(three, [-1 / 3], rtol=1e-6)


def test_the_targeted_logits_ratio_is_the_one_computed_by_hand():
    logits = tensor([[3.0, 1.0, 0.5, -1.0]] * 2)
    # (0.5 - 3) and (3 + 1) over 3 - (0.5 - 1) / 2.
    loss = targeted_dlr_loss(logits, tensor([0, 3]), tensor([2, 0]))
    np.testing.assert_allclose(loss, [-2.5 / 3.25, 4 / 3.25], rtol=1e-6)


def test_the_targeted_logits_ratio_of_three_classes_is_the_margin_towards_the_target():
    logits = tensor([[2.0, 1.0, -1.0]] * 2)
    loss = targeted_dlr_loss(logits, tensor([0, 1]), tensor([2, 0]))
    np.testing.assert_allclose(loss, [-3.0, 1.0])


def test_the_logits_ratio_does_not_change_with_the_scale_of_the_logits():
    logits = tensor(np.random.default_rng(0).normal(size=(5, 6)), "float32")
    labels, targets = tensor([0, 1, 2, 3, 4]), tensor([5, 0, 1, 2, 3])
    np.testing.assert_allclose(
        dlr_loss(1e4 * logits + 3, labels), dlr_loss(logits, labels), rtol=1e-4
    )
    np.testing.assert_allclose(
        targeted_dlr_loss(1e4 * logits + 3, labels, targets),
        targeted_dlr_loss(logits, labels, targets),
        rtol=1e-4,
    )


def test_logits_that_are_not_finite_are_not_correct():
    logits = tensor([[1.0, 0.0], [np.nan, 0.0], [np.inf, 0.0], [0.0, 1.0], [2.0, -np.inf]])
    held = still_correct(logits, ops.zeros(5, "int32"))
    np.testing.assert_array_equal(held, [True, False, False, False, False])


# At this radius no path comes back to where it was, where rounding would decide how it goes on.
ATTACKS = {
    "ce": APGD(epsilon=0.13, steps=10),
    "cw": APGD(epsilon=0.13, steps=10, loss="cw"),
    "dlr": APGD(epsilon=0.13, steps=10, loss="dlr"),
    "clean-start": APGD(epsilon=0.13, steps=10, random_start=False),
    "targeted": TargetedAPGD(epsilon=0.13, steps=10, targets=3),
    "random": RandomSampling(epsilon=0.3, samples=25),
    "corners": RandomSampling(epsilon=0.13, samples=25, corners=True),
}
each_attack = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)


@each_attack
def test_every_attack_stays_in_the_ball_and_in_the_pixel_range(net, attack):
    net.perturb(attack, 1, net.recorded_logits)
    for images in [net.perturb(attack, 1), *net.visited]:
        assert images.min() >= 0.0 and images.max() <= 1.0
        assert np.abs(images - net.x).max() <= attack.epsilon + 1e-9


@each_attack
def test_an_image_gets_the_same_result_whatever_the_batch(net, attack):
    """Alone a turned image ends the loop at once, beside one that withstands it does not."""
    together = net.perturb(attack, 1)
    passes = []
    for b in range(1, NUM_IMAGES, 2):
        net.visited.clear()
        alone = net.perturb(attack, 1, net.recorded_logits, slice(b, b + 1))
        np.testing.assert_allclose(alone[0], together[b], atol=1e-9)
        passes.append(len(net.visited))
    correct = (net.logits(together).argmax(axis=1) == net.labels)[1::2]
    assert 0 < correct.sum() < len(correct)
    assert (np.array(passes)[correct] == max(passes)).all()
    assert (np.array(passes)[~correct] < max(passes)).any()


@each_attack
def test_a_compiled_attack_makes_the_images_of_an_eager_one(net, attack):
    traced = []

    def logits_fn(x):
        traced.append(x)
        return net.tf_logits(x)

    @compiled_once
    def run(step):
        return attack.perturb(
            logits_fn,
            tensor(net.x),
            tensor(net.labels),
            Noise(7, step, IDS),
        ).images

    for step in (0, 1):
        np.testing.assert_allclose(run(tensor(step)), net.perturb(attack, step), atol=1e-9)
    # The network is once in the graph; a targeted attack ranks its classes beforehand.
    assert len(traced) == (2 if attack.kind == "apgd-t" else 1)


def test_random_noise_has_epsilon_as_its_largest_component(net):
    net.x = np.full_like(net.x, 0.5)
    for attack in (APGD(epsilon=EPSILON, steps=1), TargetedAPGD(epsilon=EPSILON, steps=1)):
        net.visited.clear()
        net.perturb(attack, 3, net.recorded_logits)
        shift = net.visited[attack.kind == "apgd-t"] - 0.5
        np.testing.assert_allclose(np.abs(shift).max(axis=(1, 2, 3)), EPSILON, rtol=1e-9)
        assert np.abs(shift).min() < 0.2 * EPSILON


def test_a_restart_begins_with_other_noise_and_the_same_target(net):
    attack = TargetedAPGD(epsilon=EPSILON, steps=1, targets=3)
    starts = []
    for step in (1, 4):
        net.visited.clear()
        net.perturb(attack, step, net.recorded_logits)
        starts.append(net.visited[1])
    assert np.all(np.any(starts[0] != starts[1], axis=(1, 2, 3)))
    np.testing.assert_allclose(starts[1], random_start(net, 4), atol=1e-9)


def test_a_targeted_attack_has_as_many_rounds_as_targets():
    assert TargetedAPGD(epsilon=EPSILON).rounds == 9
    assert TargetedAPGD(epsilon=EPSILON, targets=3).rounds == 3
    assert APGD(epsilon=EPSILON).rounds == 1


def test_a_call_makes_all_rounds(net):
    """Each round aims at a class of its own, so all of them together turn more than any one."""
    attack = TargetedAPGD(epsilon=EPSILON, steps=3, targets=5, random_start=False)

    def held(images):
        return np.asarray(still_correct(net.tf_logits(images), net.labels))

    model = keras.layers.Lambda(
        lambda x: ops.cast(net.tf_logits(ops.cast(x, "float64")), "float32")
    )
    together = held(np.asarray(attack(model, net.x, net.labels), "float64"))
    rounds = [held(net.perturb(attack, step)) for step in range(5)]
    np.testing.assert_array_equal(together, np.logical_and.reduce(rounds))
    assert together.sum() < min(r.sum() for r in rounds)


@pytest.mark.parametrize("attack", [APGD(epsilon=0.1, steps=3), TargetedAPGD(epsilon=0.1, steps=3)])
@pytest.mark.parametrize("num_classes", [2, 3])
def test_few_classes_can_be_attacked(attack, num_classes):
    weights = tensor(np.random.default_rng(0).normal(size=(12, num_classes)), "float32")
    x = np.random.default_rng(1).uniform(size=(6, *SHAPE))

    def logits_fn(x):
        return ops.reshape(x, (-1, 12)) @ weights

    labels = np.argmax(logits_fn(x.astype("float32")), axis=1)
    margins = [
        margin(logits_fn(tensor(i, "float32")), labels) for i in (x, attack(logits_fn, x, labels))
    ]
    assert np.all(np.asarray(margins[1]) < np.asarray(margins[0]))


def test_the_logits_ratio_of_two_classes_is_refused_at_the_first_call():
    with pytest.raises(ValueError, match=r'at least 3 classes; use "ce" or "cw".*num_classes=2$'):
        APGD(epsilon=0.1, loss="dlr")(
            lambda x: ops.reshape(x, (-1, 12))[:, :2], np.zeros((2, *SHAPE)), [0, 1]
        )


@pytest.mark.parametrize(
    "attack",
    [
        APGD(epsilon=EPSILON, steps=2, random_start=False, loss="cw"),
        TargetedAPGD(epsilon=EPSILON, steps=2, random_start=False),
    ],
)
def test_the_gradient_scale_keeps_a_float16_network_from_underflowing(attack):
    """The gradient with respect to the images is about 1e-9; float16 ends at 6e-8."""
    rng = np.random.default_rng(0)
    first = tensor(rng.choice([-1, 1], (12, 1)) * 3e-5, "float16")
    second = tensor([[-4e-5, -2e-5, 2e-5]], "float16")
    x = np.full((2, *SHAPE), 0.5, "float32")

    def logits_fn(x):
        hidden = ops.reshape(ops.cast(x, "float16"), (-1, 12)) @ first
        return ops.cast(hidden @ second, "float32") + np.array([0, 0, 1], "float32")

    def moved(scale):
        visited = []

        def recorded_logits(x):
            visited.append(np.asarray(x))
            return logits_fn(x)

        images, labels = tensor(x), tensor([2, 2])
        attack.perturb(recorded_logits, images, labels, Noise(0, 0, IDS[:2]), None, scale)
        return visited[-1] - x

    assert np.all(moved(1.0) == 0)
    # The margin over either rival falls where `first` rises, and so do the images.
    expected = -np.sign(np.asarray(first, "float32")).reshape(SHAPE)
    np.testing.assert_array_equal(np.sign(moved(1024.0)), [expected, expected])


def test_random_sampling_draws_independent_points_of_the_ball(net):
    net.perturb(RandomSampling(epsilon=EPSILON, samples=100), 2, net.recorded_logits)
    noise = Noise(7, 2, IDS)
    for number in (0, 1, 99):
        shift = np.asarray(noise.uniform(SHAPE, -EPSILON, EPSILON, stream=number), "float64")
        np.testing.assert_allclose(net.visited[number], (net.x + shift).clip(0, 1), atol=1e-7)
    shift = (np.stack(net.visited) - net.x)[:, (net.x > EPSILON) & (net.x < 1 - EPSILON)]
    # A uniform distribution: mean zero, standard deviation epsilon / sqrt(3), no correlation.
    assert np.abs(shift.mean(axis=0)).max() < 5 * EPSILON / np.sqrt(3 * 100)
    assert shift.std() == pytest.approx(EPSILON / np.sqrt(3), rel=0.02)
    assert np.abs(np.corrcoef(shift[:-1].ravel(), shift[1:].ravel())[0, 1]) < 0.05


def test_corners_change_every_pixel_by_epsilon(net):
    net.x = np.full_like(net.x, 0.5)
    net.perturb(RandomSampling(epsilon=EPSILON, samples=50, corners=True), 0, net.recorded_logits)
    shift = np.stack(net.visited) - 0.5
    np.testing.assert_allclose(np.abs(shift), EPSILON, rtol=1e-6)
    assert abs(np.mean(shift > 0) - 0.5) < 0.03


@pytest.mark.parametrize("corners", [False, True])
def test_random_sampling_keeps_the_first_point_that_turns_else_the_worst(net, corners):
    attack = RandomSampling(epsilon=EPSILON, samples=60, corners=corners)
    images = net.perturb(attack, 0, net.recorded_logits)
    assert len(net.visited) == 60
    first = []
    for b in range(NUM_IMAGES):
        points = np.stack([points[b] for points in net.visited])
        z = net.logits(points)
        wrong = np.flatnonzero(z.argmax(axis=1) != net.labels[b])
        rivals = np.delete(z, net.labels[b], axis=1).max(axis=1)
        chosen = wrong[0] if len(wrong) else np.argmin(z[:, net.labels[b]] - rivals)
        np.testing.assert_array_equal(images[b], points[chosen])
        first.append(wrong[0] if len(wrong) else None)
    assert None in first and any(first)  # some withstood, some were turned, not all at once


CONFIGURED = [
    APGD(epsilon=0.2, steps=7, loss="dlr", random_start=False),
    TargetedAPGD(epsilon=0.2, steps=7, targets=4, random_start=False),
    RandomSampling(epsilon=0.2, samples=7, corners=True),
]


@pytest.mark.parametrize("attack", CONFIGURED, ids=lambda a: a.name)
def test_attacks_are_restored_from_their_configuration(attack):
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(attack))
    assert type(restored) is type(attack)
    assert restored.get_config() == attack.get_config() == vars(restored)


@pytest.mark.parametrize(
    ("attack", "options"),
    [
        *(
            (attack, {"epsilon": e})
            for attack in (APGD, TargetedAPGD, RandomSampling)
            for e in (0, 8)
        ),
        *((attack, {"steps": s}) for attack in (APGD, TargetedAPGD) for s in (0, 2.5)),
        (APGD, {"loss": "hinge"}),
        (TargetedAPGD, {"targets": 0}),
        (RandomSampling, {"samples": 0}),
    ],
)
def test_bad_options_are_refused_with_what_was_received(attack, options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError) as error:
        attack(**{"epsilon": 0.3, **options})
    assert str(error.value).startswith(f"`{name}` ")
    assert str(error.value).endswith(f"Received: {name}={value!r}")
    with pytest.raises(TypeError):
        attack(0.3)


@pytest.fixture(scope="module")
def trained(digits, new_classifier):
    """A classifier of digits, and test images it gets right."""
    (x, y), (x_test, y_test) = digits
    model = new_classifier(hidden=32)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss)
    model.fit(x, y, batch_size=128, epochs=8, verbose=0)
    right = np.argmax(model(x_test), axis=1) == y_test
    return model, x_test[right][:100], y_test[right][:100]


def withstood(model, images, labels):
    return np.asarray(still_correct(model(images), labels))


def test_it_turns_at_least_as_many_digits_as_pgd_with_as_many_steps(trained):
    model, x, y = trained
    attacks = {
        "pgd": PGD(epsilon=0.08, steps=16),
        "apgd": APGD(epsilon=0.08, steps=16),
        "apgd-t": TargetedAPGD(epsilon=0.08, steps=16, targets=3),
    }
    held = {n: withstood(model, attack(model, x, y), y).sum() for n, attack in attacks.items()}
    assert 0.1 * len(x) < held["pgd"] < 0.9 * len(x)
    assert held["apgd-t"] <= held["apgd"] <= held["pgd"]


@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_no_more_digits_withstand_than_the_same_attack_of_another_library(trained, loss):
    evasion = pytest.importorskip("art.attacks.evasion")
    from art.estimators.classification import TensorFlowV2Classifier

    model, x, y = trained
    estimator = TensorFlowV2Classifier(
        model=model,
        nb_classes=10,
        input_shape=x.shape[1:],
        clip_values=(0.0, 1.0),
        loss_object=keras.losses.CategoricalCrossentropy(from_logits=True),
    )
    np.random.seed(0)  # the library draws from numpy's global generator
    theirs = evasion.AutoProjectedGradientDescent(
        estimator,
        norm=np.inf,
        eps=0.08,
        eps_step=0.16,
        max_iter=16,
        nb_random_init=1,
        batch_size=len(x),
        loss_type={"ce": "cross_entropy", "dlr": "difference_logits_ratio"}[loss],
        verbose=False,
    ).generate(x, keras.utils.to_categorical(y, 10))
    ours = APGD(epsilon=0.08, steps=16, loss=loss)(model, x, y)
    # Two random starts may differ by an image or two at the edge.
    assert withstood(model, ours, y).sum() <= withstood(model, theirs, y).sum() + 2
