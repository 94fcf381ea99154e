"""Models in other forms read as classifiers: one logit, a softmax, several outputs, a subclass."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_efgsm.attacks import FGSM
from keras_efgsm.evaluation import EvaluatedModel, load_classifier
from keras_efgsm.networks import with_logits
from keras_efgsm.networks.answers import random_images
from keras_efgsm.networks.outputs import choose_output, logits_of_probabilities, two_logits
from keras_efgsm.networks.requirements import read_contract
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

SHAPE, CLASSES = (3, 4, 1), 5
X = random_images(SHAPE, 6)


def ending(*ends):
    """A functional model that ends in layers or operations."""
    images = keras.Input(SHAPE)
    features = layers.Flatten()(images)
    for end in ends:
        features = end(features)
    return keras.Model(images, features)


def dense(units=CLASSES, **options):
    return layers.Dense(units, bias_initializer="normal", **options)


def pre_activation(model):
    """The logits in float64 NumPy: all these models are one layer."""
    kernel, *bias = (np.array(v, "float64") for v in model.weights)
    return X.reshape(len(X), -1).astype("float64") @ kernel + (bias[0] if bias else 0.0)


class HiddenSoftmax(layers.Layer):
    """A softmax that no layer shows."""

    def call(self, logits):
        return ops.softmax(logits)


ENDS = {
    "a layer's activation": lambda: [dense(activation="softmax")],
    "a Softmax": lambda: [dense(), layers.Softmax()],
    "an Activation": lambda: [dense(use_bias=False), layers.Activation("softmax")],
    "an operation": lambda: [dense(), ops.softmax],
    "an activation that is a layer": lambda: [dense(activation=layers.Softmax())],
    "a model within, then an Identity": lambda: [
        keras.Sequential([keras.Input((12,)), dense(activation="softmax")]),
        layers.Identity(),
    ],
    "a sigmoid for each class": lambda: [dense(activation="sigmoid")],
}


@pytest.mark.parametrize("case", ENDS)
def test_what_is_left_without_its_softmax_are_the_exact_logits_of_the_same_variables(case):
    model = ending(*ENDS[case]())
    with pytest.raises(ValueError, match=r"ends in s.*mo.*output=.probabilities"):
        load_classifier(model)
    classifier = with_logits(model, output="probabilities")
    np.testing.assert_allclose(classifier(X), pre_activation(model), rtol=1e-5, atol=1e-5)
    assert all(v is w for v, w in zip(classifier.variables, model.variables, strict=True))
    loaded = load_classifier(model, output="probabilities")
    kind = "sigmoid" if "sigmoid" in case else "softmax"
    assert loaded.description.endswith(f"without its {kind}") and loaded.doubts == ()


def test_a_softmax_that_cannot_be_taken_off_leaves_logarithms_and_a_doubt():
    model = ending(dense(), HiddenSoftmax())
    with pytest.raises(ValueError, match=r"outputs are probabilities; say.*--output probabilities"):
        load_classifier(model)
    with pytest.warns(UserWarning, match="logarithms of its probabilities.*gradient is lost"):
        classifier = with_logits(model, output="probabilities")
    logits = pre_activation(model)
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(classifier(X), expected, rtol=1e-4, atol=1e-4)
    loaded = load_classifier(model, output="probabilities")
    assert "log of its probabilities" in loaded.description and len(loaded.doubts) == 1


def test_logits_are_not_taken_for_probabilities_on_request_either():
    with pytest.raises(ValueError, match="leave it out for one that returns logits.*Received"):
        with_logits(ending(dense()), output="probabilities")
    with pytest.raises(ValueError, match="output"):
        with_logits(ending(dense()), output="odds")


def test_one_logit_is_read_as_two_whose_cross_entropy_is_the_binary_one():
    model = ending(dense(1))
    classifier = with_logits(model)
    z = pre_activation(model)[:, 0]
    np.testing.assert_allclose(classifier(X), np.stack([0 * z, z], axis=1), atol=1e-6)
    labels = np.arange(6) % 2
    binary = np.log1p(np.exp(np.where(labels == 1, -z, z)))
    found = keras.losses.sparse_categorical_crossentropy(labels, classifier(X), from_logits=True)
    np.testing.assert_allclose(found, binary, rtol=1e-5)
    assert two_logits(ops.ones((3,))).shape == (3, 2)
    assert classifier.variables[0] is model.variables[0]
    np.testing.assert_allclose(load_classifier(model).logits_fn(X), classifier(X))


@pytest.mark.parametrize("labels", [(6,), (6, 1)])
def test_an_attack_on_one_logit_is_that_on_the_linear_classifier_by_hand(labels):
    model = ending(dense(1))
    truth = np.arange(6) % 2
    kernel = np.array(model.weights[0]).reshape(SHAPE)
    towards = np.where(truth == 1, -1.0, 1.0)[:, None, None, None] * np.sign(kernel)
    found = FGSM(epsilon=0.1)(model, X, truth.reshape(labels))
    np.testing.assert_allclose(found, np.clip(X + 0.1 * towards, 0, 1), atol=1e-6)


def test_a_sigmoid_is_refused_until_it_is_said_to_be_one():
    model = ending(dense(1, activation="sigmoid"))
    for ask in (load_classifier, lambda m: FGSM(epsilon=0.1)(m, X, np.arange(6) % 2)):
        with pytest.raises(ValueError, match="ends in sigmoid.*--output probabilities"):
            ask(model)
    z = pre_activation(model)
    np.testing.assert_allclose(
        with_logits(model, output="probabilities")(X), np.hstack([0 * z, z]), atol=1e-6
    )
    function = EvaluatedModel(lambda images: model(images), SHAPE, 2, "a function")
    with pytest.raises(ValueError, match="its one output is a probability.*--output logits"):
        load_classifier(function)
    said = load_classifier(function, output="probabilities")
    np.testing.assert_allclose(said.logits_fn(X), np.hstack([0 * z, z]), atol=1e-4)
    assert said.doubts and said.identity() != load_classifier(function, output="logits").identity()


def test_a_logit_that_happens_to_lie_in_0_to_1_is_one_all_the_same():
    model = ending(dense(1))
    model.set_weights([np.full((12, 1), 0.01), np.array([0.3])])
    assert load_classifier(model).num_classes == 2
    model.set_weights([np.zeros((12, 1)), np.zeros(1)])  # a last layer that begins with zeros
    assert load_classifier(model).num_classes == 2


def test_probabilities_that_round_to_0_and_1_have_finite_logits():
    found = np.array(logits_of_probabilities(ops.convert_to_tensor([0.0, 0.5, 1.0])))
    assert np.isfinite(found).all() and found[1, 1] == 0.0 and found[0, 1] == -found[2, 1] < -80
    assert np.isfinite(logits_of_probabilities(ops.convert_to_tensor([[0.0, 1.0]]))).all()


def several(form):
    images = keras.Input(SHAPE)
    features = layers.Flatten()(images)
    logits, other = dense(name="head")(features), dense(2, name="aux")(features)
    forms = {
        "named": {"aux": other, "logits": logits},
        "others": {"aux": other, "classes": logits},
        "one": {"classes": logits},
        "list": [other, logits],
    }
    return keras.Model(images, forms[form])


@pytest.mark.parametrize(
    ("form", "name"),
    [("named", None), ("one", None), ("others", "classes"), ("list", "head")],
)
def test_of_several_outputs_the_logits_are_taken(form, name):
    model = several(form)
    classifier = with_logits(model, output_name=name)
    head = model.get_layer("head")
    expected = X.reshape(6, -1) @ np.array(head.kernel) + np.array(head.bias)
    np.testing.assert_allclose(classifier(X), expected, rtol=1e-5, atol=1e-6)
    assert load_classifier(model, output_name=name).num_classes == CLASSES
    if name is None:
        found = FGSM(epsilon=0.1)(model, X, np.arange(6) % 5)
        np.testing.assert_array_equal(found, FGSM(epsilon=0.1)(classifier, X, np.arange(6) % 5))


@pytest.mark.parametrize("form", ["others", "list"])
def test_where_nothing_tells_which_output_it_is_it_must_be_said(form):
    with pytest.raises(ValueError, match=r"--output-name.*Received"):
        load_classifier(several(form))
    with pytest.raises(ValueError, match="output_name"):
        FGSM(epsilon=0.1)(several(form), X, np.arange(6) % 2)
    with pytest.raises(ValueError, match="must be one of aux.*Received: output_name='else'"):
        load_classifier(several(form), output_name="else")
    with pytest.raises(ValueError, match="but there is one. Received: output_name='else'"):
        choose_output(1.0, "else")


@keras.saving.register_keras_serializable(package="tests_with_logits")
class Subclassed(keras.Model):
    """A classifier that says nothing of its shapes before it is called."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flatten, self.dropout = layers.Flatten(), layers.Dropout(0.5)
        # As many models call their last layers.
        self.classifier = keras.Sequential([dense()])

    def call(self, images, training=None):
        return self.classifier(self.dropout(self.flatten(images), training=training))


