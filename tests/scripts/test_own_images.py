"""The way of a folder of one's own, from training to a served answer."""

import pytest

from integration import own_images


@pytest.mark.exhaustive(
    reason="the diagnosis of its 8 images needs 20 that are classified correctly, or none"
)
def test_a_folder_of_jpegs_becomes_a_served_model(tmp_path, capfd):
    with capfd.disabled():
        failed = own_images.run(tmp_path, ("colour",))
    assert not failed
    assert (tmp_path / "exported" / "colour" / "colour-1.measured.json").is_file()
