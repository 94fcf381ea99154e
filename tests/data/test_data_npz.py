import os

import numpy as np
import pytest

from keras_efgsm.data import describe_source, load_data, load_digits, load_npz, save_npz


@pytest.fixture(scope="module")
def carried(tmp_path_factory):
    path = tmp_path_factory.mktemp("npz") / "carried.npz"
    save_npz(path, load_digits("train"), load_digits("test"))
    return path


def test_a_saved_data_set_is_read_back_as_it_was(carried):
    for split in ("train", "test"):
        before, after = load_digits(split), load_data(str(carried), split)
        np.testing.assert_array_equal(after.images, before.images)
        np.testing.assert_array_equal(after.labels, before.labels)
        assert after.class_names == before.class_names
        assert after.name == f"npz:carried:{split}"


def test_grey_images_and_missing_names_are_read_as_keras_writes_them(tmp_path):
    x = np.arange(2 * 4 * 4, dtype="uint8").reshape(2, 4, 4)
    y = np.array([2, 0], "uint8")
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    data = load_npz(tmp_path / "mnist.npz")
    assert data.image_shape == (4, 4, 1)
    assert data.class_names == ("0", "1", "2")


def test_a_file_that_is_no_data_set_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", x_train=np.zeros((1, 4, 4), "uint8"))
    (tmp_path / "broken.npz").write_bytes(b"PK no zip")
    for name in ("other", "broken", "missing"):
        with pytest.raises(ValueError, match="x_train.*Received: path="):
            load_npz(tmp_path / f"{name}.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_test": None}, r"\(x_test is missing\)\. Received: path="),
        ({"x_train": np.zeros((0, 4, 4, 1), "uint8")}, "so that it holds no image"),
        ({"y_train": [0, 0], "y_test": [0, 0]}, "images of two classes.*but there is 1.*path="),
    ],
)
def test_what_is_wrong_with_a_file_is_said_once(tmp_path, changes, message):
    x, y = np.zeros((2, 4, 4, 1), "uint8"), np.array([0, 1])
    arrays = {"x_train": x, "y_train": y, "x_test": x, "y_test": y} | changes
    np.savez(tmp_path / "d.npz", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(ValueError, match=message) as raised:
        load_npz(tmp_path / "d.npz")
    assert str(raised.value).count("Received: ") == 1


def test_a_pipe_is_refused_with_one_word_on_what_was_received(tmp_path):
    os.mkfifo(tmp_path / "d.npz")
    with pytest.raises(ValueError, match="no pipe or device") as raised:
        load_npz(tmp_path / "d.npz")
    assert str(raised.value).count("Received: ") == 1


def test_splits_of_other_classes_are_not_saved(tmp_path):
    train = load_digits("train")
    test = type(train)(train.images, train.labels, tuple("abcdefghij"))
    with pytest.raises(ValueError, match="same classes"):
        save_npz(tmp_path / "mixed.npz", train, test)
    assert not any(tmp_path.iterdir())


def test_facts_of_a_file_come_from_the_headers_of_its_arrays(carried):
    facts = describe_source(carried)
    assert facts.num_images == {"train": 1437, "test": 360}
    assert facts.image_shape() == (8, 8, 1) and facts.class_names[3] == "3"


def test_a_file_is_resized_and_coloured_on_request(carried):
    data = load_data(carried, "test", image_size=(6, 10), channels=3)
    assert data.images.shape == (360, 6, 10, 3)
    expected = load_data("digits", "test", image_size=(6, 10), channels=3)
    np.testing.assert_array_equal(data.images, expected.images)


def test_a_file_without_test_images_has_some_held_out(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (20, 4, 4), dtype="uint8")
    np.savez(tmp_path / "a.npz", x_train=x, y_train=np.arange(20) % 2)
    train, test = (load_data(tmp_path / "a.npz", split) for split in ("train", "test"))
    assert (len(train), sorted(test.labels)) == (18, [0, 1])
    facts = describe_source(tmp_path / "a.npz")
    assert facts.num_images == {"train": 18, "test": 2} and "no x_test" in facts.notes[0]


def test_a_test_image_of_another_size_is_found_before_the_training(tmp_path):
    x, y = np.zeros((4, 8, 8), "uint8"), np.arange(4)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:, :6], y_test=y)
    with pytest.raises(ValueError, match=r"smallest 6 x 8.*--image-size H W"):
        load_data(tmp_path / "a.npz", "train")
    assert load_data(tmp_path / "a.npz", "train", image_size=8).image_shape == (8, 8, 1)


@pytest.mark.parametrize("label", [3_000_000, 2**31, 2**63 - 1])
def test_one_enormous_label_does_not_make_as_many_classes(tmp_path, label):
    x, y = np.zeros((4, 8, 8), "uint8"), np.array([0, 1, 1, label])
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    with pytest.raises(ValueError, match=f"below the number of images.*with a label {label}"):
        load_npz(tmp_path / "a.npz")


def test_an_array_larger_than_memory_is_refused_by_its_header(tmp_path, monkeypatch):
    x, y = np.zeros((4, 8, 8), "uint8"), np.array([0, 1, 1, 0])
    np.savez_compressed(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    monkeypatch.setattr("keras_efgsm.data.image_size._physical_memory", lambda: 4 * 8 * 8 - 1)
    with pytest.raises(ValueError, match="must fit into memory: 4 of 8 x 8"):
        load_npz(tmp_path / "a.npz")
