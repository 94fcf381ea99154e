"""The images of a run: training and test images that fit, and known again."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from keras_efgsm.data import ImageData, load_data, load_folder, save_npz
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records import DataRecord, MetricsRecord
from keras_efgsm.runs.same_data import changes, check_data_fit, check_workers_agree, untrained_note
from keras_efgsm.runs.training import train

CONFIG = TrainingConfig("mine", "digits", None, 0.1, method="efgsm", probe_images=0, epochs=1)
NAMES = ("cat", "dog", "owl")


def images(count=12, shape=(8, 8, 1), names=NAMES, seed=0):
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (count, *shape), "uint8")
    return ImageData(pixels, np.arange(count) % len(names), names)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (images(shape=(6, 8, 1)), r"shape \(8, 8, 1\).*--image-size 8 8 --channels 1"),
        (images(shape=(8, 8, 3)), r"shape \(8, 8, 1\).*Received: 'custom' with images.*8, 8, 3"),
        (images(names=("cat", "dog")), "class names: without 'owl'"),
        (images(names=(*NAMES, "yak")), "class names: with 'yak'"),
        (images(names=("dog", "cat", "owl")), "class names: in another order"),
    ],
)
def test_test_images_that_do_not_fit_are_refused_before_anything_is_made(tmp_path, test, message):
    with pytest.raises(ValueError, match=message) as caught:
        train(CONFIG, tmp_path / "run", train_data=images(), test_data=test)
    assert "Received: " in str(caught.value)
    assert not (tmp_path / "run").exists()


def write_folder(root, classes, mode="RGB", size=(8, 8), count=3):
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = np.full((*size, 3), 20 * number + index, "uint8")
            Image.fromarray(pixels).convert(mode).save(root / name / f"{index}.png")


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ({"size": (6, 8)}, "which size shall the images"),
        ({"mode": "L"}, "how many channels shall the images"),
        ({"classes": ("cat", "dog", "yak")}, "only `test` has 'yak'"),
        ({"count": 0}, "holds no image in one"),
    ],
)
def test_a_test_folder_that_does_not_fit_is_refused_where_training_images_are_loaded(
    tmp_path, test, message
):
    write_folder(tmp_path / "train", NAMES)
    write_folder(tmp_path / "test", **{"classes": NAMES, **test})
    with pytest.raises(ValueError, match=message):
        load_data(tmp_path, "train")


@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        ("y_test", "y_test is missing"),
        ("x_test", "x_test is missing"),
        ("y_train", "y_train is missing"),
    ],
)
def test_an_npz_file_without_one_of_its_arrays_is_refused_at_once(tmp_path, lacking, message):
    path = tmp_path / "mine.npz"
    save_npz(path, images(), images(6, seed=1))
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != lacking}
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=message) as caught:
        load_data(path, "train")
    assert str(caught.value).endswith(f"Received: path={str(path)!r}")


def test_an_npz_file_whose_test_images_have_another_size_is_refused_at_once(tmp_path):
    path = tmp_path / "mine.npz"
    save_npz(path, images(), images(6, shape=(6, 8, 1)))
    with pytest.raises(ValueError, match="which size shall the images"):
        load_data(path, "train")


def test_what_changed_is_said_by_split():
    then = {"train": images().record(), "test": images(6).record()}
    assert changes(then, dict(then)) == ""
    assert changes(then, {"test": images(5).record()}) == (
        "test images (number of images: 6 then, 5 now)"
    )
    other = images(shape=(8, 6, 1)).record()
    assert changes(then, {"train": other}).startswith(
        "training images (image size: 8 x 8 x 1 then, 8 x 6 x 1 now"
    )


def test_a_record_is_the_same_after_json_and_whatever_the_type_of_the_labels():
    data = images()
    record = data.record()
    assert DataRecord.from_dict(record.to_dict()) == record
    assert dataclasses.replace(data, labels=data.labels.astype("uint8")).record() == record
    metrics = MetricsRecord.from_dict(
        {"natural_accuracy": 0.5, "data": {"train": record.to_dict()}}
    )
    assert metrics.data == {"train": record}


def test_parts_are_known_by_what_was_read_and_not_by_the_size_they_were_brought_to(tmp_path):
    write_folder(tmp_path, NAMES)
    whole, small = load_folder(tmp_path), load_folder(tmp_path, image_size=4)
    assert small.record().images == whole.record().images
    assert small.take(4).record().images == whole.take(4).record().images
    file = tmp_path / "dog" / "1.png"
    Image.fromarray(np.full((8, 8, 3), 99, "uint8")).save(file)
    assert whole.record().differences(load_folder(tmp_path).record()) == ["images"]
    file.rename(tmp_path / "dog" / "9.png")
    changed, moved = (load_folder(tmp_path).record() for _ in range(2))
    assert changed == moved
    save_npz(tmp_path / "mine.npz", images(), images(6))
    sizes = [load_data(tmp_path / "mine.npz", "test", image_size=size) for size in (None, 4, 16)]
    assert len({data.record().images for data in sizes}) == 1


class TwoWorkers:
    workers = 2

    class shard:
        index = 0

    def __init__(self, change):
        self.change = change

    def gather(self, values):
        return np.array([values, [value + self.change for value in values]])


def test_workers_with_other_images_are_refused():
    described = {"train": images().record()}
    check_workers_agree(described, TwoWorkers(0))
    with pytest.raises(ValueError, match="same images and labels. Received: others on worker 1"):
        check_workers_agree(described, TwoWorkers(1))


def test_images_that_fit_are_passed():
    check_data_fit(images(), images(6, seed=1))
    assert untrained_note(images(), images(6, seed=1)) == ""


def test_test_images_of_a_class_without_training_images_are_said():
    trained = images().subset(np.arange(12) % 3 < 2, "two of three")
    check_data_fit(trained, images())
    said = "there are test images but no training images of 'owl'"
    assert untrained_note(trained, images()) == said


def test_a_search_goes_on_with_its_images_alone(tmp_path):
    from keras_efgsm.tuning.search_folder import SearchFolder
    from keras_efgsm.tuning.search_options import SearchOptions
    from keras_efgsm.tuning.search_space import make_ranges

    options = SearchOptions(CONFIG, make_ranges(CONFIG, ["sigma"]), trials=1)
    folder = SearchFolder(tmp_path / "search")
    data = {"train": images(), "validation": images(6, seed=1)}
    assert not folder.prepare(options)
    folder.check_data(data)
    written = folder.search.read_bytes()
    assert folder.prepare(options)
    folder.check_data(data)
    assert folder.search.read_bytes() == written and folder.read() == options
    with pytest.raises(ValueError, match=r"Changed: validation images \(images\)\. Put them back"):
        folder.check_data(data | {"validation": images(6, seed=2)})
    assert folder.search.read_bytes() == written