def test_a_subclassed_model_becomes_a_functional_one_of_its_own_weights():
    model = Subclassed()
    with pytest.raises(ValueError, match="`image_shape` must be given.*Received: model=Subclassed"):
        load_classifier(model)
    classifier = with_logits(model, image_shape=SHAPE)
    np.testing.assert_allclose(classifier(X), pre_activation(model), rtol=1e-5, atol=1e-5)
    assert read_contract(classifier).image_shape == SHAPE
    # Once it is built it says its shape itself.
    assert load_classifier(model).image_shape == SHAPE
    AdversarialTrainer(classifier, epsilon=0.1)
    with pytest.raises(ValueError, match=r"subclassed.*with_logits\(model, image_shape"):
        AdversarialTrainer(model, epsilon=0.1)


class Eager(keras.Model):
    """A model whose call looks at the values of its images."""

    def call(self, images):
        return ops.convert_to_tensor(np.asarray(images).reshape(len(images), -1)[:, :CLASSES])


def test_a_model_that_is_no_graph_is_refused_with_the_reason():
    with pytest.raises(
        ValueError, match="must map a symbolic `keras.Input`.*Received: model=Eager"
    ):
        load_classifier(Eager(), image_shape=SHAPE)


def test_a_model_of_images_of_any_size_takes_those_of_the_data():
    images = keras.Input((None, None, 1))
    model = keras.Model(images, dense()(layers.GlobalAveragePooling2D()(images)))
    assert load_classifier(model, image_shape=SHAPE).image_shape == SHAPE
    with pytest.raises(ValueError, match="built for one input"):
        load_classifier(model)


@pytest.mark.parametrize("model", [ending(dense(1)), several("named")], ids=["one", "several"])
def test_a_trainer_names_what_makes_a_classifier_of_it(model):
    with pytest.raises(ValueError, match=r"with_logits\(model\)` makes such a classifier"):
        AdversarialTrainer(model, epsilon=0.1)


def test_a_model_and_its_classifier_without_softmax_are_trained_together():
    model = ending(dense(activation="softmax"))
    classifier = with_logits(model, output="probabilities")
    before = np.array(model(X))
    trainer = AdversarialTrainer(classifier, epsilon=0.1)
    trainer.fit(X, np.arange(6) % CLASSES, epochs=1, verbose=0)
    assert np.abs(np.array(model(X)) - before).max() > 1e-5
    np.testing.assert_allclose(model(X), ops.softmax(classifier(X)), rtol=1e-5)


def test_a_classifier_of_one_logit_is_saved_with_layers_of_keras_alone(tmp_path):
    classifier = with_logits(ending(dense(1)))
    classifier.save(tmp_path / "a.keras")
    again = keras.models.load_model(tmp_path / "a.keras", custom_objects={})
    np.testing.assert_allclose(again(X), classifier(X))
