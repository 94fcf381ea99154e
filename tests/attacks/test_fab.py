import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_tensor as tensor
from scipy.optimize import linprog

from keras_efgsm.attacks import TargetedAPGD
from keras_efgsm.attacks.fab import TargetedFAB
from keras_efgsm.attacks.hyperplane import project_to_hyperplane
from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.attacks.pgd import PGD
from keras_efgsm.evaluation import Transfer, evaluate_robustness
from keras_efgsm.evaluation.native_engine import compile_native
from keras_efgsm.networks import digits_classifier
from keras_efgsm.noise import Noise

SHAPE = (2, 3, 1)
NUM_CLASSES = 4


class Net:
    """A small smooth network in TensorFlow and in float64 numpy."""

    def __init__(self):
        rng = np.random.default_rng(5)
        self.first = rng.normal(size=(6, 8))
        self.second = rng.normal(size=(8, NUM_CLASSES))
        self.x = rng.uniform(-0.2, 1.2, (10, *SHAPE)).clip(0, 1).astype("float32")
        self.labels = self.logits(self.x).argmax(axis=1).astype("int32")

    def logits(self, x):
        return np.tanh(x.reshape(len(x), -1) @ self.first) @ self.second

    def logits_fn(self, x):
        hidden = ops.tanh(ops.reshape(x, (-1, 6)) @ tensor(self.first, "float32"))
        return hidden @ tensor(self.second, "float32")

    def margin_and_gradient(self, x, label, rival):
        """Of one image."""
        hidden = np.tanh(x.ravel() @ self.first)
        difference = self.second[:, label] - self.second[:, rival]
        gradient = self.first @ ((1 - hidden**2) * difference)
        return hidden @ difference, gradient.reshape(x.shape)

    def perturb(self, attack, step=0, chosen=slice(None), seed=0):
        return attack.perturb(
            self.logits_fn,
            tensor(self.x[chosen]),
            tensor(self.labels[chosen]),
            Noise(seed, step, np.arange(len(self.x), dtype="int32")[chosen]),
        )


@pytest.fixture(scope="module")
def net():
    return Net()


def project(x, gradient, value):
    """The move of one image."""
    arguments = (tensor(np.asarray(a)[None], "float32") for a in (x, gradient, value))
    return np.asarray(project_to_hyperplane(*arguments))[0]


@pytest.mark.parametrize(
    ("x", "gradient", "value", "move"),
    [
        ([0.5, 0.5], [1.0, 1.0], -0.2, [0.1, 0.1]),
        ([0.5, 0.5], [1.0, -1.0], 0.2, [-0.1, 0.1]),
        ([0.5, 0.5], [3.0, 1.0], 0.4, [-0.1, -0.1]),  # the weights do not change the direction
        ([0.9, 0.5], [1.0, 1.0], -0.3, [0.1, 0.2]),  # the first ends at 1
        ([0.9, 0.5], [1.0, 1.0], -0.6, [0.1, 0.5]),  # just feasible
        ([0.9, 0.5], [1.0, 1.0], -0.7, [0.1, 0.5]),  # not feasible: as far as the box allows
        ([0.0, 0.5], [1.0, 2.0], 0.4, [0.0, -0.2]),  # no room at all for the first
        ([0.5, 0.5], [0.0, 2.0], 0.4, [0.0, -0.2]),  # it has no say
        ([0.5, 0.5], [0.0, 0.0], 0.4, [0.0, 0.0]),
        ([0.5, 0.5], [1.0, 1.0], 0.0, [0.0, 0.0]),
        ([0.8, 0.7, 0.2], [1.0, 2.0, -4.0], -1.5, [0.2, 0.25, -0.2]),
    ],
)
def test_the_projection_is_the_one_computed_by_hand(x, gradient, value, move):
    np.testing.assert_allclose(project(x, gradient, value), move, atol=1e-6)


def test_the_projection_is_the_shortest_that_a_linear_program_finds():
    rng = np.random.default_rng(0)
    feasible = 0
    for _ in range(60):
        x = rng.uniform(-0.3, 1.3, 6).clip(0, 1)
        gradient = rng.normal(size=6) * (rng.random(6) > 0.2)
        value = 2.0 * rng.normal()
        move = project(x, gradient, value)
        limits = np.concatenate([np.eye(6), -np.eye(6)])
        program = linprog(
            np.eye(7)[6],
            np.hstack([limits, -np.ones((12, 1))]),
            np.zeros(12),
            [[*gradient, 0.0]],
            [-value],
            [*((-p, 1 - p) for p in x), (0, None)],
        )
        if program.status == 0:
            feasible += 1
            assert np.abs(move).max() == pytest.approx(program.fun, abs=1e-6)
            assert value + gradient @ move == pytest.approx(0.0, abs=1e-5)
        else:
            furthest = np.where(value * gradient > 0, -x, 1 - x) * (gradient != 0)
            np.testing.assert_allclose(move, furthest, atol=1e-6)
    assert 20 < feasible < 50  # both happen


