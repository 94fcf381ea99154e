"""An image that is far larger than what is made of it is held once, or nearly."""

import sys

import numpy as np
import pytest
from PIL import Image

from keras_efgsm.data.folder_files import ImageFiles
from keras_efgsm.data.folder_source import read_files
from keras_efgsm.data.image_header import read_header
from keras_efgsm.limits import Limits
from support.fuzzed_commands import bounded

SIDE = 3000
ORIENTATION = 274


def files(tmp_path, kind, mode, side, **options):
    path = tmp_path / f"{side}.{kind.lower()}"
    Image.new(mode, (side, side)).save(path, kind, **options)
    return ImageFiles((path,), np.zeros(1, "int32"))


def test_what_a_decoder_holds_several_times_may_have_fewer_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_efgsm.data.image_header.limits", lambda: Limits(max_pixels=3600))
    monkeypatch.setattr("keras_efgsm.data.image_header.Limits", lambda: Limits(max_pixels=3600))
    for kind, most, options in (
        ("PNG", 60, {}),
        ("JPEG", 60, {"subsampling": 0}),
        ("JPEG", 42, {"progressive": True, "subsampling": 2}),
        ("JPEG", 34, {"progressive": True, "subsampling": 0}),
        ("GIF", 30, {}),
        ("BMP", 30, {}),
        ("WEBP", 26, {}),
    ):
        (file,) = files(tmp_path, kind, "RGB", most, **options).files
        assert read_header(file).height == most
        (file,) = files(tmp_path, kind, "RGB", most + 1, **options).files
        with pytest.raises(ValueError, match="this kind may have at most .* `--max-pixels`"):
            read_header(file)


def on_its_side():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return exif


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads peaks of memory from /proc")
@pytest.mark.parametrize(
    ("kind", "mode", "channels", "options", "most"),
    [
        ("PNG", "1", 3, {}, 3),
        ("JPEG", "L", 3, {}, 3),
        ("JPEG", "RGB", 3, {"exif": on_its_side()}, 3),
        ("JPEG", "CMYK", 1, {}, 3),
        ("GIF", "L", 3, {}, 5),
        ("BMP", "RGB", 3, {}, 8),
    ],
    ids=["PNG", "JPEG", "turned", "four inks", "GIF", "BMP"],
)
def test_a_large_image_takes_the_bytes_of_its_pixels_once(
    kind, mode, channels, options, most, tmp_path
):
    shape = (8, 8, channels)
    read_files(files(tmp_path, kind, mode, 64, **options), shape, True)  # what loads, loads now
    large = files(tmp_path, kind, mode, SIDE, **options)
    with bounded() as grown:
        read_files(large, shape, True)
        megabytes = grown()
    # `most` bytes for each pixel: three channels, and what Pillow has beside them: one or four of
    # the image, and a strip of it in colour.
    assert megabytes < 1.2 * most * SIDE**2 / 2**20
