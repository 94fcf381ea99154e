"""The way of a folder of one's own, from training to a served answer."""

import pytest

from integration import own_images


@pytest.mark.slow(reason="a folder of images the whole way, from training to a served answer")
def test_a_folder_of_jpegs_becomes_a_served_model(tmp_path, capfd):
    with capfd.disabled():
        failed = own_images.run(tmp_path, ("own-file",))
    assert not failed
    assert (tmp_path / "exported" / "own-file" / "own-file-1.measured.json").is_file()
