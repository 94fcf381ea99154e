import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_tensor as tensor

from keras_efgsm.objectives import (
    AdversarialCrossEntropy,
    Examples,
    GradientRegularisation,
    JointReconstruction,
    LogitConsistency,
    LogitPairing,
    NuclearNorm,
    Trades,
)

LOGITS = np.array([[2.0, 0.0, -1.0], [0.5, 1.0, 0.0]])
LABELS = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
START_LOGITS = LOGITS + np.array([[0.5, -0.5, 1.0], [0.0, 2.0, 0.0]])
X = np.array([[0.0, 0.2, 0.4, 0.6], [1.0, 0.5, 0.5, 0.0]]).reshape(2, 2, 2, 1)
X_ADV = X * 0.5 + 0.3
REBUILT = np.array([[0.1, 0.2, 0.0, 1.0], [0.5, 0.5, 1.0, 0.0]]).reshape(2, 2, 2, 1)
# Squared errors: .01 + 0 + .16 + .16 = .33 and .25 + 0 + .25 + 0 = .5, of four pixels each.
SQUARED_ERRORS = np.array([0.0825, 0.125])


def cross_entropies(smoothing):
    """Cross-entropies `(2,)` with labels written out."""
    true, other = 1.0 - smoothing + smoothing / 3, smoothing / 3
    smooth = np.array([[true, other, other], [other, other, true]])
    log_p = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
    return -(smooth * log_p).sum(axis=1)


def losses(objective, sample_weight=None, classifier=None, reconstructor=None):
    return objective.losses(
        classifier or (lambda images: tensor(LOGITS, "float32")),
        reconstructor or (lambda p: tensor(REBUILT, "float32")),
        Examples(
            tensor(X, "float32"),
            tensor(X_ADV, "float32"),
            tensor(LABELS, "float32"),
            None if sample_weight is None else tensor(sample_weight, "float32"),
            tensor(START_LOGITS, "float32"),
        ),
    )


