"""Every kind of layer that networks here and of `keras.applications` have leaves in every form."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_efgsm.export import FORMS, export_classifier, export_run
from keras_efgsm.networks import CLASSIFIERS, denoising_block
from keras_efgsm.networks.answers import random_images
from keras_efgsm.networks.precision import dtype_policy_scope, float32_twin

SHAPE = (12, 12, 3)
NAMES = ["a", "b", "c"]


@keras.saving.register_keras_serializable("test_every_layer")
class Gate(layers.Layer):
    """A layer of one's own, with a weight and with layers that it makes itself."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(4, activation="gelu")

    def build(self, shape):
        self.dense.build(shape)
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

    def call(self, x):
        return self.dense(x) * self.scale


def many_layers():
    """In blocks that begin at the same images, so that no layer sees the faults of many before."""
    keras.utils.set_random_seed(1)
    image = keras.Input(SHAPE)
    x = layers.Normalization(mean=[0.5, 0.4, 0.6], variance=[0.1, 0.2, 0.3])(image)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    blocks = [layers.Activation(name)(x) for name in ("gelu", "silu", "hard_swish", "elu", "celu")]
    blocks += [layers.LayerNormalization()(x), layers.GroupNormalization(2)(x)]
    blocks += [layers.DepthwiseConv2D(3, padding="same")(x), Gate()(x)]
    blocks += [layers.Conv2D(4, 3, padding="same", groups=2)(x), layers.PReLU()(x)]
    blocks += [layers.Lambda(lambda z: keras.ops.sign(z) + z)(x), x]
    x = layers.Add()(blocks)
    x = layers.Resizing(8, 8)(layers.SpatialDropout2D(0.1)(x))
    x = layers.MaxPooling2D(2)(layers.ZeroPadding2D(1)(x))
    squeezed = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Multiply()([x, layers.Dense(4, activation="hard_sigmoid")(squeezed)])
    x = denoising_block(x)
    # Down to maps of one pixel, on which the layers after it are convolutions still.
    for _ in range(3):
        x = layers.Conv2D(6, 3, strides=2, padding="same", activation="leaky_relu")(x)
    x = layers.Conv2D(6, 3, padding="same")(x)
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    for weight in model.weights:
        # Of a new block of denoising, which would be left out unseen.
        if weight.path.endswith("gamma") and not np.any(weight):
            weight.assign(np.ones(weight.shape))
    return model


@pytest.mark.slow(reason="converts forty layers to six forms")
def test_every_layer_leaves_in_every_form(tmp_path):
    classifier, images = many_layers(), random_images(SHAPE, 16)
    result = export_classifier(
        classifier, tmp_path / "m", class_names=NAMES, representative_images=images
    )
    assert result.skipped == {} and list(result.files) == list(FORMS)
    assert max(result.differences[form] for form in ("tflite", "onnx", "openvino")) <= 1e-5
    assert np.ptp(classifier(images, training=False), axis=0).max() > 1e-3


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_leaves_as_its_twin_in_float32(policy, tmp_path):
    keras.utils.set_random_seed(2)
    with dtype_policy_scope(policy):
        stack = [
            keras.Input(SHAPE),
            layers.Normalization(mean=[0.5, 0.4, 0.6], variance=[0.1, 0.2, 0.3]),
            layers.Lambda(lambda z: 2.0 * z - 1.0),
            layers.Conv2D(4, 3, activation="gelu"),
            layers.BatchNormalization(),
            Gate(),
            layers.Flatten(),
            layers.Dense(3),
        ]
    classifier = keras.Sequential(stack)
    forms = ["tflite", "onnx"]
    result = export_classifier(classifier, tmp_path / "m", class_names=NAMES, forms=forms)
    assert max(result.differences.values()) <= 1e-5
    twin = float32_twin(classifier)
    for form, file in result.files.items():
        for count in (1, 3, 17):
            images = random_images(SHAPE, count)
            difference = FORMS[form].load(file).logits(images) - twin(images, training=False)
            assert np.abs(difference).max() <= 1e-5


@pytest.mark.parametrize("name", ["threshold-deep", "strided-narrow"])
def test_a_registered_network_leaves_as_onnx_with_one_input(name, tmp_path):
    import onnx

    classifier = CLASSIFIERS[name]((8, 8, 3), 3, activation="gelu")
    result = export_classifier(classifier, tmp_path / "m", class_names=NAMES, forms=["onnx"])
    (entry,) = onnx.load(str(result.files["onnx"])).graph.input
    assert entry.name == "image" and result.differences["onnx"] <= 1e-5


def test_a_keras_file_with_a_layer_of_ones_own_leaves_as_well(tmp_path):
    stack = [keras.Input((8, 8, 1)), layers.Rescaling(2.0, -1.0), Gate()]
    classifier = keras.Sequential([*stack, layers.Flatten(), layers.Dense(3)])
    classifier.save(tmp_path / "own.keras")
    forms = ["tflite", "onnx"]
    result = export_run(tmp_path / "own.keras", tmp_path / "m", class_names=NAMES, forms=forms)
    assert max(result.differences.values()) <= 1e-5
