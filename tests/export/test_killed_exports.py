"""What an export that was killed leaves behind, and what the next one makes of it."""

import json

import pytest

from keras_efgsm.export import versions
from keras_efgsm.file_lock import LOCK_FILE


def below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def export(to, *names):
    """Exports files with these endings, as far as versions go."""
    with versions.next_version(to) as (version, partial):
        sources = [partial / f"m-{version}{name}" for name in names]
        for source in sources:
            source.write_text("whole")
        versions.publish({source: to / source.name for source in sources})
    return version


def killed(to, version, *, there=(), published=(), listed=None):
    """Makes what an export leaves that was killed while it was published."""
    partial = to / f".{version}.partial"
    partial.mkdir(parents=True)
    (partial / LOCK_FILE).write_text("process 1 on elsewhere")
    for name in there:
        (partial / name).write_text("whole")
    for name in published:
        (to / name).write_text("whole")
    names = [*there, *published] if listed is None else listed
    (partial / ".publishing").write_text(json.dumps(names))


def test_a_folder_that_a_kill_left_goes_and_its_version_is_used(tmp_path):
    (tmp_path / ".1.partial" / "saved_model").mkdir(parents=True)
    (tmp_path / ".4.partial").mkdir()
    assert export(tmp_path, ".md", ".tflite") == 1
    assert below(tmp_path) == ["m-1.md", "m-1.tflite"]


def test_an_export_that_is_at_work_keeps_its_folder_and_its_version(tmp_path):
    with versions.next_version(tmp_path) as (version, partial):
        assert version == 1
        assert export(tmp_path, ".md") == 2
        assert (partial / LOCK_FILE).exists()
    assert below(tmp_path) == ["m-2.md"]


def test_what_was_published_in_part_is_taken_back(tmp_path):
    killed(tmp_path, 1, there=["m-1.json", "1"], published=["m-1.md", "m-1.tflite"])
    assert export(tmp_path, ".md") == 1
    assert below(tmp_path) == ["m-1.md"]


def test_what_was_published_as_a_whole_stays(tmp_path):
    killed(tmp_path, 1, published=["m-1.md", "m-1.tflite"])
    assert export(tmp_path, ".md") == 2
    assert below(tmp_path) == ["m-1.md", "m-1.tflite", "m-2.md"]


@pytest.mark.parametrize(
    "listed",
    [["../m-1.md", "m-2.md", "notes", "m-1.json"], {"m-1.json": 1}, 5, None, ["..", "/etc/passwd"]],
    ids=str,
)
def test_a_list_of_something_else_removes_nothing_of_others(tmp_path, listed):
    to = tmp_path / "m"
    killed(to, 1, there=["m-1.json"], published=["m-2.md", "notes"], listed=listed)
    (tmp_path / "m-1.md").write_text("of another model")
    assert export(to, ".tflite") == 3
    assert below(tmp_path) == ["m", "m-1.md", "m/m-2.md", "m/m-3.tflite", "m/notes"]


def test_where_locks_do_not_work_nothing_is_taken_for_stale(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_efgsm.file_lock.fcntl", None)
    (tmp_path / ".1.partial").mkdir()
    assert export(tmp_path, ".md") == 2
    assert below(tmp_path) == [".1.partial", "m-2.md"]


def test_a_file_of_that_name_is_no_export(tmp_path):
    (tmp_path / ".1.partial").write_text("a file")
    (tmp_path / ".notes.partial").mkdir()
    assert export(tmp_path, ".md") == 2
    assert below(tmp_path) == [".1.partial", ".notes.partial", "m-2.md"]
