"""Data sets as a stranger may make them: refused by what their headers say."""

import io
import json
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_efgsm.data import describe_source, load_data, load_folder, load_npz
from keras_efgsm.data.image_header import read_header
from keras_efgsm.limits import raised_limits

X, Y = np.zeros((4, 8, 8), "uint8"), np.array([0, 1, 1, 0])
WHOLE = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y}


def npz(path, **changes):
    np.savez_compressed(path, **{k: v for k, v in (WHOLE | changes).items() if v is not None})
    return path


def raw_npz(path, name, shape, content=b"", descr="|u1"):
    """The data set with one array whose header says more than there is."""
    npz(path, **{name: None})
    file = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{name}.npy", file.getvalue() + content)
    return path


READS = [lambda p: load_npz(p), lambda p: load_data(p, "test"), describe_source]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("label", [2**31, 3_000_000, 2**62, -1])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("has_test", [True, False])
def test_a_label_beyond_the_classes_is_refused(tmp_path, read, label, named, has_test):
    names = {"class_names": np.array(["cat", "dog"])} if named else {}
    without = {} if has_test else {"x_test": None, "y_test": None}
    path = npz(tmp_path / "a.npz", y_train=np.array([0, 1, 1, label]), **names, **without)
    with pytest.raises(ValueError, match=rf"labels must be.*Received: path=.*a label {label}"):
        read(path)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    ("name", "shape", "descr", "message"),
    [
        ("x_train", (2**20, 1024, 1024), "|u1", "bytes, and here are 0"),
        ("x_test", (2**40, 8, 8), "|u1", "bytes, and here are 0"),
        ("y_train", (2**35,), "<i8", "bytes, and here are 0"),
        ("class_names", (2,), "<U268435455", "bytes, and here are 0"),
        ("class_names", (2**33,), "<U1", "bytes, and here are 0"),
        ("y_test", (4,), "|O", "Python objects"),
        ("more", (2**40,), "<f8", "bytes, and here are 0"),
    ],
)
def test_an_array_that_says_more_than_it_holds_is_refused(
    tmp_path, read, name, shape, descr, message
):
    with pytest.raises(ValueError, match=rf"{message}.*Received: path="):
        read(raw_npz(tmp_path / "a.npz", name, shape, descr=descr))


def test_a_small_file_that_unpacks_to_much_is_refused_unless_it_is_allowed(tmp_path):
    path = npz(tmp_path / "a.npz", x_train=np.zeros((4, 512, 512), "uint8"))
    with raised_limits(max_pixels=2**16), pytest.raises(ValueError, match="may unpack to at most"):
        load_npz(path)
    with raised_limits(max_pixels=2**19):
        assert load_npz(path).image_shape == (512, 512, 1)


def test_object_arrays_are_refused_before_anything_in_them_runs(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (pytest.fail, ("it ran",))

    path = npz(tmp_path / "a.npz", y_train=np.array([Hostile()] * 4, object))
    with pytest.raises(ValueError, match="Python objects, whose reading runs code"):
        load_npz(path)


def test_more_classes_than_the_bound_are_refused_wherever_they_come_from(tmp_path):
    named = npz(tmp_path / "named.npz", class_names=np.array(["a", "b", "c", "d"]))
    numbered = npz(tmp_path / "numbered.npz", y_train=np.arange(4))
    for name in "abcd":
        (tmp_path / "folder" / name).mkdir(parents=True)
        for number in range(2):
            pixels = np.full((8, 8), 9 * number, "uint8")
            Image.fromarray(pixels).save(tmp_path / "folder" / name / f"{number}.png")
    sources = (named, numbered, tmp_path / "folder")
    for source in sources:
        with raised_limits(max_classes=3):
            for read in (load_data, describe_source):
                with pytest.raises(ValueError, match=r"at most 3 classes.*with 4 classes"):
                    read(source)
        assert load_data(source).num_classes == 4


def test_a_name_of_a_million_letters_is_no_class(tmp_path):
    path = npz(tmp_path / "a.npz", class_names=np.array(["a" * 1_000_000, "b"]))
    with pytest.raises(ValueError, match="more than 1,000 letters"):
        load_npz(path)


@pytest.mark.parametrize("name", ["\x1b[31mred", "a\nb", "\u202ered"])
def test_classes_with_control_characters_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="printable characters alone"):
        load_npz(npz(tmp_path / "a.npz", class_names=np.array(["cat", name])))
    for each in ("cat", name):
        (tmp_path / "f" / each).mkdir(parents=True)
        Image.new("L", (4, 4)).save(tmp_path / "f" / each / "1.png")
    for read in (load_folder, load_data, describe_source):
        with pytest.raises(ValueError, match="printable characters alone"):
            read(tmp_path / "f")


