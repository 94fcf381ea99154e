"""What `--classifier` takes besides names: files, functions, applications of Keras."""

import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import keras_efgsm
from keras_efgsm.attacks import EFGSM, YOPO
from keras_efgsm.callbacks import WeightAveraging
from keras_efgsm.networks import CLASSIFIERS, build_classifier, check_classifier_spec, freeze_until
from keras_efgsm.networks.precision import (
    FixedPrecision,
    choose_dtype_policy,
    dtype_policy_scope,
    float32_twin,
)
from keras_efgsm.networks.specs import APPLICATIONS, read_application
from keras_efgsm.networks.splitting import split_after_first_layer
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

SHAPE = (8, 8, 1)
SMALL = "keras.applications:MobileNetV3Small"


def forward(model, inputs):
    return keras.ops.convert_to_numpy(model(inputs, training=False))


def images(shape=SHAPE, count=4):
    return np.random.default_rng(0).random((count, *shape), dtype="float32")


def with_batch_norm(shape=SHAPE, classes=10):
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(4, 3, strides=2, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.Conv2D(4, 3, name="second"),
            layers.Flatten(),
            layers.Dense(classes, name="last"),
        ],
        name="own",
    )


def nested(inner, shape=SHAPE, classes=10):
    """A model within another one, as Keras's guides on transfer learning make it."""
    inputs = keras.Input(shape)
    x = layers.Rescaling(2.0, -1.0)(inputs)
    x = layers.GlobalAveragePooling2D()(inner(x))
    return keras.Model(inputs, layers.Dense(classes, name="last")(x), name="outer")


def inner_model(shape=SHAPE):
    inputs = keras.Input(shape)
    x = layers.Conv2D(4, 3, name="inner_first")(inputs)
    x = layers.BatchNormalization(name="inner_norm")(x)
    return keras.Model(inputs, layers.Conv2D(6, 3, name="inner_second")(x), name="inner")


# What is no network.


@pytest.mark.parametrize(
    "spec",
    [
        *("strided", "cifar10-wrn22-5", "own/model.keras", "my_package.networks:small"),
        *(SMALL, f"{SMALL}:imagenet", f"{SMALL}:some/weights.h5", f"{SMALL}:other/model.keras"),
    ],
)
def test_each_of_the_four_ways_to_say_a_network_passes(spec):
    check_classifier_spec(spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("stridet", "the nearest: 'strided'"),
        ("zzzz", "such as 'conv2'"),
        ("model.h5", r"a path that ends in `\.keras`"),
        ("package.module", "a function `package.module:function`"),
        ("package:", "must be the name of a network"),
        ("keras.applications:MobileNetV3", "the nearest: 'MobileNet.*'"),
        ("keras.applications:mobilenetv3small", "the nearest: 'MobileNetV3Small'"),
        ("keras.applications:VGG16:", "must be `none`, `imagenet` or a path"),
        (None, "must be a string"),
        (3, "must be a string"),
    ],
)
def test_what_is_no_network_is_refused_with_the_nearest_names(spec, message):
    with pytest.raises(ValueError, match=rf"{message}.*Received: classifier={spec!r}"):
        check_classifier_spec(spec)


