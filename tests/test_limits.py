import contextvars
import dataclasses
import io
import struct
import threading
import zipfile

import numpy as np
import pytest

from keras_efgsm.archives import DAMAGE, read_array_headers
from keras_efgsm.array_checks import check_labels
from keras_efgsm.checks import check_count, check_printable, check_seed, first_words, visible
from keras_efgsm.limits import TooLarge, check_num_classes, check_unpacked, limits, raised_limits
from keras_efgsm.recipes import PRESETS


def test_bounds_are_raised_inside_a_block_alone():
    before = limits()
    with raised_limits(max_classes=7):
        with raised_limits(max_pixels=9):
            assert (limits().max_classes, limits().max_pixels) == (7, 9)
        assert limits().max_pixels == before.max_pixels
    assert limits() == before


def test_a_block_that_fails_puts_the_bounds_back():
    with pytest.raises(KeyError), raised_limits(max_classes=7):
        raise KeyError
    assert limits().max_classes == 2**16


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "9", 2.0**70])
def test_a_bound_is_a_whole_number(value):
    with (
        pytest.raises(ValueError, match="Received: max_classes="),
        raised_limits(max_classes=value),
    ):
        pass


def test_another_thread_keeps_the_usual_bounds():
    seen = []
    with raised_limits(max_classes=3):
        # A thread that inherits the variables of the one that starts it would be another Python.
        thread = threading.Thread(
            target=lambda: contextvars.Context().run(lambda: seen.append(limits().max_classes))
        )
        thread.start()
        thread.join()
    assert seen == [2**16]


def test_too_many_classes_are_refused_with_the_option_that_allows_them():
    check_num_classes(2**16, "name='a'")
    with pytest.raises(TooLarge, match=r"--max-classes.*Received: name='a' with 65537 classes"):
        check_num_classes(2**16 + 1, "name='a'")


def test_what_packs_like_images_may_be_of_any_size_and_zeros_may_not():
    check_unpacked(244_000_000, 1000, "path='a'")
    check_unpacked(50 * 2**30, 2**30, "path='a'")
    with pytest.raises(TooLarge, match=r"--max-pixels.*Received: path='a', which unpacks to 1074"):
        check_unpacked(2**30, 2**20, "path='a'")
    with raised_limits(max_pixels=2**28):
        check_unpacked(2**30, 2**20, "path='a'")


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_headers_are_read_without_the_arrays(tmp_path):
    path = npz(tmp_path / "a.npz", x=np.zeros((2, 3), "uint8"), names=np.array(["a", "bc"]))
    headers = read_array_headers(path)
    assert headers["x"] == ((2, 3), np.dtype("uint8")) and headers["names"].dtype == "<U2"


def member(shape, content, descr="|u1"):
    """An array file whose header says a shape that its content need not have."""
    file = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (member((2**40,), b"1234"), "has 1099511627776 bytes, and here are 4"),
        (member((2**62, 2**62), b""), "and here are 0"),
        (member((4,), b"12"), "has 4 bytes, and here are 2"),
        (member((1,), b"12"), "has 1 bytes, and here are 2"),
        (member((1,), b"12345678", "|O"), "Python objects"),
        (b"\x80\x04]\x94.", "header cannot be read"),
        (b"", "header cannot be read"),
        (b"\x93NUMPY\x01\x00" + struct.pack("<H", 20) + b"(" * 20, "header cannot be read"),
        (b"\x93NUMPY\x09\x09" + b"\0" * 40, "header cannot be read"),
    ],
)
def test_a_header_that_is_not_of_its_content_is_refused(tmp_path, content, message):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(DAMAGE, match=message):
        read_array_headers(tmp_path / "a.npz")


def test_an_archive_that_unpacks_to_a_gigabyte_is_refused_by_its_directory(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(2**20))
    content = bytearray(path.read_bytes())
    # The directory at its end says the size that is asked for.
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<I", 2**30)
    path.write_bytes(content)
    with pytest.raises(TooLarge, match="unpacks to 1074 MB"):
        read_array_headers(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat and dog", "cat and dog"),
        ("Café 猫\u00a0x", "Café 猫\u00a0x"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("bell\x07 del\x7f c1\x9b", "bell\\x07 del\\x7f c1\\x9b"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("half \ud800", "half \\ud800"),
        ("two\nlines\tand\rback", "two\nlines\tand\\rback"),
    ],
)
def test_control_characters_become_visible_and_words_stay(text, expected):
    assert visible(text) == expected
    expected.encode()


@pytest.mark.parametrize("name", ["\x1b[31mred", "a\nb", "\x07", "\u202ered", "\ud800"])
def test_a_name_with_control_characters_is_refused(name):
    with pytest.raises(ValueError, match="printable characters alone"):
        check_printable(["cat", name], "class_names")


@pytest.mark.parametrize(
    "labels", [["cat", "dog"], [b"cat", b"dog"], [None, 1], [{}, {}], ["0", "1"], [1j, 2j]]
)
def test_labels_that_are_no_numbers_are_refused_in_words(labels):
    with pytest.raises(ValueError, match=r"`y` must be numbers.*Received: y\.dtype="):
        check_labels(np.array(labels), 4, 2, "y")


def test_a_count_beyond_what_tensors_hold_is_refused():
    assert check_count(2**31 - 1, "steps") == 2**31 - 1
    with pytest.raises(ValueError, match=r"from 1 to 2147483647. Received: steps=99999999999"):
        check_count(99999999999, "steps")


def test_a_seed_may_have_63_bits_and_that_of_a_run_what_keras_takes():
    assert check_seed(2**63 - 1) == 2**63 - 1
    with pytest.raises(ValueError, match=rf"from 0 to {2**63 - 1}. Received: seed={2**63}"):
        check_seed(2**63)
    assert dataclasses.replace(PRESETS["digits"], seed=2**32 - 1).seed == 2**32 - 1
    with pytest.raises(ValueError, match=r"`seed`.*from 0 to 4294967295"):
        dataclasses.replace(PRESETS["digits"], seed=2**32)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("wrong\nmore of it"), "wrong"),
        (
            "Graph execution error:\n\nDetected at node d defined at (most recent call last):\n"
            'File "f.py", line 3, in f\n\nInvalid PNG\n\t [[{{node d}}]] [Op:f]',
            "Invalid PNG",
        ),
        (KeyError(), "KeyError"),
    ],
)
def test_the_first_words_of_an_error_say_what_is_wrong(error, words):
    assert first_words(error) == words
