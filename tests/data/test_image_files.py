"""One way from a file to the pixels that a network sees, in training and in a served model."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from keras_efgsm.data import load_folder
from keras_efgsm.data.folder_files import class_files, folder_facts
from keras_efgsm.data.image_files import jpeg_orientation, jpeg_size, pixels_of_file
from keras_efgsm.data.image_header import read_header
from keras_efgsm.data.image_size import resize_image, resize_images

ORIENTATION = 274


def photograph(height=24, width=16, mode="RGB", seed=0):
    """Smooth colours, so that a JPEG keeps them."""
    corners = np.random.default_rng(seed).integers(0, 256, (3, 2, 3), dtype="uint8")
    return Image.fromarray(corners).resize((width, height), Image.Resampling.BILINEAR).convert(mode)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def two_classes(tmp_path, name, content):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        (tmp_path / label / name).write_bytes(content)
    return tmp_path


@pytest.fixture(scope="module")
def in_graph():
    """`pixels_of_file` as a served model has it."""

    def make(channels, size):
        spec = [tf.TensorSpec((None,), tf.string)]
        answer = tf.TensorSpec((*size, channels), tf.uint8)
        return tf.function(
            lambda files: tf.map_fn(
                lambda file: pixels_of_file(file, channels, size), files, fn_output_signature=answer
            ),
            input_signature=spec,
        )

    return {channels: make(channels, (10, 12)) for channels in (1, 3)}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_photograph_is_turned_as_its_exif_data_say(orientation, order):
    exif = Image.Exif()
    exif.endian = order
    exif[271], exif[ORIENTATION] = "a maker", orientation  # a text before it, its bytes behind all
    content = encoded(photograph(), "JPEG", exif=exif, quality=95)
    assert int(jpeg_orientation(tf.constant(content))) == orientation
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    pixels = pixels_of_file(content, channels=3).numpy()
    assert pixels.shape == (upright.height, upright.width, 3)
    assert jpeg_size(tf.constant(content)).numpy().tolist() == list(pixels.shape[:2])
    # Pillow's decoder differs by a few grey levels, a wrong turn by far more.
    assert np.abs(pixels.astype(int) - np.asarray(upright)).mean() < 3


def test_a_turned_photograph_has_the_turned_size_by_its_header_too(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    two_classes(tmp_path, "1.JPG", encoded(photograph(24, 16), "JPEG", exif=exif))
    header = read_header(tmp_path / "a" / "1.JPG")
    assert (header.height, header.width, header.turned) == (16, 24, True)
    assert load_folder(tmp_path).image_shape == (16, 24, 3)


def test_a_turned_photograph_is_resized_as_it_is_seen(tmp_path, in_graph):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    image = photograph(40, 16)
    content = encoded(image, "JPEG", exif=exif, quality=95)
    trained = load_folder(two_classes(tmp_path, "1.jpg", content), image_size=(10, 12)).images[0]
    np.testing.assert_array_equal(trained, in_graph[3](tf.constant([content]))[0])
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).resize((12, 10))
    assert np.abs(trained.astype(int) - np.asarray(upright)).mean() < 4


def test_exif_data_that_make_no_sense_turn_nothing_and_break_nothing():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    content = bytearray(encoded(photograph(), "JPEG", exif=exif))
    start = content.index(b"Exif") + 6
    random = np.random.default_rng(0)
    read = tf.function(jpeg_orientation, input_signature=[tf.TensorSpec((), tf.string)])
    for _ in range(50):
        damaged = bytearray(content[: random.integers(3, len(content))])
        for at in random.integers(2, start + 30, 3):
            if at < len(damaged):
                damaged[at] = random.integers(256)
        assert 1 <= int(read(tf.constant(bytes(damaged)))) <= 8
    for content in (b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xe1\xff\xffExif\0\0"):
        assert int(read(tf.constant(content))) == 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("PNG", "L"),
        ("PNG", "RGB"),
        ("PNG", "RGBA"),
        ("PNG", "LA"),
        ("PNG", "P"),
        ("PNG", "1"),
        ("JPEG", "L"),
        ("JPEG", "RGB"),
        ("JPEG", "CMYK"),
    ],
)
def test_a_file_has_the_same_pixels_in_training_and_in_a_served_graph(
    kind, mode, channels, tmp_path, in_graph
):
    image = photograph(mode="L" if mode == "LA" else mode)
    content = encoded(image.convert(mode), kind)
    root = two_classes(tmp_path, "1.png", content)  # the ending does not decide what it is
    trained = load_folder(root, image_size=(10, 12), channels=channels).images[0]
    served = in_graph[channels](tf.constant([content]))[0]
    np.testing.assert_array_equal(trained, served)
    expected = image.convert("L" if channels == 1 else "RGB").resize((12, 10), Image.BILINEAR)
    expected = np.asarray(expected).reshape(trained.shape)
    assert np.abs(trained.astype(int) - expected).mean() < 4


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("BMP", "P"), ("BMP", "1"), ("BMP", "L"), ("BMP", "RGB"), ("GIF", "P"), ("WEBP", "RGB")],
)
def test_formats_that_are_not_served_are_read_as_they_look(kind, mode, tmp_path):
    image = photograph(mode=mode)
    options = {"lossless": True} if kind == "WEBP" else {}
    root = two_classes(tmp_path, f"1.{kind}", encoded(image, kind, **options))
    np.testing.assert_array_equal(
        load_folder(root, channels=3).images[0], np.asarray(image.convert("RGB"))
    )
    assert load_folder(root, channels=1).image_shape == (24, 16, 1)


def test_of_sixteen_bits_the_upper_eight_are_taken(tmp_path):
    deep = (np.arange(24 * 16).reshape(24, 16) * 170).astype("uint16")
    root = two_classes(tmp_path, "1.png", encoded(Image.fromarray(deep), "PNG"))
    np.testing.assert_array_equal(load_folder(root).images[0, ..., 0], deep >> 8)


def test_a_size_that_is_there_already_changes_nothing_in_a_graph_either():
    image = np.asarray(photograph())
    traced = tf.function(
        lambda pixels: resize_images(pixels, (24, 16)),
        input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)],
    )
    np.testing.assert_array_equal(traced(image), image)


def test_resizing_is_antialiased_and_the_same_for_one_image_and_for_many():
    stripes = np.zeros((2, 72, 72, 1), "uint8")
    stripes[:, :, ::2] = 255
    small = resize_image(stripes, (8, 8))
    # Taken at single points, stripes of one pixel would come out black or white.
    assert np.abs(small.astype(int) - 127).max() <= 20
    np.testing.assert_array_equal(small[0], resize_image(stripes[0], (8, 8)))
    np.testing.assert_array_equal(small[0], resize_images(stripes[0], (8, 8)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"no image", "no image or damaged"),
        (encoded(photograph(), "TIFF"), "its content is TIFF"),
        (encoded(photograph(), "JPEG")[:-200], "readable as"),
        (encoded(photograph(), "WEBP")[:-20], "readable as"),
        (encoded(photograph(), "GIF")[:-200], "readable as"),
    ],
    ids=["empty", "text", "TIFF", "half a JPEG", "half a WebP", "half a GIF"],
)
def test_a_file_that_cannot_be_read_is_named(content, message, tmp_path):
    root = two_classes(tmp_path, "1.png", encoded(photograph(), "PNG"))
    (root / "b" / "2.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=rf"{message}.*Received: file=.*b.2\.jpg"):
        load_folder(root, channels=3)


def test_an_image_of_too_many_pixels_is_refused_by_its_header(tmp_path):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 14000, 14000, 1, 0, 0, 0, 0)
    header = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    content = b"\x89PNG\r\n\x1a\n" + header + b"\0\0\x40\0IDAT"
    root = two_classes(tmp_path, "1.png", content)
    with pytest.raises(ValueError, match=r"at most 61 million pixels.*Received: file=.*a.1\.png"):
        load_folder(root, image_size=8)


def test_no_alpha_is_made_up_for_a_jpeg(tmp_path):
    root = two_classes(tmp_path, "1.jpg", encoded(photograph(), "JPEG"))
    with pytest.raises(ValueError, match=r"a JPEG file has no alpha.*1\.jpg"):
        load_folder(root, channels=4)


def notes_on(tmp_path, name, content):
    """What is said of two files of this content."""
    root = two_classes(tmp_path, name, content)
    files, _ = class_files(root, ("a", "b"))
    return folder_facts("x", ("a", "b"), {"train": files}).notes


def animation(kind):
    return encoded(photograph(seed=1), kind, save_all=True, append_images=[photograph(seed=2)])


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken_and_that_is_said(kind, tmp_path):
    content = animation(kind)
    (note,) = notes_on(tmp_path, f"1.{kind}", content)
    assert note == "2 files are animations, of which the first frame is used"
    first = Image.open(io.BytesIO(content)).convert("RGB")
    np.testing.assert_array_equal(load_folder(tmp_path, channels=3).images[0], np.asarray(first))


def test_an_orientation_that_a_png_decoder_leaves_out_turns_nothing_and_is_said(tmp_path, in_graph):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    content = encoded(photograph(), "PNG", exif=exif)
    (note,) = notes_on(tmp_path, "1.png", content)
    assert note.startswith("2 PNG files are to be turned by their EXIF data, which is not done")
    trained = load_folder(tmp_path, image_size=(10, 12)).images[0]
    np.testing.assert_array_equal(trained, in_graph[3](tf.constant([content]))[0])
    assert load_folder(tmp_path).image_shape == (24, 16, 3)


@pytest.mark.parametrize("lossless", [True, False])
def test_a_webp_photograph_is_turned_as_well(lossless, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 8
    content = encoded(photograph(), "WEBP", exif=exif, lossless=lossless)
    (note,) = notes_on(tmp_path, "1.webp", content)
    assert note == "2 photographs are turned upright as their EXIF data say"
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)).convert("RGB"))
    turned = Image.open(io.BytesIO(content)).transpose(Image.Transpose.ROTATE_90)
    images = load_folder(tmp_path).images
    np.testing.assert_array_equal(images[0], np.asarray(turned.convert("RGB")))
    assert images.shape[1:] == (upright.height, upright.width, 3)


def test_grey_with_alpha_asks_what_is_wanted_and_says_what_is_lost(tmp_path):
    content = encoded(photograph(mode="LA"), "PNG")
    (note,) = notes_on(tmp_path, "1.png", content)
    assert "2 images have an alpha channel" in note and "what it hides is shown" in note
    with pytest.raises(ValueError, match=r"2 grey with alpha \(a/1.png\).*--channels 1"):
        load_folder(tmp_path)
    assert load_folder(tmp_path, channels=1).image_shape == (24, 16, 1)


def test_a_class_of_files_of_another_kind_says_which(tmp_path):
    two_classes(tmp_path, "1.heic", b"no image that is read here")
    with pytest.raises(ValueError, match="'a' holds none but 1 x .heic; convert those"):
        load_folder(tmp_path)
