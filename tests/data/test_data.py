"""Every source of data: what it returns, and what it says when it cannot."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_efgsm.data import ImageData, load_data, load_digits, load_folder

DIGITS_TEST_START = [7, 9, 4, 7, 0, 2, 6, 1]


def random_images(n=6, height=5, width=4, channels=3, seed=0):
    shape = (n, height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype="uint8")


def small_data(n=100, classes=4):
    names = tuple(f"class{i}" for i in range(classes))
    return ImageData(random_images(n), np.arange(n) % classes, names, name="small")


def write_images(folder, images, suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        encoded = tf.io.encode_jpeg(image) if suffix == ".jpg" else tf.io.encode_png(image)
        (folder / f"{i}{suffix}").write_bytes(encoded.numpy())


# ImageData


def test_image_data_knows_its_size_shape_and_classes():
    data = small_data()
    assert len(data) == 100
    assert data.image_shape == (5, 4, 3)
    assert data.num_classes == 4
    assert data.labels.dtype == np.int32
    assert "small" in repr(data) and "100" in repr(data)


def test_pixels_are_float32_in_zero_one_for_all_or_chosen_images():
    data = small_data()
    pixels = data.pixels()
    assert pixels.dtype == np.float32 and pixels.shape == data.images.shape
    assert pixels.min() >= 0 and pixels.max() <= 1
    np.testing.assert_array_equal(np.rint(pixels * 255), data.images)
    np.testing.assert_array_equal(data.pixels(np.array([3, 1])), pixels[[3, 1]])


def test_take_keeps_the_first_images_and_says_so_in_the_name():
    taken = small_data().take(10)
    assert len(taken) == 10 and taken.name == "small[:10]"
    with pytest.raises(ValueError, match=r"at most 100.*Received: n=101"):
        small_data().take(101)


def test_split_holds_out_the_same_share_of_each_class_and_loses_nothing():
    data = small_data()
    rest, held_out = data.split(0.2, seed=1)
    assert np.bincount(held_out.labels).tolist() == [5, 5, 5, 5]
    both = np.concatenate([rest.images, held_out.images])
    assert {i.tobytes() for i in both} == {i.tobytes() for i in data.images}
    assert len(both) == len(data) and rest.name != held_out.name


def test_split_is_a_function_of_its_seed():
    data = small_data()
    first, again, other = (data.split(0.2, seed=s)[1].images for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("fraction", [0, 1, 1.5, -0.1, float("nan"), 0.001, "half"])
def test_split_refuses_a_fraction_that_leaves_one_side_empty(fraction):
    with pytest.raises(ValueError, match="Received: fraction="):
        small_data().split(fraction)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((4, 8, 8), "uint8")}, r"images.shape=\(4, 8, 8\)"),
        ({"images": np.zeros((0, 8, 8, 1), "uint8")}, r"non-empty.*images.shape"),
        ({"images": np.zeros((4, 8, 8, 1), "float32")}, r"astype.*images.dtype=float32"),
        ({"labels": np.zeros(3, int)}, r"one label per image.*labels.shape=\(3,\)"),
        ({"labels": np.zeros((4, 2), int)}, r"labels.shape=\(4, 2\)"),
        ({"labels": np.zeros(4, "float32")}, r"integers.*labels.dtype=float32"),
        ({"labels": np.array([0, 1, 2, 0])}, r"\[0, 2\).*labels.max\(\)=2"),
        ({"labels": np.array([0, 1, -1, 0])}, r"labels.min\(\)=-1"),
        ({"class_names": ("a",)}, r"two or more.*class_names="),
        ({"class_names": "ab"}, r"two or more.*class_names="),
        ({"class_names": ("a", "a")}, r"distinct.*class_names="),
    ],
)
def test_image_data_refuses_what_does_not_fit_together(change, message):
    fields = {
        "images": np.zeros((4, 8, 8, 1), "uint8"),
        "labels": np.array([0, 1, 0, 1]),
        "class_names": ("a", "b"),
    }
    with pytest.raises(ValueError, match=f"(?s){message}"):
        ImageData(**{**fields, **change})


# Digits


def test_digits_are_split_once_and_for_all_into_all_of_scikit_learns_images():
    train, test = load_digits("train"), load_digits("test")
    assert (len(train), len(test)) == (1437, 360)
    assert train.image_shape == (8, 8, 1) and train.num_classes == 10
    assert (train.images.min(), train.images.max()) == (0, 255)
    # Pins the split: published numbers hold for this one only.
    assert test.labels[:8].tolist() == DIGITS_TEST_START
    assert train.name == "digits:train"


def test_digits_have_no_other_split():
    with pytest.raises(ValueError, match=r"'train', 'test'.*Received: split='validation'"):
        load_digits("validation")


# Folders


def test_a_folder_is_read_with_its_sub_folders_as_sorted_classes(tmp_path):
    images = random_images()
    write_images(tmp_path / "dog", images[:2])
    write_images(tmp_path / "cat", images[2:])
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / ".hidden").mkdir()
    data = load_folder(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert data.labels.tolist() == [0, 0, 0, 0, 1, 1]
    np.testing.assert_array_equal(data.images, np.concatenate([images[2:], images[:2]]))
    assert str(tmp_path) not in data.name


def test_jpeg_pixels_are_those_of_tensorflows_decoder(tmp_path):
    write_images(tmp_path / "a", random_images(1, 16, 16), suffix=".jpg")
    write_images(tmp_path / "b", random_images(1, 16, 16, seed=1), suffix=".jpg")
    expected = tf.io.decode_jpeg((tmp_path / "a" / "0.jpg").read_bytes()).numpy()
    np.testing.assert_array_equal(load_folder(tmp_path).images[0], expected)


def test_images_of_other_sizes_and_channels_are_brought_to_the_asked_ones(tmp_path):
    write_images(tmp_path / "a", random_images(2, 5, 4))
    write_images(tmp_path / "b", random_images(2, 9, 7, 1))
    keras.utils.save_img(tmp_path / "b" / "9.bmp", random_images(1)[0])
    for channels in (1, 3):
        data = load_folder(tmp_path, image_size=(6, 8), channels=channels)
        assert data.images.shape == (5, 6, 8, channels)
    assert load_folder(tmp_path, image_size=6, channels=3).image_shape == (6, 6, 3)


def test_mixed_sizes_are_refused_naming_the_file_and_image_size(tmp_path):
    write_images(tmp_path / "a", random_images(1, 5, 4))
    write_images(tmp_path / "b", random_images(1, 6, 4))
    message = r"smallest 5 x 4 .*largest 6 x 4 \(b/0\.png\).*`--image-size H W`.*`image_size="
    with pytest.raises(ValueError, match=message):
        load_folder(tmp_path)


def test_mixed_channels_are_refused_naming_channels(tmp_path):
    write_images(tmp_path / "a", random_images(1))
    write_images(tmp_path / "b", random_images(1, channels=1))
    message = r"1 grey \(b/0\.png\), 1 colour \(a/0\.png\).*`--channels 1`.*`channels=1`"
    with pytest.raises(ValueError, match=message):
        load_folder(tmp_path)


def test_an_unreadable_image_is_named(tmp_path):
    write_images(tmp_path / "a", random_images(1))
    write_images(tmp_path / "b", random_images(1))
    (tmp_path / "b" / "1.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"readable.*Received: file=.*b.1\.png"):
        load_folder(tmp_path)


def test_a_truncated_image_is_named(tmp_path):
    write_images(tmp_path / "a", random_images(1, 64, 64))
    write_images(tmp_path / "b", random_images(1, 64, 64))
    file = tmp_path / "b" / "0.png"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"readable.*Received: file=.*b.0\.png") as raised:
        load_folder(tmp_path)
    # Not where in a graph it was found.
    assert "Invalid PNG" in str(raised.value) and "Graph execution" not in str(raised.value)


def test_folders_without_classes_are_refused(tmp_path):
    with pytest.raises(ValueError, match="the folder is empty"):
        load_folder(tmp_path)
    write_images(tmp_path, random_images(1))
    with pytest.raises(ValueError, match="images but no sub-folders"):
        load_folder(tmp_path)
    write_images(tmp_path / "cat", random_images(1))
    with pytest.raises(ValueError, match="only sub-folder is 'cat'"):
        load_folder(tmp_path)
    (tmp_path / "dog").mkdir()
    with pytest.raises(ValueError, match=r"every class.*'dog' holds none"):
        load_folder(tmp_path)
    with pytest.raises(ValueError, match=r"Received: path=.*nowhere.*no such folder"):
        load_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("image_size", [0, -1, 2.5, (4,), (4, 4, 3), "big"])
def test_a_wrong_image_size_is_refused(tmp_path, image_size):
    with pytest.raises(ValueError, match="Received: image_size="):
        load_folder(tmp_path, image_size=image_size)


# One entry to all


def test_a_name_or_a_path_finds_its_source(tmp_path):
    for part, n in (("train", 4), ("test", 2)):
        for name in ("cat", "dog"):
            write_images(tmp_path / "pets" / part / name, random_images(n // 2))
    assert load_data("digits", "test", image_size=10).images.shape == (360, 10, 10, 1)
    train, test = (load_data(tmp_path / "pets", s) for s in ("train", "test"))
    assert (len(train), len(test)) == (4, 2)
    assert test.name == "folder:pets:test"
    # One set by itself is split: of each class one image of two is held out.
    assert len(load_data(str(tmp_path / "pets" / "train"))) == 2


def test_a_folder_refuses_a_split_it_does_not_have(tmp_path):
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            write_images(tmp_path / part / name, random_images(1))
    with pytest.raises(ValueError, match="Received: split='validation'"):
        load_data(tmp_path, "validation")
    with pytest.raises(ValueError, match=r"hold out as test image.*Received: class 'cat' with 1"):
        load_data(tmp_path / "train", "test")
    write_images(tmp_path / "test" / "bird", random_images(1))
    with pytest.raises(ValueError, match="same class sub-folders.*'bird'"):
        load_data(tmp_path, "test")


def test_a_path_that_does_not_exist_is_not_taken_for_a_name(tmp_path):
    for path in (tmp_path / "nowhere", "./nowhere"):
        with pytest.raises(ValueError, match=r"(?s)no such file or folder.*Received: dataset="):
            load_data(path)