def test_a_spec_is_checked_without_importing_keras():
    package = Path(keras_efgsm.__file__).parent
    script = f"""
        import sys, types
        package = types.ModuleType("keras_efgsm")
        package.__path__ = [{str(package)!r}]
        sys.modules["keras_efgsm"] = package  # its own imports aside
        from keras_efgsm.networks import CLASSIFIERS, DTYPE_POLICIES, check_classifier_spec
        from keras_efgsm.networks import default_network
        check_classifier_spec("keras.applications:VGG16")
        check_classifier_spec(default_network((64, 64, 3), 100, 2))
        assert not {{"keras", "tensorflow", "jax"}} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


def test_the_table_of_applications_is_that_of_keras():
    there = {name for name in dir(keras.applications) if name[0].isupper()}
    assert set(APPLICATIONS) == there
    assert read_application(f"{SMALL}:a:b.h5") == ("MobileNetV3Small", "a:b.h5")


# Names.


def test_a_name_is_built_with_its_activation():
    model = build_classifier("conv2", (9, 7, 3), 4, activation="silu")
    assert (model.input_shape, model.output_shape) == ((None, 9, 7, 3), (None, 4))
    assert model.layers[1].activation.__name__ == "silu"


def test_a_registered_function_of_ones_own_is_checked(monkeypatch):
    monkeypatch.setitem(CLASSIFIERS, "mine", lambda shape, classes, activation: with_batch_norm())
    assert build_classifier("mine", SHAPE, 10).name == "own"
    with pytest.raises(ValueError, match="by `--image-size 8 8 --channels 1`"):
        build_classifier("mine", (9, 8, 3), 10)


# Files.


@pytest.fixture
def saved(tmp_path):
    model = with_batch_norm()
    model.save(tmp_path / "own.keras")
    return str(tmp_path / "own.keras"), model


def test_a_file_keeps_its_weights(saved):
    path, model = saved
    np.testing.assert_array_equal(
        forward(build_classifier(path, SHAPE, 10), images()), forward(model, images())
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((16, 12, 1), 10), r"\(8, 8, 1\), the data has \(16, 12, 1\).*by `--image-size 8 8`\."),
        (((8, 8, 3), 10), r"by `--channels 1`\."),
        ((SHAPE, 3), "has 10 logits, the data 3 classes; give it a last layer of 3"),
    ],
)
def test_a_file_of_other_images_or_classes_is_refused(saved, arguments, message):
    with pytest.raises(ValueError, match=message + ".*Received: classifier="):
        build_classifier(saved[0], *arguments)


def test_files_that_are_none_and_models_that_are_no_classifiers_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no `.keras` file here"):
        build_classifier(str(tmp_path / "none.keras"), SHAPE, 10)
    (tmp_path / "bad.keras").write_text("no zip")
    with pytest.raises(ValueError, match="damaged"):
        build_classifier(str(tmp_path / "bad.keras"), SHAPE, 10)
    softmax = keras.Sequential([with_batch_norm(), layers.Softmax()])
    softmax.save(tmp_path / "softmax.keras")
    with pytest.raises(ValueError, match="cannot be trained:.*ends in softmax"):
        build_classifier(str(tmp_path / "softmax.keras"), SHAPE, 10)


def test_code_in_a_file_is_not_run(tmp_path):
    model = keras.Sequential(
        [keras.Input(SHAPE), layers.Flatten(), layers.Lambda(lambda x: x), layers.Dense(10)]
    )
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(ValueError, match="holds code.*--unsafe"):
        build_classifier(str(tmp_path / "lambda.keras"), SHAPE, 10)


def test_a_training_wrapper_gives_its_classifier(tmp_path, new_trainer):
    trainer = new_trainer()
    trainer.save(tmp_path / "wrapper.keras")
    found = build_classifier(str(tmp_path / "wrapper.keras"), SHAPE, 10)
    np.testing.assert_array_equal(forward(found, images()), forward(trainer.classifier, images()))


def test_a_file_is_not_said_to_compute_in_another_precision(saved, monkeypatch):
    path, _ = saved
    with dtype_policy_scope("mixed_bfloat16"), pytest.raises(FixedPrecision, match="float32;"):
        build_classifier(path, SHAPE, 10)
    monkeypatch.setattr("keras_efgsm.networks.precision._bfloat16_flags", lambda: ["amx_bf16"])
    monkeypatch.setattr("keras_efgsm.networks.precision._seconds_of_step", lambda *_: 1.0)
    choice = choose_dtype_policy(lambda: build_classifier(path, SHAPE, 10))
    assert choice.policy == "float32" and "keeps the precision" in choice.reason


@pytest.mark.parametrize("spec", ["own.keras", "module:function", SMALL])
def test_only_networks_by_name_take_an_activation(spec):
    with pytest.raises(ValueError, match="networks by name.*activation='silu'"):
        build_classifier(spec, SHAPE, 10, activation="silu")


# Functions.


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "own_networks.py").write_text(
        textwrap.dedent("""
            import keras

            def small(image_shape, num_classes):
                layers = [keras.layers.Flatten(), keras.layers.Dense(num_classes)]
                return keras.Sequential([keras.Input(image_shape), *layers])

            def wrong(image_shape, num_classes):
                return small(image_shape, num_classes + 1)

            class Nets:
                small = staticmethod(small)

            def raising(image_shape, num_classes):
                raise KeyError("weights")

            number = 3
        """)
    )
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("own_networks", None)


def test_a_function_in_the_working_directory_is_called(own_module):
    path = list(sys.path)
    for spec in ("own_networks:small", "own_networks:Nets.small"):
        model = build_classifier(spec, (5, 4, 3), 7)
        assert (model.input_shape, model.output_shape) == ((None, 5, 4, 3), (None, 7))
    assert sys.path == path


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("own_networks:none", "has no function 'none'"),
        ("own_networks:number", "must be a function of image_shape and num_classes"),
        ("own_networks:wrong", "has 8 logits, the data 7 classes"),
        (
            "own_networks:raising",
            r"but raised KeyError in line \d+ of .*own_networks.py: 'weights'",
        ),
        ("os:getcwd", r"image_shape=\(5, 4, 3\), num_classes=7, but raised TypeError: .*argument"),
        ("no_such_module:small", "no module 'no_such_module'"),
        ("os.no_such:small", "no module 'os.no_such'"),
    ],
)
def test_functions_that_are_none_are_refused(own_module, spec, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: classifier={spec!r}"):
        build_classifier(spec, (5, 4, 3), 7)


# Freezing.


@pytest.mark.parametrize(
    ("make", "layer", "frozen"),
    [
        (with_batch_norm, "first", ["first"]),
        (with_batch_norm, "norm", ["first", "norm"]),
        (lambda: nested(inner_model()), "inner_norm", ["inner_first", "inner_norm"]),
        (lambda: nested(inner_model()), "inner", ["inner_first", "inner_norm", "inner_second"]),
    ],
)
def test_layers_up_to_one_are_frozen_within_models_too(make, layer, frozen):
    model = make()
    freeze_until(model, layer)
    found = [
        each.name
        for each in model._flatten_layers(include_self=False)
        if each.weights and not isinstance(each, keras.Model) and not each.trainable
    ]
    assert sorted(found) == frozen
    assert not any(f"/{name}/" in w.path for name in frozen for w in model.trainable_weights)


def test_a_layer_that_there_is_not_or_the_last_one_is_refused(saved):
    with pytest.raises(ValueError, match="the nearest: 'second'.*freeze_until='secnd'"):
        build_classifier(saved[0], SHAPE, 10, freeze_until="secnd")
    with pytest.raises(ValueError, match="leave layers to train.*freeze_until='last'"):
        build_classifier(saved[0], SHAPE, 10, freeze_until="last")


def test_frozen_layers_stay_as_they_are_in_training_after_saving_and_their_statistics_too(
    saved, small, tmp_path
):
    x, y = small
    model = build_classifier(saved[0], SHAPE, 10, freeze_until="norm")
    before = [w.copy() for name in ("first", "norm") for w in model.get_layer(name).get_weights()]
    trainer = AdversarialTrainer(model, EFGSM(epsilon=0.1), num_samples=len(x))
    trainer.compile(keras.optimizers.SGD(0.1))
    last = model.get_layer("last").get_weights()[0]
    trainer.fit(x, y, batch_size=50, verbose=0, callbacks=[WeightAveraging(0.5)])
    after = [w for name in ("first", "norm") for w in model.get_layer(name).get_weights()]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(model.get_layer("last").get_weights()[0] - last).max() > 0
    model.save(tmp_path / "frozen.keras")
    again = build_classifier(str(tmp_path / "frozen.keras"), SHAPE, 10)
    assert len(again.trainable_weights) == len(model.trainable_weights) == 4


# Models within models.


@pytest.mark.parametrize("deep", [False, True])
def test_a_classifier_is_cut_inside_the_model_that_comes_first(deep):
    inner = inner_model()
    if deep:
        inner = keras.Sequential([keras.Input(SHAPE), inner], name="around")
    model = nested(inner)
    first, rest = split_after_first_layer(model)
    x = images()
    np.testing.assert_allclose(forward(rest, forward(first, x)), forward(model, x), atol=1e-6)
    assert first.output_shape == (None, 6, 6, 4)
    shared = {id(w) for w in first.weights} | {id(w) for w in rest.weights}
    assert shared == {id(w) for w in model.weights}


def test_a_frozen_first_layer_is_the_first_layer_all_the_same():
    model = with_batch_norm()
    freeze_until(model, "first")
    assert split_after_first_layer(model).first.output_shape == (None, 3, 3, 4)


def test_a_nested_classifier_trains_by_yopo_and_has_a_twin_in_float32(small):
    x, y = small
    with dtype_policy_scope("mixed_bfloat16"):
        model = nested(inner_model())
    assert {w.dtype for w in float32_twin(model).weights} == {"float32"}
    model = nested(inner_model())
    before = model.get_weights()
    trainer = AdversarialTrainer(model, YOPO(epsilon=0.1, outer_steps=1, inner_steps=1))
    trainer.compile(keras.optimizers.SGD(0.1))
    trainer.fit(x, y, batch_size=100, verbose=0)
    assert any(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True))