def test_the_projection_is_exact_where_every_pixel_has_another_room():
    """Rooms and weights over many orders of magnitude, the worst there is for Newton's steps."""
    room = 2.0 ** -np.arange(0, 20.0)
    weights = 2.0 ** np.arange(0, 20.0)
    for share in (0.01, 0.3, 0.9, 0.999):
        value = -share * (room * weights).sum()
        move = project(1.0 - room, weights, value).astype("float64")
        assert weights @ move == pytest.approx(-value, rel=1e-5)
        np.testing.assert_allclose(move, np.minimum(room, move.max()), rtol=1e-4)


def test_the_projection_of_an_image_does_not_depend_on_its_batch():
    rng = np.random.default_rng(1)
    x, gradient, value = rng.random((9, 4)), rng.normal(size=(9, 4)), rng.normal(size=9)
    arguments = [a.astype("float32") for a in (x, gradient, value)]
    together = project_to_hyperplane(*map(tensor, arguments))
    for b in range(9):
        np.testing.assert_allclose(project(x[b], gradient[b], value[b]), together[b], atol=1e-6)


def numpy_move(x, gradient, value, norm="linf"):
    """The projection of one image, by bisection in float64."""
    direction = -np.sign(value) * np.sign(gradient)
    room = np.where(direction > 0, 1 - x, x)
    # What a pixel goes while the level rises by one.
    slope = np.ones_like(room) if norm == "linf" else np.abs(gradient)
    low, high = 0.0, 1.0 / np.abs(slope[gradient != 0]).min()
    for _ in range(80):
        middle = (low + high) / 2
        way = np.minimum(room, slope * middle)
        reached = (np.abs(gradient) * way).sum() >= abs(value)
        low, high = (low, middle) if reached else (middle, high)
    return direction * np.minimum(room, slope * high)


def length_of(change, norm):
    return np.linalg.norm(change.ravel(), {"linf": np.inf, "l2": 2}[norm])


def numpy_fab(net, attack, b, rank):
    """The attack on one image in float64."""
    x, label = net.x[b].astype("float64"), net.labels[b]
    rival = np.argsort(net.logits(x[None])[0])[::-1][1 + rank]
    point = evaluated = x
    for _ in range(attack.steps):
        value, gradient = net.margin_and_gradient(evaluated, label, rival)
        value = value + (gradient * (point - evaluated)).sum()
        move = numpy_move(point, gradient, value, attack.norm)
        from_x = value + (gradient * (x - point)).sum()
        move_x = numpy_move(x, gradient, from_x, attack.norm)
        length, length_x = (length_of(each, attack.norm) for each in (move, move_x))
        alpha = min(length / (length + length_x), attack.alpha_max)
        moved = (point + attack.eta * move) * (1 - alpha) + (x + attack.eta * move_x) * alpha
        point = evaluated = moved.clip(0, 1)
        if net.logits(evaluated[None]).argmax() != label:
            if length_of(evaluated - x, attack.norm) <= attack.epsilon:
                return evaluated
            point = x + attack.beta * (evaluated - x)
    return x


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"alpha_max": 0.5, "eta": 1.3, "beta": 0.6},
        {"alpha_max": 0.0},
        {"norm": "l2"},
        {"norm": "l2", "alpha_max": 0.5, "eta": 1.3, "beta": 0.6},
    ],
    ids=str,
)
def test_fab_makes_the_images_of_its_formulas(net, options):
    outcomes = set()
    # An L2 ball that holds as many of the boundaries is larger.
    scale = 2.0 if "norm" in options else 1.0
    for epsilon, rank in ((0.1, 0), (0.2, 0), (0.2, 2), (0.4, 1)):
        attack = TargetedFAB(epsilon=scale * epsilon, steps=6, targets=3, **options)
        images = np.asarray(net.perturb(attack, step=rank).images)
        for b in range(len(net.x)):
            expected = numpy_fab(net, attack, b, rank)
            np.testing.assert_allclose(images[b], expected, atol=2e-5)
            outcomes.add(bool((expected != net.x[b]).any()))
    assert outcomes == {True, False}


