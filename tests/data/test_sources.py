"""The table of sources: which has a data set, what all are asked, what one more costs."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

import keras_efgsm
from keras_efgsm.data import (
    SOURCES,
    ImageData,
    LoadOptions,
    Source,
    SourceFacts,
    describe_source,
    load_data,
)
from keras_efgsm.data.image_channels import with_channels
from keras_efgsm.data.sources import find_source
from support.image_folders import make_folder


class Gradients(Source):
    """A source from outside: one grey level for each class."""

    accepts = '"gradients:K", K grey levels'

    def claims(self, dataset, options):
        return dataset.startswith("gradients:")

    def describe(self, dataset, options):
        names = tuple(str(k) for k in range(int(dataset.partition(":")[2])))
        counts = {"train": len(names), "test": len(names)}
        return SourceFacts(dataset, "gradients", names, counts, {(4, 6): 1}, {1: 1})

    def load(self, dataset, split, options):
        names = self.describe(dataset, options).class_names
        levels = np.arange(len(names), dtype="uint8").reshape(-1, 1, 1, 1)
        images = np.broadcast_to(levels * 20, (len(names), 4, 6, 1))
        return ImageData(images, np.arange(len(names)), names, name=f"{dataset}:{split}")


def test_a_source_from_outside_is_one_class_and_one_line(monkeypatch):
    monkeypatch.setitem(SOURCES, "gradients", Gradients())
    data = load_data("gradients:3", "test")
    assert data.images.shape == (3, 4, 6, 1) and data.name == "gradients:3:test"
    assert describe_source("gradients:3").num_classes == 3
    # Size and channels are brought about for it.
    data = load_data("gradients:3", image_size=8, channels=3)
    assert data.images.shape == (3, 8, 8, 3) and data.images[2].min() == 40
    with pytest.raises(ValueError, match='"gradients:K", K grey levels'):
        load_data("/nowhere")


@pytest.mark.parametrize(
    ("dataset", "source"),
    [("digits", "digits"), ("mnist", "tfds"), ("mnist/3.0.1", "tfds"), ("a/b.npz", "npz")],
)
def test_a_name_is_that_of_one_source(dataset, source):
    assert find_source(dataset, LoadOptions()) is SOURCES[source]


def test_a_folder_goes_before_a_name(tmp_path, monkeypatch):
    make_folder("colour", tmp_path / "mnist", 3)
    monkeypatch.chdir(tmp_path)
    assert find_source("mnist", LoadOptions()) is SOURCES["folder"]
    assert load_data("mnist").num_classes == 4


@pytest.mark.parametrize("dataset", ["/nowhere/at/all", "./nowhere", "a b", ""])
def test_what_no_source_has_is_refused_with_what_each_accepts(dataset):
    for ask in (load_data, describe_source):
        with pytest.raises(ValueError) as caught:
            ask(dataset)
        for source in SOURCES.values():
            assert source.accepts in str(caught.value)
        assert str(caught.value).endswith(f"Received: dataset={dataset!r}")


def test_an_unknown_name_lists_what_each_source_accepts(tmp_path):
    with pytest.raises(ValueError) as caught:
        load_data("mnsit", data_dir=tmp_path)
    assert all(source.accepts in str(caught.value) for source in SOURCES.values())


def prepared(name, data_dir, images, labels):
    """Prepares a data set in the format of tensorflow-datasets, and returns its name."""
    rows = enumerate(zip(images, labels, strict=True))
    examples = [(number, {"image": image, "label": label}) for number, (image, label) in rows]
    features = {
        "image": tfds.features.Image(shape=images.shape[1:]),
        "label": tfds.features.ClassLabel(names=["cat", "dog"]),
    }
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={"train": examples, "test": examples},
        data_dir=str(data_dir),
        disable_shuffling=True,
    )
    return name


@pytest.fixture(scope="module")
def of_each_source(tmp_path_factory):
    root = tmp_path_factory.mktemp("sources")
    x = np.random.default_rng(0).integers(0, 256, (8, 6, 5, 3), dtype="uint8")
    arrays = {"x_train": x, "y_train": np.arange(8) % 2, "x_test": x, "y_test": np.arange(8) % 2}
    np.savez(root / "arrays.npz", **arrays)
    return {
        "digits": "digits",
        "folder": str(make_folder("colour", root / "shapes", 4)),
        "npz": str(root / "arrays.npz"),
        "tfds": prepared("pets", root, x, np.arange(8) % 2),
        "root": root,
    }


def test_the_contract_is_of_every_source(of_each_source):
    assert set(of_each_source) == {*SOURCES, "root"}


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_loaded_is_what_was_described(source, of_each_source):
    dataset, place = of_each_source[source], {"data_dir": of_each_source["root"]}
    facts = describe_source(dataset, **place)
    assert facts.source == source
    for split in ("train", "test"):
        data = load_data(dataset, split, **place)
        assert data.image_shape == facts.image_shape()
        assert data.class_names == facts.class_names
        assert len(data) == facts.num_images[split]
        changed = load_data(dataset, split, image_size=(4, 7), channels=1, **place)
        assert changed.image_shape == facts.image_shape((4, 7), 1) == (4, 7, 1)
        np.testing.assert_array_equal(changed.labels, data.labels)


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_loaded_can_be_saved_and_is_the_same_each_time(source, of_each_source, tmp_path):
    dataset, place = of_each_source[source], {"data_dir": of_each_source["root"]}
    parts = {split: load_data(dataset, split, **place) for split in ("train", "test")}
    arrays = {
        f"{letter}_{split}": array
        for split, data in parts.items()
        for letter, array in (("x", data.images), ("y", data.labels))
    }
    np.savez(tmp_path / "saved.npz", **arrays)
    for split, data in parts.items():
        assert data.images.dtype == np.uint8 and data.labels.ndim == 1
        for again in (load_data(dataset, split, **place), load_data(tmp_path / "saved.npz", split)):
            np.testing.assert_array_equal(again.images, data.images)
            np.testing.assert_array_equal(again.labels, data.labels)
    facts = describe_source(dataset, **place)
    assert pickle.loads(pickle.dumps(facts)) == facts


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"split": "validation"}, "Received: .*validation"),
        ({"image_size": (0, 4)}, "Received: image_size="),
        ({"image_size": "8"}, "Received: image_size="),
        ({"channels": 2}, "Received: channels=2"),
        ({"seed": -1}, "Received: seed=-1"),
        ({"test_share": 1.0}, "Received: test_share=1.0"),
    ],
)
def test_every_source_refuses_what_cannot_be_loaded(source, wrong, message, of_each_source):
    given = {"split": "train", "data_dir": of_each_source["root"], **wrong}
    with pytest.raises(ValueError, match=message):
        load_data(of_each_source[source], given.pop("split"), **given)


@pytest.mark.parametrize("channels", [0, 2, 5, "grey"])
def test_other_numbers_of_channels_are_refused(channels):
    with pytest.raises(ValueError, match="Received: channels="):
        load_data("digits", channels=channels)


def test_grey_becomes_colour_and_comes_back_as_it_was():
    grey, colour = load_data("digits", "test"), load_data("digits", "test", channels=3)
    assert (colour.images == grey.images).all()
    np.testing.assert_array_equal(with_channels(colour.images, 1), grey.images)
    four = with_channels(colour.images, 4)
    assert (four[..., 3] == 255).all() and (with_channels(four, 3) == colour.images).all()


def test_a_folder_is_described_before_anything_heavy_is_imported(tmp_path):
    root = make_folder("colour", tmp_path / "shapes", 3)
    # The package is stood in for, as its own front imports more.
    script = f"""
import sys, types
package = types.ModuleType("keras_efgsm")
package.__path__ = [{str(Path(keras_efgsm.__file__).parent)!r}]
sys.modules["keras_efgsm"] = package
from keras_efgsm.data import describe_source
print(describe_source({str(root)!r}).image_shape())
print([name for name in ("keras", "tensorflow", "tensorflow_datasets", "sklearn")
       if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["(24, 20, 3)", "[]"]


def test_facts_print_themselves_in_lines(of_each_source):
    printed = str(describe_source(of_each_source["folder"]))
    assert "12 train, 4 test; 24 x 20 pixels, colour" in printed
    assert "classes: 4 (bar, cross, disc, square)" in printed