def test_the_name_of_a_data_set_and_of_its_files_is_shown_without_control_characters(tmp_path):
    data = load_npz(npz(tmp_path / "a\x1b[31m.npz"))
    assert data.name == "npz:a\\x1b[31m:train" and repr(data).isprintable()
    root = tmp_path / "f\x1b]0;x\x07"
    for number, each in enumerate(("cat", "dog")):
        (root / each).mkdir(parents=True)
        Image.new("L", (4 + number, 4)).save(root / each / "1\x1b.png")
        Image.new("L", (4 + number, 5)).save(root / each / "2\x1b.png")
        (root / each / "n\x1b").write_text("")
    shown = str(describe_source(root))
    assert all(line.isprintable() for line in shown.splitlines())


def png(width, height):
    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


def enlarged(kind, width, height):
    """A small picture whose header says another size."""
    if kind == "PNG":
        return png(width, height)
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, kind)
    content = bytearray(file.getvalue())
    if kind == "GIF":
        for at in (6, content.index(b"\x2c") + 5):
            content[at : at + 4] = struct.pack("<HH", width, height)
    elif kind == "BMP":
        content[18:26] = struct.pack("<ii", width, height)
    elif kind == "JPEG":
        at = content.index(b"\xff\xc0") + 5
        content[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(content)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "JPEG"])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, kind, monkeypatch):
    file = tmp_path / f"a.{kind.lower()}"
    file.write_bytes(enlarged(kind, 30000, 30000))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it is decoded"))
    with pytest.raises(ValueError, match=r"at most (61|15) million pixels \(30000 x 30000\)"):
        read_header(file)
    with raised_limits(max_pixels=30000**2):
        assert read_header(file).height == 30000
    assert Image.MAX_IMAGE_PIXELS is not None


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "JPEG", "WEBP"])
def test_a_lower_bound_holds_for_every_kind_of_file(tmp_path, kind):
    for each in ("cat", "dog"):
        (tmp_path / each).mkdir()
        Image.new("RGB", (16, 16)).save(tmp_path / each / f"1.{kind.lower()}")
    with (
        raised_limits(max_pixels=100),
        pytest.raises(ValueError, match=r"at most 100 pixels \(16 x 16\).*--max-pixels"),
    ):
        load_folder(tmp_path)
    # Threads that decode know the bound as well.
    with raised_limits(max_pixels=256):
        assert len(load_folder(tmp_path)) == 2


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "JPEG", "WEBP"])
def test_a_picture_with_any_byte_changed_is_read_or_refused_in_words(tmp_path, kind):
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, kind)
    for at in range(0, len(file.getvalue()), 7):
        content = bytearray(file.getvalue())
        content[at] ^= 0xFF
        # A name of its own: what was read is kept by name, size and time.
        path = tmp_path / f"{at}.{kind.lower()}"
        path.write_bytes(content)
        try:
            read_header(path)
        except ValueError as error:
            assert "Received: file=" in str(error)


def test_a_prepared_data_set_of_too_many_classes_is_refused(tmp_path, monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(8, 8, 1)),
            "label": tfds.features.ClassLabel(num_classes=10**9),
        }
    )
    from keras_efgsm.data import tfds_source

    class Info:
        supervised_keys = ("image", "label")

    Info.features = features
    with pytest.raises(ValueError, match="at most 65536 classes"):
        tfds_source._supervised_keys("big", Info)
    assert json.dumps(features.to_json())[:1] == "{"