def test_fab_finds_the_distance_of_a_linear_boundary_and_no_less():
    rng = np.random.default_rng(2)
    x = rng.uniform(-0.2, 1.2, (20, *SHAPE)).clip(0, 1).astype("float32")
    weights = rng.normal(size=SHAPE)
    # A bias for each image puts its boundary at a distance of exactly 0.1, the box respected.
    room = np.where(weights > 0, x, 1 - x)
    margins = (np.abs(weights) * np.minimum(room, 0.1)).sum(axis=(1, 2, 3))
    biases = tensor(margins - (weights * x).sum(axis=(1, 2, 3)), "float32")
    assert (room < 0.1).any(axis=(1, 2, 3)).sum() > 5

    def logits_fn(images):
        margin = ops.sum(images * tensor(weights, "float32"), axis=(1, 2, 3)) + biases
        return ops.stack([margin, ops.zeros_like(margin)], axis=1)

    for epsilon, found in ((0.0998, False), (0.101, True)):
        run = compile_native(TargetedFAB(epsilon=epsilon, steps=20, targets=1), logits_fn, 0)
        images = run(
            tensor(x),
            ops.zeros(20, "int32"),
            ops.arange(20),
            tensor(0),
        )
        np.testing.assert_array_equal(np.argmax(logits_fn(images), axis=1), int(found))


def test_a_round_goes_for_the_rival_of_its_rank_and_starts_again_after_the_last(net):
    attack = TargetedFAB(epsilon=0.1, targets=5)
    assert attack.rounds == 5
    logits = net.logits(net.x)
    ranked = np.argsort(-logits, axis=1)[:, 1:]  # the true class is the first
    for step, rank in enumerate([0, 1, 2, 0, 1, 0, 1, 2, 0, 1]):
        for number in (step, tensor(step)):
            noise = Noise(0, number, np.arange(len(net.x)))
            target = attack.target_class(tensor(logits), tensor(net.labels), noise)
            np.testing.assert_array_equal(target, ranked[:, rank])


def test_the_first_restart_starts_at_the_clean_image_and_later_ones_half_way_out(net):
    attack = TargetedFAB(epsilon=0.2, targets=3)

    def start(step, seed=0):
        return np.asarray(attack.start(tensor(net.x), Noise(seed, step, np.arange(10))))

    for step in (0, 2):
        np.testing.assert_array_equal(start(step), net.x)
    distance = np.abs(start(3) - net.x)
    assert distance.max() == pytest.approx(0.1, abs=1e-6)
    assert (distance.max(axis=(1, 2, 3)) > 0.01).all()
    assert start(3).min() >= 0 and start(3).max() <= 1
    np.testing.assert_array_equal(start(3), start(tensor(3)))
    for other in (start(4), start(6), start(3, seed=1)):
        assert np.any(other != start(3))


def test_what_is_returned_is_turned_and_in_the_ball_or_the_clean_image(net):
    attack = TargetedFAB(epsilon=0.2, steps=10, targets=3)
    images = np.asarray(net.perturb(attack).images)
    assert images.dtype == np.float32
    assert images.min() >= 0 and images.max() <= 1
    changed = (images != net.x).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(changed, net.logits(images).argmax(axis=1) != net.labels)
    assert 0 < changed.sum() < len(net.x)
    assert np.abs(images - net.x).max() <= 0.2


def test_a_misclassified_image_comes_back_as_it_is(net):
    wrong = (net.labels + 1) % NUM_CLASSES
    attack = TargetedFAB(epsilon=0.5, steps=5)
    images = attack.perturb(
        net.logits_fn,
        tensor(net.x),
        tensor(wrong),
        Noise(0, 0, np.arange(10)),
    ).images
    np.testing.assert_array_equal(images, net.x)


def test_fab_makes_the_same_images_whatever_the_batch(net):
    """Also where the rest of the batch keeps the loop going after an image is turned."""
    run = compile_native(TargetedFAB(epsilon=0.3, steps=10, targets=3), net.logits_fn, 0)
    data = net.x, net.labels, np.arange(len(net.x), dtype="int32")
    for step in (0, 3):
        together = np.asarray(run(*map(tensor, data), tensor(step)))
        for b in range(len(net.x)):
            alone = run(
                *(tensor(part[b : b + 1]) for part in data),
                tensor(step),
            )
            np.testing.assert_allclose(alone[0], together[b], atol=1e-5)
    # One turned and one that is not: the loop goes on after the first.
    assert 0 < (together != net.x).any(axis=(1, 2, 3)).sum() < len(net.x)


