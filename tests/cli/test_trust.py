"""What a command says of files that it did not write."""

import argparse

import pytest

from keras_efgsm.cli import COMMANDS, main, make_parser
from keras_efgsm.cli.trust import TRUST
from keras_efgsm.limits import limits


def parsers():
    parser = make_parser()
    (action,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return action.choices


def one_line(text):
    return " ".join(text.split())


@pytest.mark.parametrize(
    "command", ["evaluate", "compare", "diagnose", "export", "measure", "report"]
)
def test_what_runs_a_strangers_graph_says_so_in_its_help(command):
    assert "only what you trust" in TRUST
    assert one_line(TRUST) in one_line(parsers()[command].format_help())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_the_options_that_raise_the_bounds(command):
    assert {"--max-classes", "--max-pixels"} <= parsers()[command]._option_string_actions.keys()


@pytest.fixture
def seen(monkeypatch):
    """The bounds inside a command that does nothing else."""
    found = []
    monkeypatch.setattr("keras_efgsm.cli.serve_config.run", lambda _: found.append(limits()))
    return found


def test_the_options_raise_the_bounds_of_a_command_alone(seen):
    assert main(["serve-config", "x", "--max-classes", "100000", "--max-pixels", "7"]) == 0
    assert (seen[0].max_classes, seen[0].max_pixels) == (100_000, 7)
    assert limits().max_classes == 2**16


@pytest.mark.parametrize("value", ["0", "-1"])
def test_a_bound_that_is_none_is_refused(seen, value, capsys):
    assert main(["serve-config", "x", "--max-pixels", value]) == 2
    assert f"Received: max_pixels={value}" in capsys.readouterr().err
    assert not seen


def test_an_error_with_a_strangers_text_sends_no_control_characters(monkeypatch, capsys):
    def fail(options):
        raise ValueError("\x1b]0;title\x07\x1b[31m")

    monkeypatch.setattr("keras_efgsm.cli.serve_config.run", fail)
    assert main(["serve-config", "x"]) == 2
    said = capsys.readouterr().err
    assert said == "keras-efgsm serve-config: \\x1b]0;title\\x07\\x1b[31m\n"
