"""Every option of every command with values of every wrong kind."""

import argparse

import pytest
from hypothesis import strategies as st

from keras_efgsm.cli import COMMANDS, make_parser
from support.command_lines import COMMAND_LINES
from support.drawn import few_or_many, hold
from support.fuzzed_commands import refused_or_done

# Words that are no value of something, of which each option refuses most.
WORDS = (
    *("", " ", "x", "none", "None", "true", "-", "--", "-1", "0", "1", "2", "-0", "0.5", "1.5"),
    *("nan", "inf", "-inf", "1e400", "1e-400", "1e30", "1/0", "0/0", "1/3", "8/255", "1//2"),
    *("9" * 30, "-" + "9" * 30, "9" * 5000, "1_0", "\u0661\u0662", "\u00bd", "0x10", "1e3", "007"),
    *("a,b", ",", "square,", ",".join(["square"] * 50), "1:2", "sigma=1:0", "lambda=nan:inf", "="),
    *(
        "\x1b[2J",
        "a\x00b",
        "\udcff",
        "\u202egpj",
        "caf\u00e9",
        "\U0001f600",
        "a\nb",
        "\t",
        "'",
        "%s",
    ),
    *("{}", "[]", "[1, 2]", '{"a": 1}', "null", "1" + "0" * 400, "x" * 5000, "..", "."),
    *("run", "d.npz", "mine.keras", "images", "exported", "no/such/file"),
    *("os:system", "os.path:join", "module:function", ":", "a:b:c", "keras_efgsm:fgsm"),
)


def _options(command):
    """The options of a command, each with how many values it takes; an operand is None."""
    parser = make_parser()
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    found = []
    for action in commands.choices[command]._actions:
        if {"--help", "--version", "--debug"} & set(action.option_strings):
            continue
        count = action.nargs if isinstance(action.nargs, int) else 1
        flags = action.option_strings
        found.append((flags[0] if flags else None, count))
    return found


def _words(command):
    base = COMMAND_LINES[command]
    one = st.sampled_from(WORDS)

    def build(option, values):
        flag, count = option
        if flag is None:
            return (base[0], values[0], *base[2:])
        # An option without a value is refused one, and an option that is given twice counts last.
        return (*base, flag, *values[:count]) if count else (*base, flag)

    return st.builds(
        build, st.sampled_from(_options(command)), st.lists(one, min_size=2, max_size=2)
    )


@pytest.mark.parametrize("command", COMMANDS)
@few_or_many(2, 45)
def test_an_option_of_a_wrong_kind_is_refused_in_one_line_or_taken(place, command, cases):
    def check(words):
        try:
            refused_or_done(place.run(words))
        finally:
            place.restore()

    hold(check, _words(command), cases)
