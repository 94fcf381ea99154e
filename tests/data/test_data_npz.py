import numpy as np
import pytest

from keras_efgsm.data import load_data, load_digits, load_npz, save_npz


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


def test_splits_of_other_classes_are_not_saved(tmp_path):
    train = load_digits("train")
    test = type(train)(train.images, train.labels, tuple("abcdefghij"))
    with pytest.raises(ValueError, match="same classes"):
        save_npz(tmp_path / "mixed.npz", train, test)
    assert not any(tmp_path.iterdir())
