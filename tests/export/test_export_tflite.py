import keras
import numpy as np
import pytest

from keras_efgsm.export import (
    export_classifier,
    litert_runner,
    tflite,
    tflite_logits,
    write_tflite,
)
from keras_efgsm.export.litert_runner import TFLiteClassifier

SHAPE = (8, 8, 1)
QUANTIZATIONS = ("float16", "dynamic", "int8")


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(3)
    x = image = keras.Input(SHAPE)
    x = keras.layers.Conv2D(8, 3, activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    # Weights of less than 1024 numbers stay in float32 in the dynamic form.
    x = keras.layers.Dense(32, activation="relu")(keras.layers.Flatten()(x))
    return keras.Model(image, keras.layers.Dense(10)(x))


@pytest.fixture(scope="module")
def images(digits):
    return digits[0][0][:200]


@pytest.fixture(scope="module")
def files(classifier, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tflite")
    for name in (None, *QUANTIZATIONS):
        path = folder / f"{name}.tflite"
        write_tflite(classifier, path, quantization=name, representative_images=images)
    return {name: folder / f"{name}.tflite" for name in (None, *QUANTIZATIONS)}


def tensor_types(path):
    return [
        np.dtype(d["dtype"]).name for d in litert_runner.open_interpreter(path).get_tensor_details()
    ]


@pytest.mark.parametrize(
    ("quantization", "lowest", "highest"),
    [("float16", 1e-7, 1e-3), ("dynamic", 1e-4, 5e-2), ("int8", 1e-4, 5e-2)],
)
def test_a_quantised_file_answers_nearly_like_keras_and_not_exactly(
    quantization, lowest, highest, files, classifier, images
):
    expected = classifier(images, training=False).numpy()
    answers = tflite_logits(files[quantization], images)
    assert answers.dtype == np.float32
    # Exactly alike would mean that nothing was quantised.
    assert lowest < np.abs(answers - expected).max() / np.abs(expected).max() < highest
    assert (answers.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.9
    assert len(set(expected.argmax(axis=1))) > 1


def test_each_form_stores_and_computes_in_its_own_numbers(files):
    kinds = {name: tensor_types(path) for name, path in files.items()}
    assert "float16" not in kinds[None] and "int8" not in kinds[None]
    assert "float16" in kinds["float16"]
    assert "int8" in kinds["dynamic"]
    # Nothing is left in float anywhere, input and output included.
    assert not {"float32", "float16"} & set(kinds["int8"])
    assert [name for name, path in files.items() if tflite.is_all_integers(path)] == ["int8"]
    size = {name: path.stat().st_size for name, path in files.items()}
    assert size["float16"] < 0.65 * size[None]
    assert max(size["dynamic"], size["int8"]) < 0.5 * size[None]


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_quantised_files_take_any_batch_through_the_input_named_image(quantization, files, images):
    path = files[quantization]
    assert litert_runner.open_interpreter(path).get_signature_list() == {
        "serving_default": {"inputs": ["image"], "outputs": ["logits"]}
    }
    together = tflite_logits(path, images[:9])
    assert np.abs(together[:1] - tflite_logits(path, images[:1])).max() < 1e-5
    # The evaluation has a reader of its own.
    assert np.abs(together - TFLiteClassifier(path).logits(images[:9])).max() < 1e-5


def test_the_scales_of_the_integers_cover_the_pixels(files):
    entry, answer = tflite.tensor_scales(files["int8"])
    assert entry == (pytest.approx(1 / 255), -128)
    assert answer[0] > 0
    assert tflite.tensor_scales(files[None]) == ((0.0, 0), (0.0, 0))


def test_a_card_tells_where_an_operation_stayed_in_float(images, tmp_path):
    class Sine(keras.layers.Layer):
        def call(self, x):
            return keras.ops.sin(x)

    layers = [keras.Input(SHAPE), Sine(), keras.layers.Flatten(), keras.layers.Dense(3)]
    result = export_classifier(
        keras.Sequential(layers),
        tmp_path / "m",
        class_names=["a", "b", "c"],
        forms=["tflite-int8"],
        representative_images=images,
    )
    assert not tflite.is_all_integers(result.files["tflite-int8"])
    card = result.model_card.read_text()
    assert "float32 where LiteRT has no operation" in card and "throughout" not in card


def test_the_same_images_give_the_same_file(files, classifier, images, tmp_path):
    for name in QUANTIZATIONS:
        path = tmp_path / f"{name}.tflite"
        write_tflite(classifier, path, quantization=name, representative_images=images)
        assert path.read_bytes() == files[name].read_bytes()


def few(count=20, shape=SHAPE, dtype="float32"):
    return np.full((count, *shape), 0.5, dtype)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, r"at least 16 images.*representative_images.shape=\(\)"),
        (few(15), r"at least 16 images.*shape=\(15, 8, 8, 1\)"),
        (few(shape=(9, 9, 1)), r"\(n, 8, 8, 1\).*shape=\(20, 9, 9, 1\)"),
        (few()[..., 0], r"shape=\(20, 8, 8\)"),
        (few() * np.nan, "finite"),
        (few() * 255, "divide 0..255 pixels by 255"),
        (few(dtype="uint8"), r"floating-point pixels.*uint8"),
    ],
)
def test_images_that_cannot_calibrate_are_refused(given, message, classifier, tmp_path):
    path = tmp_path / "m.tflite"
    with pytest.raises(ValueError, match=message):
        write_tflite(classifier, path, quantization="int8", representative_images=given)
    assert not path.exists()


def test_an_unknown_quantisation_is_refused(classifier, tmp_path):
    with pytest.raises(ValueError, match="Received: quantization='int4'"):
        write_tflite(classifier, tmp_path / "m.tflite", quantization="int4")
