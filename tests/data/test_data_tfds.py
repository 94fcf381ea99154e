"""Data sets of tensorflow-datasets: those prepared on disk, and those that cannot be had."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_efgsm.data import describe_source, load_data, load_tfds
from keras_efgsm.data.tfds_builder import prepared_names

MNIST_TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
PREPARED = os.environ.get("TFDS_DATA_DIR", "")


def needs(name):
    return pytest.mark.skipif(
        not PREPARED or not Path(PREPARED, name).is_dir(),
        reason=f"TFDS_DATA_DIR holds no prepared {name}",
    )


def random_images(n=6, height=5, width=4, channels=3, seed=0):
    shape = (n, height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype="uint8")


def prepare(data_dir, name, features, **columns):
    """Prepares a data set in the format of tensorflow-datasets, with no builder for it."""
    keys, values = list(columns), list(columns.values())
    rows = enumerate(zip(*values, strict=True))
    examples = [(number, dict(zip(keys, row, strict=True))) for number, row in rows]
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={"train": examples},
        data_dir=str(data_dir),
        # Otherwise the examples are stored in the order of a hash of their number.
        disable_shuffling=True,
    )


@pytest.fixture
def image_and_label():
    return {
        "image": tfds.features.Image(shape=(5, 4, 3)),
        "label": tfds.features.ClassLabel(names=["cat", "dog"]),
    }


def test_a_prepared_folder_without_a_builder_is_read_by_name(tmp_path, image_and_label):
    images = random_images()
    features = {**image_and_label, "id": tfds.features.Text()}
    ids = [f"sample {i}" for i in range(6)]
    prepare(tmp_path, "my_pets", features, image=images, label=[0, 1] * 3, id=ids)
    for name in ("my_pets", "my_pets/1.0.0", "my_pets:1.0.0"):
        data = load_tfds(name, "train", data_dir=tmp_path)
        assert data.name == "my_pets/1.0.0:train"
        assert data.class_names == ("cat", "dog")
        np.testing.assert_array_equal(data.images, images)
        np.testing.assert_array_equal(data.labels, [0, 1] * 3)
    assert len(load_tfds("my_pets", "train[:2]", data_dir=tmp_path)) == 2
    assert prepared_names(tmp_path) == ["my_pets/1.0.0"]


def test_the_newest_prepared_version_is_read(tmp_path, image_and_label):
    prepare(tmp_path, "my_pets", image_and_label, image=random_images(), label=[0, 1] * 3)
    for version in ("9.0.0", "10.0.0"):
        shutil.copytree(tmp_path / "my_pets" / "1.0.0", tmp_path / "my_pets" / version)
        info = tmp_path / "my_pets" / version / "dataset_info.json"
        info.write_text(info.read_text().replace("1.0.0", version))
    assert load_tfds("my_pets", "train", data_dir=tmp_path).name == "my_pets/10.0.0:train"


def test_the_data_dir_defaults_to_the_environment_variable(tmp_path, image_and_label, monkeypatch):
    prepare(tmp_path, "my_pets", image_and_label, image=random_images(), label=[0, 1] * 3)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert len(load_data("my_pets", "train[:6]")) == 6


def test_an_unknown_split_is_refused_listing_those_there_are(tmp_path, image_and_label):
    prepare(tmp_path, "my_pets", image_and_label, image=random_images(), label=[0, 1] * 3)
    for split in ("test", "train[:0]", "", None):
        with pytest.raises(ValueError, match="Received: split="):
            load_tfds("my_pets", split, data_dir=tmp_path)


def test_images_of_varying_size_need_an_image_size(tmp_path):
    features = {
        "image": tfds.features.Image(shape=(None, None, 3)),
        "label": tfds.features.ClassLabel(num_classes=2),
    }
    images = [random_images(1, 5, 4)[0], random_images(1, 6, 4)[0]]
    prepare(tmp_path, "varying", features, image=images, label=[0, 1])
    with pytest.raises(ValueError, match=r"image_size=.*Received: image.shape=\(6, 4, 3\)"):
        load_tfds("varying", "train", data_dir=tmp_path)
    assert load_tfds("varying", "train", tmp_path, image_size=8).images.shape == (2, 8, 8, 3)
    grey = load_data("varying", "train[:2]", tmp_path, image_size=8, channels=1)
    assert grey.images.shape == (2, 8, 8, 1)


def test_facts_of_a_prepared_data_set_come_from_headers_and_its_test_images_from_a_draw(tmp_path):
    features = {
        "image": tfds.features.Image(shape=(None, None, 3)),
        "label": tfds.features.ClassLabel(names=["cat", "dog"]),
    }
    images = [random_images(1, 5 + i % 2, 4, seed=i)[0] for i in range(8)]
    prepare(tmp_path, "varying", features, image=images, label=[0, 1] * 4)
    facts = describe_source("varying", tmp_path, test_share=0.25)
    assert facts.sizes == {(5, 4): 4, (6, 4): 4} and facts.num_channels == 3
    assert facts.num_images == {"train": 6, "test": 2} and facts.class_names == ("cat", "dog")
    assert "no test split: 2 of 8 images" in facts.notes[0]
    train, test = (
        load_data("varying", split, tmp_path, image_size=5, test_share=0.25)
        for split in ("train", "test")
    )
    assert sorted(test.labels) == [0, 1] and len(train) == 6
    assert not {i.tobytes() for i in train.images} & {i.tobytes() for i in test.images}


def test_data_sets_of_another_kind_are_refused(tmp_path, image_and_label):
    label = image_and_label["label"]
    prepare(tmp_path, "numbers", {"x": np.float32, "label": label}, x=[1.0, 2.0], label=[0, 1])
    pair = {"left": image_and_label["image"], "right": image_and_label["image"], "label": label}
    images = random_images(2)
    prepare(tmp_path, "pairs", pair, left=images, right=images, label=[0, 1])
    deep = {"image": tfds.features.Image(shape=(5, 4, 3), dtype=np.uint16), "label": label}
    prepare(tmp_path, "deep", deep, image=images.astype("uint16"), label=[0, 1])
    for name in ("numbers", "pairs"):
        with pytest.raises(ValueError, match=f"(?s)one Image and one ClassLabel.*name='{name}'"):
            load_tfds(name, "train", data_dir=tmp_path)
    with pytest.raises(ValueError, match="8-bit pixels.*uint16"):
        load_tfds("deep", "train", data_dir=tmp_path)


def test_an_unknown_name_says_what_to_try_and_leaves_no_folder(tmp_path, image_and_label):
    prepare(tmp_path, "my_pets", image_and_label, image=random_images(2), label=[0, 1])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError) as caught:
        load_data("mnsit", "train", data_dir=tmp_path)
    message = str(caught.value)
    for part in ("my_pets/1.0.0", "data_dir", "TFDS_DATA_DIR", "digits", "kmnist"):
        assert part in message
    assert message.endswith("Received: dataset='mnsit'")
    with pytest.raises(ValueError):
        load_data("mnsit", "train", data_dir=tmp_path / "new" / "folder")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_failed_download_of_mnist_names_its_files_and_leaves_no_folder(tmp_path, monkeypatch):
    data_dir = tmp_path / "data"
    (data_dir / "kept_although_empty").mkdir(parents=True)

    def fails(builder, *args, **kwargs):
        (data_dir / "mnist" / "3.0.1.incomplete").mkdir(parents=True)
        (data_dir / "downloads" / "extracted").mkdir(parents=True)
        raise OSError("no network")

    monkeypatch.setattr("keras_efgsm.data.tfds_builder._check_reachable", lambda *_: None)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fails)
    with pytest.raises(ValueError, match="no network") as caught:
        load_tfds("mnist", "train", data_dir=data_dir)
    for part in ("train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        assert part in str(caught.value)
    assert f"{data_dir}/downloads/manual/" in str(caught.value)
    assert [p.name for p in data_dir.iterdir()] == ["kept_although_empty"]


def test_without_a_network_a_download_fails_at_once(tmp_path, monkeypatch):
    def unresolved(*args, **kwargs):
        raise OSError("Name or service not known")

    monkeypatch.setattr("urllib.request.getproxies", dict)
    monkeypatch.setattr("socket.getaddrinfo", unresolved)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", lambda _: 1 / 0)
    with pytest.raises(ValueError, match=r"ConnectionError: no network"):
        load_tfds("mnist", "train", data_dir=tmp_path)


@needs("mnist")
def test_mnist_is_read_from_its_prepared_folder():
    data = load_data("mnist", "test")
    assert data.images.shape == (10000, 28, 28, 1)
    assert data.name == "mnist/3.0.1:test"
    assert np.bincount(data.labels).tolist() == MNIST_TEST_COUNTS


@needs("cifar10_jpeg75")
def test_colour_images_are_read_from_a_prepared_folder_no_builder_is_registered_for():
    data = load_data("cifar10_jpeg75", "test[:1000]")
    assert data.images.shape == (1000, 32, 32, 3)
    assert data.class_names[:2] == ("airplane", "automobile")


@pytest.mark.parametrize("name", ["", "a b", "mnist//3", "../mnist"])
def test_a_name_that_can_be_no_name_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match="Received: name"):
        load_tfds(name, "train", data_dir=tmp_path)