def test_the_numbers_written_out_are_right():
    # ln(e^2 + 1 + e^-1) - 2 and ln(e^.5 + e + 1) - 0, to six digits
    np.testing.assert_allclose(cross_entropies(0.0), [0.169846, 1.680271], rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_adversarial_cross_entropy_is_the_mean_over_the_batch(smoothing):
    result = losses(AdversarialCrossEntropy(label_smoothing=smoothing))
    expected = cross_entropies(smoothing).mean()
    assert float(result.loss) == pytest.approx(expected, rel=1e-5)
    assert {k: float(v) for k, v in result.parts.items()} == {
        "classification_loss": pytest.approx(expected, rel=1e-5)
    }
    np.testing.assert_allclose(result.logits, LOGITS)


def test_adversarial_cross_entropy_weighs_samples():
    result = losses(AdversarialCrossEntropy(0.1), sample_weight=[2.0, 0.5])
    expected = (cross_entropies(0.1) * [2.0, 0.5]).sum() / 2
    assert float(result.loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weight", [0.05, 0.1, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("sample_weight", [None, [2.0, 0.5], [0.0, 1.0]])
def test_the_joint_loss_is_reconstruction_plus_lambda_times_classification(
    weight, smoothing, sample_weight
):
    objective = JointReconstruction(classification_weight=weight, label_smoothing=smoothing)
    result = losses(objective, sample_weight)
    w = np.array([1.0, 1.0] if sample_weight is None else sample_weight)
    classification = (w * cross_entropies(smoothing)).mean()
    reconstruction = (w * SQUARED_ERRORS).mean()
    assert {k: float(v) for k, v in result.parts.items()} == {
        "classification_loss": pytest.approx(classification, rel=1e-5),
        "reconstruction_loss": pytest.approx(reconstruction, rel=1e-5),
    }
    assert float(result.loss) == pytest.approx(reconstruction + weight * classification, rel=1e-5)
    np.testing.assert_allclose(result.logits, LOGITS)


# Objectives of two predictions: the classifier answers LOGITS for the adversarial images.
NATURAL = LOGITS + np.array([[0.0, 1.0, -0.5], [-1.0, 0.0, 2.0]])
WEIGHTS = pytest.mark.parametrize("sample_weight", [None, [2.0, 0.5], [0.0, 1.0]])
EVERY = (
    AdversarialCrossEntropy(),
    JointReconstruction(),
    Trades(),
    LogitPairing(),
    LogitConsistency(),
    GradientRegularisation(),
    NuclearNorm(),
)


def two_answers(images):
    """Other logits for the clean images than for the adversarial ones."""
    is_clean = np.allclose(images, X)
    assert is_clean or np.allclose(images, X_ADV)
    return tensor(NATURAL if is_clean else LOGITS, "float32")


def linear(kernel=None):
    """A classifier without a bias, of which gradients can be written out."""
    kernel = KERNEL if kernel is None else kernel
    return lambda images: ops.reshape(images, (2, 4)) @ ops.cast(kernel, "float32")


KERNEL = np.array([[1.0, -1.0, 0.5], [0.0, 2.0, -0.5], [1.5, 0.5, -1.0], [-2.0, 0.0, 1.0]])


def log_softmax(z):
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def smoothed_cross_entropies(z, smoothing):
    smooth = (1.0 - smoothing) * LABELS + smoothing / 3
    return -(smooth * log_softmax(z)).sum(axis=1)


def weighted(values, sample_weight):
    return (values * (1.0 if sample_weight is None else np.array(sample_weight))).sum() / 2


def assert_loss(result, weight, **parts):
    """The loss is the first part plus so many times the second one."""
    assert {k: float(v) for k, v in result.parts.items()} == {
        k: pytest.approx(v, rel=1e-4) for k, v in parts.items()
    }
    first, second = parts.values()
    assert second > 1e-3
    assert float(result.loss) == pytest.approx(first + weight * second, rel=1e-5)


@pytest.mark.parametrize("beta", [1.0, 6.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@WEIGHTS
def test_trades_is_natural_cross_entropy_plus_beta_times_the_divergence(
    beta, smoothing, sample_weight
):
    result = losses(Trades(beta, smoothing), sample_weight, two_answers)
    log_p, log_q = log_softmax(NATURAL), log_softmax(LOGITS)
    divergences = (np.exp(log_p) * (log_p - log_q)).sum(axis=1)
    assert_loss(
        result,
        beta,
        classification_loss=weighted(smoothed_cross_entropies(NATURAL, smoothing), sample_weight),
        divergence_loss=weighted(divergences, sample_weight),
    )
    np.testing.assert_allclose(result.logits, LOGITS)


def test_trades_has_a_gradient_through_both_predictions(gradients):
    """The natural prediction is in the cross-entropy as well as in the divergence."""

    def loss(natural, adversarial):
        def classifier(images):
            return natural * 1.0 if np.allclose(images, X) else adversarial * 1.0

        return losses(Trades(3.0), classifier=classifier).loss

    to_natural, to_adversarial = gradients(loss, NATURAL, LOGITS)
    p, q = (np.exp(log_softmax(z)) for z in (NATURAL, LOGITS))
    ratio = np.log(p / q)
    inner = p * (ratio - (p * ratio).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(to_natural, ((p - LABELS) + 3.0 * inner) / 2, atol=1e-6)
    np.testing.assert_allclose(to_adversarial, 3.0 * (q - p) / 2, atol=1e-6)


@pytest.mark.parametrize("weight", [0.5, 4.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@WEIGHTS
def test_logit_pairing_draws_the_logits_of_both_images_together(weight, smoothing, sample_weight):
    result = losses(LogitPairing(weight, smoothing), sample_weight, two_answers)
    both = [smoothed_cross_entropies(z, smoothing) for z in (NATURAL, LOGITS)]
    # Squared differences: 1 + .25 and 1 + 4, of three logits each.
    assert_loss(
        result,
        weight,
        classification_loss=weighted(sum(both) / 2, sample_weight),
        pairing_loss=weighted(np.array([1.25, 5.0]) / 3, sample_weight),
    )
    np.testing.assert_allclose(result.logits, LOGITS)


def test_logit_pairing_has_a_gradient_through_both_predictions(gradients):
    def pairing(natural, adversarial):
        def classifier(images):
            return natural * 1.0 if np.allclose(images, X) else adversarial * 1.0

        return losses(LogitPairing(), classifier=classifier).parts["pairing_loss"]

    expected = 2 * (NATURAL - LOGITS) / 3 / 2
    for gradient, sign in zip(gradients(pairing, NATURAL, LOGITS), (1, -1), strict=True):
        np.testing.assert_allclose(gradient, sign * expected, atol=1e-6)


@pytest.mark.parametrize("weight", [0.5, 10.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@WEIGHTS
def test_logit_consistency_holds_the_logits_to_those_of_the_start(weight, smoothing, sample_weight):
    result = losses(LogitConsistency(weight, smoothing), sample_weight)
    # Squared differences: .25 + .25 + 1 and 4, of three logits each.
    assert_loss(
        result,
        weight,
        classification_loss=weighted(cross_entropies(smoothing), sample_weight),
        consistency_loss=weighted(np.array([1.5, 4.0]) / 3, sample_weight),
    )
    np.testing.assert_allclose(result.logits, LOGITS)


def test_logit_consistency_has_a_gradient_through_both_logits(gradients):
    images, labels = (
        tensor(X_ADV, "float32"),
        tensor(LABELS, "float32"),
    )

    def consistency(logits, start):
        examples = Examples(images, images, labels, None, start * 1.0)
        result = LogitConsistency().losses(lambda images: logits * 1.0, None, examples)
        return result.parts["consistency_loss"]

    expected = 2 * (LOGITS - START_LOGITS) / 3 / 2
    for gradient, sign in zip(gradients(consistency, LOGITS, START_LOGITS), (1, -1), strict=True):
        np.testing.assert_allclose(gradient, sign * expected, atol=1e-6)


@pytest.mark.parametrize("weight", [0.5, 4.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@WEIGHTS
def test_the_nuclear_norm_is_the_sum_of_the_singular_values_of_the_change(
    weight, smoothing, sample_weight
):
    result = losses(NuclearNorm(weight, smoothing), sample_weight, two_answers)
    rows = LOGITS - NATURAL
    if sample_weight is not None:
        rows = rows * np.array(sample_weight)[:, None]
    assert_loss(
        result,
        weight,
        classification_loss=weighted(smoothed_cross_entropies(NATURAL, smoothing), sample_weight),
        nuclear_loss=np.linalg.svd(rows, compute_uv=False).sum() / 2,
    )
    np.testing.assert_allclose(result.logits, LOGITS)


def test_the_nuclear_norm_of_a_matrix_whose_singular_values_are_known():
    """3 and 4 along the axes of the classes, over a batch of two images."""
    change = np.array([[0.0, 3.0, 0.0], [-4.0, 0.0, 0.0]])

    def classifier(images):
        return tensor(change if np.allclose(images, X_ADV) else np.zeros((2, 3)), "float32")

    parts = losses(NuclearNorm(), classifier=classifier).parts
    assert float(parts["nuclear_loss"]) == pytest.approx((3 + 4) / 2, rel=1e-5)


@WEIGHTS
def test_the_nuclear_norm_has_a_gradient_through_both_predictions(gradients, sample_weight):
    """`U V^T` of the singular value decomposition; rows are weighted before it."""

    def nuclear(natural, adversarial):
        def classifier(images):
            return natural * 1.0 if np.allclose(images, X) else adversarial * 1.0

        return losses(NuclearNorm(), sample_weight, classifier).parts["nuclear_loss"]

    rows = np.ones((2, 1)) if sample_weight is None else np.array(sample_weight)[:, None]
    # Of a row that does not count the direction is anything, but its weight is zero.
    u, values, v = np.linalg.svd(rows * (LOGITS - NATURAL), full_matrices=False)
    rank = int((values > 1e-9).sum())
    expected = rows * (u[:, :rank] @ v[:rank]) / 2
    assert np.abs(expected).max() > 0.1
    for gradient, sign in zip(gradients(nuclear, NATURAL, LOGITS), (-1, 1), strict=True):
        np.testing.assert_allclose(gradient, sign * expected, atol=1e-5)


def test_the_nuclear_norm_of_no_change_has_a_finite_gradient(gradients):
    """The attack of a first step may leave a batch as it is."""

    def nuclear(logits):
        return losses(NuclearNorm(), classifier=lambda images: logits * 1.0).loss

    (gradient,) = gradients(nuclear, LOGITS)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("weight", [1.0, 30.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@WEIGHTS
def test_gradient_regularisation_adds_the_squared_norm_of_the_images_gradient(
    weight, smoothing, sample_weight
):
    result = losses(GradientRegularisation(weight, smoothing), sample_weight, linear())
    z = X_ADV.reshape(2, 4) @ KERNEL
    # The images' gradient is that of the cross-entropy of each image alone, labels not smoothed.
    gradients = (np.exp(log_softmax(z)) - LABELS) @ KERNEL.T
    assert_loss(
        result,
        weight,
        classification_loss=weighted(smoothed_cross_entropies(z, smoothing), sample_weight),
        gradient_loss=weighted((gradients**2).sum(axis=1), sample_weight),
    )
    np.testing.assert_allclose(result.logits, z, rtol=1e-5)


def test_gradient_regularisation_trains_the_weights_through_the_images_gradient(gradients):
    """Against central differences of the penalty in float64."""

    def penalty_of(kernel):
        result = losses(GradientRegularisation(), classifier=linear(kernel))
        return result.parts["gradient_loss"]

    (gradient,) = gradients(penalty_of, KERNEL)

    def penalty(kernel):
        z = X_ADV.reshape(2, 4) @ kernel
        return (((np.exp(log_softmax(z)) - LABELS) @ kernel.T) ** 2).sum(axis=1).mean()

    expected = np.zeros_like(KERNEL)
    for i in np.ndindex(KERNEL.shape):
        step = np.zeros_like(KERNEL)
        step[i] = 1e-5
        expected[i] = (penalty(KERNEL + step) - penalty(KERNEL - step)) / 2e-5
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected).max() > 0.1


OPTIONS = [
    (Trades, "beta", 1.0, 0.0),
    (LogitPairing, "pairing_weight", 0.5, 0.0),
    (LogitConsistency, "consistency_weight", 10.0, 0.1),
    (GradientRegularisation, "gradient_weight", 1.0, 0.0),
    (NuclearNorm, "nuclear_weight", 4.0, 0.0),
]


@pytest.mark.parametrize(("objective", "name", "default", "smoothing"), OPTIONS)
def test_objectives_are_restored_from_their_configuration(objective, name, default, smoothing):
    assert objective().get_config() == {name: default, "label_smoothing": smoothing}
    made = objective(**{name: 2.5, "label_smoothing": 0.3})
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    for again in (restored, objective.from_config(made.get_config())):
        assert type(again) is objective
        assert vars(again) == vars(made) == {name: 2.5, "label_smoothing": 0.3}


@pytest.mark.parametrize(("objective", "name", "default", "smoothing"), OPTIONS)
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "1", None])
def test_a_weight_out_of_range_is_refused(objective, name, default, smoothing, value):
    with pytest.raises(ValueError) as error:
        objective(**{name: value})
    assert str(error.value).startswith(f"`{name}` must be a finite number")
    assert str(error.value).endswith(f"Received: {name}={value!r}")


def test_only_the_weights_of_consistency_and_of_the_nuclear_norm_may_be_zero():
    assert LogitConsistency(0.0).consistency_weight == 0.0
    assert NuclearNorm(0.0).nuclear_weight == 0.0
    for objective in (Trades, LogitPairing, GradientRegularisation):
        with pytest.raises(ValueError, match="> 0"):
            objective(0.0)


def test_only_logit_consistency_needs_the_logits_of_the_start():
    assert [o for o in EVERY if o.needs_start_logits] == [EVERY[4]]


REGULARISED = [*(o for o in EVERY if o.regularizer_weight), JointReconstruction(0.3, 0.1, 5.0)]


def test_every_objective_with_a_weighted_term_names_its_weight():
    without = [o for o in EVERY if o.regularizer_weight is None]
    # Lambda weighs the classification against the reconstruction; neither is a regulariser.
    assert without == [EVERY[0], EVERY[1]]
    for objective in REGULARISED:
        assert objective.regularizer_weight in objective.get_config()


@pytest.mark.parametrize("objective", REGULARISED, ids=lambda o: type(o).__name__)
def test_a_scaled_objective_has_a_share_of_its_regulariser_and_leaves_the_first_alone(objective):
    config = objective.get_config()
    name = objective.regularizer_weight
    whole = type(objective)(**{**config, name: 0.25 * config[name]})
    expected = losses(whole, classifier=linear())
    # A tensor, as the share in a training step.
    found = losses(objective.scaled(tensor(0.25)), classifier=linear())
    assert float(found.loss) == pytest.approx(float(expected.loss), rel=1e-6)
    assert found.parts.keys() == expected.parts.keys()
    assert float(losses(objective, classifier=linear()).loss) > float(found.loss) + 1e-3
    assert objective.get_config() == config


def test_an_objective_without_a_regulariser_is_its_own_share():
    for objective in (EVERY[0], EVERY[1]):
        assert objective.scaled(tensor(0.25)) is objective


@pytest.mark.parametrize("objective", EVERY, ids=lambda o: type(o).__name__)
def test_the_parts_are_named_before_training_as_after(objective):
    result = losses(objective, classifier=linear())
    assert tuple(result.parts) == objective.part_names


@pytest.mark.parametrize("objective", [AdversarialCrossEntropy(), JointReconstruction()])
def test_the_classifier_sees_the_adversarial_images_once(objective):
    seen = []

    def classifier(images):
        seen.append(images)
        return tensor(LOGITS, "float32")

    losses(objective, classifier=classifier)
    (images,) = seen
    np.testing.assert_allclose(images, X_ADV, rtol=1e-6)


def test_the_reconstructor_sees_the_probabilities_and_nothing_else():
    seen = []

    def reconstructor(*args, **kwargs):
        seen.append((args, kwargs))
        return tensor(REBUILT, "float32")

    losses(JointReconstruction(), reconstructor=reconstructor)
    (((probabilities,), keywords),) = seen
    expected = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)
    assert keywords == {}


def test_the_reconstruction_is_of_the_clean_image():
    clean = lambda p: tensor(X, "float32")  # noqa: E731
    assert (
        float(losses(JointReconstruction(), reconstructor=clean).parts["reconstruction_loss"])
        == 0.0
    )


def test_a_reconstruction_in_half_precision_is_compared_in_float32():
    half = lambda p: tensor(REBUILT, "float16")  # noqa: E731
    result = losses(JointReconstruction(), reconstructor=half)
    assert result.loss.dtype == "float32"
    value = float(result.parts["reconstruction_loss"])
    assert value == pytest.approx(SQUARED_ERRORS.mean(), rel=2e-3)


def test_both_networks_are_trained_by_the_reconstruction(gradients):
    keras.utils.set_random_seed(0)
    classifier = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    reconstructor = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4), keras.layers.Reshape((2, 2, 1))]
    )
    weights = classifier.trainable_weights + reconstructor.trainable_weights

    def reconstruction(*values):
        with keras.StatelessScope(state_mapping=list(zip(weights, values, strict=True))):
            result = losses(JointReconstruction(), None, classifier, reconstructor)
        return result.parts["reconstruction_loss"]

    found = gradients(reconstruction, *(np.asarray(w) for w in weights))
    assert all(np.abs(gradient).max() > 1e-6 for gradient in found)


def test_only_the_joint_objective_needs_a_reconstructor():
    assert [o for o in EVERY if o.needs_reconstructor] == [EVERY[1]]


@pytest.mark.parametrize("value", [0.0, -0.1, float("nan"), float("inf"), "0.1", None])
def test_a_classification_weight_that_is_not_positive_is_refused(value):
    with pytest.raises(ValueError) as error:
        JointReconstruction(classification_weight=value)
    assert "`classification_weight` must" in str(error.value)
    assert str(error.value).endswith(f"Received: classification_weight={value!r}")


@pytest.mark.parametrize("objective", [type(o) for o in EVERY])
@pytest.mark.parametrize("value", [-0.1, 1.0, 1.5, float("nan"), "0.1"])
def test_a_label_smoothing_outside_0_to_1_is_refused(objective, value):
    with pytest.raises(ValueError) as error:
        objective(label_smoothing=value)
    assert "`label_smoothing` must" in str(error.value)
    assert str(error.value).endswith(f"Received: label_smoothing={value!r}")
