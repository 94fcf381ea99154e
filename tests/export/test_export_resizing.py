"""`serving_bytes` of an export that resizes: any image file, as the training saw its images."""

import struct
import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_efgsm.data.image_size import resize_image
from keras_efgsm.export import ExportRecord, export_classifier, export_run

SHAPE = (8, 6, 3)
NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(4)
    return keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(3)])


@pytest.fixture(scope="module")
def result(model, tmp_path_factory):
    to = tmp_path_factory.mktemp("resizing") / "m"
    return export_classifier(
        model, to, class_names=NAMES, forms=["saved-model", "tflite"], resizes=True
    )


@pytest.fixture(scope="module")
def served(result):
    loaded = tf.saved_model.load(str(result.saved_model))
    return lambda *files: loaded.signatures["serving_bytes"](image_bytes=tf.constant(files))


def picture(height, width, channels=3, seed=0):
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, channels))
    return levels.astype("uint8")


def expected(model, *images):
    pixels = np.stack(images) / np.float32(255)
    return keras.ops.softmax(model(pixels, training=False)).numpy()


def test_files_of_any_size_are_resized_as_in_training(model, served):
    images = [picture(20, 15), picture(8, 6), picture(5, 40), picture(8, 7)]
    answer = served(*(tf.io.encode_png(image).numpy() for image in images))
    wanted = expected(model, *(resize_image(image, SHAPE[:2]) for image in images))
    assert np.abs(answer["probabilities"] - wanted).max() <= 1e-6
    # Without antialiasing it would be another answer.
    plain = tf.image.resize(images[0], SHAPE[:2]).numpy().round().astype("uint8")
    assert np.abs(answer["probabilities"][0] - expected(model, plain)[0]).max() > 1e-3


def test_a_jpeg_is_resized_and_grey_becomes_three_channels(model, served):
    jpeg = tf.io.encode_jpeg(picture(33, 21)).numpy()
    grey = picture(30, 9, channels=1)
    answer = served(jpeg, tf.io.encode_png(grey).numpy())
    decoded = tf.io.decode_image(jpeg, channels=3).numpy()
    wanted = expected(
        model, resize_image(decoded, SHAPE[:2]), resize_image(np.repeat(grey, 3, 2), SHAPE[:2])
    )
    assert np.abs(answer["probabilities"] - wanted).max() <= 1e-6


def png_of(height, width):
    """A PNG of a few bytes that says in its header how large it is."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
        parts += [struct.pack(">I", len(content)), kind, content]
        parts.append(struct.pack(">I", zlib.crc32(kind + content)))
    return b"".join(parts)


@pytest.mark.parametrize("size", [(60000, 60000), (2**31 - 1, 2**31 - 1), (0, 5)])
def test_a_file_that_would_fill_the_memory_is_refused_by_its_header(size, served):
    good = tf.io.encode_png(picture(8, 6)).numpy()
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`image_bytes` must hold images of"):
        served(good, png_of(*size))


def test_card_and_record_say_that_files_are_resized(result):
    card = result.model_card.read_text()
    assert "`serving_bytes` resizes image files; nothing else does." in card
    assert "whole PNG or JPEG files of any size" in card
    assert "resized to 8 x 6 pixels" in card and "converted to 3" in card
    contract = ExportRecord.read(result.record).contract
    assert contract.resizes and contract.image_shape == SHAPE
    assert contract.class_names == tuple(NAMES)


def test_a_keras_file_is_exported_with_a_data_set(model, tmp_path, monkeypatch):
    for split in ("train", "test"):
        for name in NAMES:
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for i in range(7):
                file = tmp_path / "data" / split / name / f"{i}.png"
                file.write_bytes(tf.io.encode_png(picture(12 + i, 9, seed=i)).numpy())
    model.save(tmp_path / "own.keras")
    result = export_run(
        tmp_path / "own.keras",
        tmp_path / "own",
        dataset=tmp_path / "data",
        image_size=(8, 6),
        forms=["saved-model", "tflite-int8"],
        calibration_images=16,
    )
    record = ExportRecord.read(result.record)
    assert record.contract.class_names == tuple(NAMES) and record.contract.resizes
    assert "16 images of the training split of folder:data:train" in result.model_card.read_text()
    assert "keras-efgsm export own.keras --to" in record.command
    assert "--image-size 8 6" in record.command


def test_a_keras_file_without_class_names_is_refused_with_the_option(model, tmp_path):
    model.save(tmp_path / "own.keras")
    with pytest.raises(ValueError, match=r"no class names: give `dataset` \(`--dataset`"):
        export_run(tmp_path / "own.keras", tmp_path / "own")
    with pytest.raises(FileNotFoundError, match=r"no model here.*other.keras"):
        export_run(tmp_path / "other.keras", tmp_path / "own", dataset="digits")
    assert not (tmp_path / "own").exists()
    result = export_run(
        tmp_path / "own.keras", tmp_path / "own", class_names=NAMES, forms=["tflite"]
    )
    assert list(result.files) == ["tflite"]
