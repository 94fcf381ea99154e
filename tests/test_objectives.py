import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_efgsm.objectives import AdversarialCrossEntropy, Examples, JointReconstruction

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
        classifier or (lambda images: tf.constant(LOGITS, "float32")),
        reconstructor or (lambda p: tf.constant(REBUILT, "float32")),
        Examples(
            tf.constant(X, "float32"),
            tf.constant(X_ADV, "float32"),
            tf.constant(LABELS, "float32"),
            None if sample_weight is None else tf.constant(sample_weight, "float32"),
            tf.constant(START_LOGITS, "float32"),
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


@pytest.mark.parametrize("objective", [AdversarialCrossEntropy(), JointReconstruction()])
def test_the_parts_are_named_before_training_as_after(objective):
    assert tuple(losses(objective).parts) == objective.part_names


@pytest.mark.parametrize("objective", [AdversarialCrossEntropy(), JointReconstruction()])
def test_the_classifier_sees_the_adversarial_images_once(objective):
    seen = []

    def classifier(images):
        seen.append(images)
        return tf.constant(LOGITS, "float32")

    losses(objective, classifier=classifier)
    (images,) = seen
    np.testing.assert_allclose(images, X_ADV, rtol=1e-6)


def test_the_reconstructor_sees_the_probabilities_and_nothing_else():
    seen = []

    def reconstructor(*args, **kwargs):
        seen.append((args, kwargs))
        return tf.constant(REBUILT, "float32")

    losses(JointReconstruction(), reconstructor=reconstructor)
    (((probabilities,), keywords),) = seen
    expected = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)
    assert keywords == {}


def test_the_reconstruction_is_of_the_clean_image():
    clean = lambda p: tf.constant(X, "float32")  # noqa: E731
    assert (
        float(losses(JointReconstruction(), reconstructor=clean).parts["reconstruction_loss"])
        == 0.0
    )


def test_a_reconstruction_in_half_precision_is_compared_in_float32():
    half = lambda p: tf.constant(REBUILT, "float16")  # noqa: E731
    result = losses(JointReconstruction(), reconstructor=half)
    assert result.loss.dtype == "float32"
    value = float(result.parts["reconstruction_loss"])
    assert value == pytest.approx(SQUARED_ERRORS.mean(), rel=2e-3)


def test_both_networks_are_trained_by_the_reconstruction():
    keras.utils.set_random_seed(0)
    classifier = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    reconstructor = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4), keras.layers.Reshape((2, 2, 1))]
    )
    weights = classifier.trainable_weights + reconstructor.trainable_weights
    with tf.GradientTape() as tape:
        result = losses(JointReconstruction(), None, classifier, reconstructor)
        reconstruction = result.parts["reconstruction_loss"]
    gradients = tape.gradient(reconstruction, [w.value for w in weights])
    assert all(np.abs(gradient).max() > 1e-6 for gradient in gradients)


def test_only_the_joint_objective_needs_a_reconstructor():
    assert JointReconstruction.needs_reconstructor
    assert not AdversarialCrossEntropy.needs_reconstructor


@pytest.mark.parametrize("value", [0.0, -0.1, float("nan"), float("inf"), "0.1", None])
def test_a_classification_weight_that_is_not_positive_is_refused(value):
    with pytest.raises(ValueError) as error:
        JointReconstruction(classification_weight=value)
    assert "`classification_weight` must" in str(error.value)
    assert str(error.value).endswith(f"Received: classification_weight={value!r}")


@pytest.mark.parametrize("objective", [AdversarialCrossEntropy, JointReconstruction])
@pytest.mark.parametrize("value", [-0.1, 1.0, 1.5, float("nan"), "0.1"])
def test_a_label_smoothing_outside_0_to_1_is_refused(objective, value):
    with pytest.raises(ValueError) as error:
        objective(label_smoothing=value)
    assert "`label_smoothing` must" in str(error.value)
    assert str(error.value).endswith(f"Received: label_smoothing={value!r}")
