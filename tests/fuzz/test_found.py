"""What drawn cases found, and what they must notice."""

import pytest

from support.command_lines import COMMAND_LINES
from support.fuzzed_commands import refused_or_done
from support.mutations import Damage


@pytest.mark.parametrize("name", ["1e3", "nowhere", ""])
def test_a_search_of_what_cannot_be_built_leaves_no_folder(place, name):
    ending = place.run((*COMMAND_LINES["tune"], "--freeze-until", name))
    refused_or_done(ending)
    assert ending.status == 2 and "`freeze_until` must be" in ending.err


@pytest.mark.parametrize("name", ["log.jsonl", "history.csv", "checkpoint.npz", "config.json"])
@pytest.mark.parametrize("kind", ["a pipe", "a link to a device", "a folder"])
def test_a_run_whose_file_is_a_pipe_or_a_device_is_not_resumed(place, name, kind):
    Damage(kind, ()).apply(place.path / "half" / name, [])
    words = (*COMMAND_LINES["train"], "--epochs", "3", "--out", "half", "--resume")
    ending = place.run(words)
    refused_or_done(ending)
    assert ending.status == 2


def _leaves(options):
    open("left", "w").close()
    raise ValueError("It must be so. Received: x=1")


def _says_lines(options):
    raise ValueError("It must be so:\nthis\nand that. Received: x=1")


def _takes_memory(options):
    bytearray(b"x") * 1_200_000_000


@pytest.mark.parametrize("work", [_leaves, _says_lines, _takes_memory])
def test_a_command_that_breaks_its_promise_is_noticed(place, monkeypatch, work):
    monkeypatch.setattr("keras_efgsm.cli.report.run", work)
    with pytest.raises(AssertionError):
        refused_or_done(place.run(("report", "run")))
