"""What drawn cases found, and what they must notice."""

import numpy as np
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


@pytest.mark.parametrize("kind", ["a pipe", "a link to a device"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("labels.txt", ("serve-request", "a.npy", "--model", "m", "--labels", "labels.txt")),
        ("a.npy", ("serve-request", "a.npy", "--model", "m")),
        ("images/cat/0.png", ("serve-request", "images/cat/0.png", "--model", "m")),
        ("images/cat/0.png", ("train", "images", *COMMAND_LINES["train"][2:])),
        ("d.npz", COMMAND_LINES["train"]),
    ],
    ids=["labels", "array", "image to send", "image of a folder", "arrays"],
)
def test_no_pipe_or_device_is_read_for_ever(place, name, words, kind):
    Damage(kind, ()).apply(place.path / name, [])
    ending = place.run(words)
    refused_or_done(ending)
    assert ending.status == 2 and ending.megabytes < 200


def test_labels_send_no_control_characters_to_a_terminal(place, monkeypatch):
    (place.path / "labels.txt").write_text("\x1b[31mcat\ndog\nowl\n")
    answer = {"probabilities": np.array([[0.8, 0.1, 0.1]])}
    monkeypatch.setattr(
        "keras_efgsm.serving.rest_client.RestClient.predict", lambda *values: answer
    )
    words = ("serve-request", "a.npy", "--model", "m", "--labels", "labels.txt")
    ending = place.run(words)
    assert ending.status == 0 and "label \\x1b[31mcat" in ending.out and "\x1b" not in ending.out


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