@pytest.mark.tensorflow("it counts calls, of which JAX traces one for a loop")
def test_the_loop_ends_when_all_images_are_turned(net):
    def calls(epsilon):
        count = []

        def counted(x):
            count.append(1)
            return net.logits_fn(x)

        attack = TargetedFAB(epsilon=epsilon, steps=12, targets=3)
        noise = Noise(0, 0, np.arange(10))
        images = attack.perturb(counted, tensor(net.x), tensor(net.labels), noise).images
        return len(count), (net.logits(np.asarray(images)).argmax(axis=1) != net.labels).all()

    # One pass at the clean images for the targets, one at the start, then one for each step.
    assert calls(0.01) == (1 + 1 + 12, False)
    passes, all_turned = calls(1.0)
    assert all_turned and passes < 14


@pytest.fixture(scope="module")
def trained(digits):
    (x, y), (x_test, y_test) = digits
    keras.utils.set_random_seed(0)
    model = digits_classifier()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=6, batch_size=64, verbose=0)
    logits_fn = evaluation_logits(model)
    right = np.flatnonzero(np.argmax(logits_fn(x_test), axis=1) == y_test)[:120]
    return logits_fn, x_test[right], y_test[right].astype("int32")


def test_fab_is_about_as_strong_as_pgd_on_a_trained_network(trained):
    logits_fn, x, y = trained
    robust = {}
    for attack in (PGD(epsilon=0.1), TargetedFAB(epsilon=0.1, steps=40, targets=4)):
        run = compile_native(attack, logits_fn, 0)
        robust[attack.kind] = np.ones(len(x), bool)
        for step in range(attack.rounds):
            images = run(
                tensor(x),
                tensor(y),
                ops.arange(len(x)),
                tensor(step),
            )
            assert np.abs(images - x).max() <= 0.1 + 1e-6
            robust[attack.kind] &= np.argmax(logits_fn(images), axis=1) == y
    assert 10 < robust["pgd"].sum() < 110
    # It looks for the nearest image, not for the worst in the ball; 2 of 120 is the tolerance.
    assert robust["fab-t"].sum() <= robust["pgd"].sum() + 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epsilon", 0),
        ("steps", 0),
        ("targets", 0),
        ("alpha_max", 1.5),
        ("alpha_max", -0.1),
        ("eta", 0.9),
        ("beta", 0.0),
        ("beta", 1.1),
    ],
)
def test_bad_options_of_fab_are_refused_with_what_was_received(name, value):
    with pytest.raises(ValueError, match=f"^`{name}` .*Received: {name}={value!r}$"):
        TargetedFAB(**{"epsilon": 0.3, name: value})


def test_fab_is_restored_from_its_configuration():
    attack = TargetedFAB(epsilon=0.2, steps=7, targets=3, alpha_max=0.2, eta=1.1, beta=0.8)
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(attack))
    assert type(restored) is TargetedFAB
    assert vars(restored) == vars(attack) == attack.get_config()


@pytest.mark.parametrize("attack", [TargetedFAB, TargetedAPGD])
@pytest.mark.parametrize(("num_classes", "rounds"), [(2, 1), (3, 2), (9, 8), (10, 9), (100, 9)])
def test_there_is_a_round_for_each_rival_and_none_twice(attack, num_classes, rounds):
    nine = attack(epsilon=0.1)
    fitted = nine.for_classes(num_classes)
    assert fitted.rounds == rounds
    assert nine.rounds == 9 and attack(epsilon=0.1, targets=1).for_classes(5).rounds == 1


def test_a_report_and_a_call_have_no_more_rounds_than_rivals():
    keras.utils.set_random_seed(0)
    layers = [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    x = np.random.default_rng(0).random((4, *SHAPE), dtype="float32")
    y = np.asarray(model(x)).argmax(axis=1)
    attacks = [
        TargetedFAB(epsilon=0.01, steps=2),
        TargetedAPGD(epsilon=0.01, steps=2),
        Transfer(TargetedFAB(epsilon=0.01, steps=2), model),
    ]
    report = evaluate_robustness(model, (x, y), attacks, progress=False)
    assert [(result.rounds, result.budget) for result in report.attacks] == [(1, "2 steps")] * 3
    assert [result["rounds"] for result in report.to_dict()["attacks"]] == [1, 1, 1]
    once = TargetedFAB(epsilon=0.01, steps=2, targets=1)(model, x, y)
    np.testing.assert_array_equal(attacks[0](model, x, y), once)
