"""The command line `keras-efgsm`: the functions of the Python API, one command each."""

import argparse
import contextlib
import difflib
import importlib
import inspect
import sys
from collections.abc import Sequence
from typing import NoReturn

from keras_efgsm.cli.ending import ended_at_once, run_to_an_end
from keras_efgsm.cli.quiet import import_everything, silence, without_log_lines
from keras_efgsm.cli.short_options import add_short_options
from keras_efgsm.limits import Limits, raised_limits
from keras_efgsm.version import __version__

# A command is a module here with `add_command`, and its name in this list.
COMMANDS = (
    "train",
    "methods",
    "tune",
    "evaluate",
    "compare",
    "diagnose",
    "distance",
    "universal",
    "report",
    "tensorboard",
    "export",
    "measure",
    "serve-config",
    "serve-request",
    "quickstart",
)
# Options that say where something lies or goes.
_PLACES = (
    "out",
    "to",
    "json",
    "page",
    "picture",
    "state",
    "save_adversarial",
    "save_images",
    "data_dir",
    "momentum_directory",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command, and says in one line why it did not end well.

    Args:
        arguments: the words after the program's name. Defaults to those of the process.

    Returns:
        0 on success, 2 on bad input, 70 on a fault of this program (with its traceback), 130 when
        interrupted by Ctrl-C, SIGTERM or SIGHUP, 141 when nobody reads what it prints.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    is_program = arguments is None
    program = ["keras-efgsm"]

    def run() -> int:
        options = make_parser(words).parse_args(words)
        options.words = words
        program.append(options.command)
        _check_places(options)
        if not options.verbose:
            silence()
        light = getattr(options, "light", False)  # a command that needs no network
        # A program that calls this function keeps its stderr.
        is_quiet = is_program and not options.verbose and not light
        with without_log_lines() if is_quiet else contextlib.nullcontext():
            if not light:
                with ended_at_once(name) if is_program else contextlib.nullcontext():
                    import_everything()
            with raised_limits(max_classes=options.max_classes, max_pixels=options.max_pixels):
                options.run(options)
        return 0

    def name() -> str:
        return " ".join(program)

    return run_to_an_end(run, name, debug="--debug" in words, is_program=is_program)


def _check_places(options: argparse.Namespace) -> None:
    """Refuses blank names of files and folders, which would be taken for none."""
    for name in _PLACES:
        value = getattr(options, name, None)
        if isinstance(value, str) and not value.strip():
            flag = f"--{name.replace('_', '-')}"
            raise ValueError(f"`{flag}` must name a file or folder. Received: {name}={value!r}")


def make_parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser of all commands; nothing heavy is imported for it.

    Args:
        words: what it will parse. Defaults to nothing.
    """
    parser = _Parser(
        prog="keras-efgsm",
        description="Robust training of Keras image classifiers with eFGSM and a re-constructor.",
        allow_abbrev=False,
    )
    _add_common(parser)
    add_short_options(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"keras_efgsm.cli.{name.replace('-', '_')}")
        if "words" in inspect.signature(module.add_command).parameters:
            module.add_command(commands, words)
        else:
            module.add_command(commands)
        _add_common(commands.choices[name])
        _add_limits(commands.choices[name])
        _shorten_usage(commands.choices[name])
        add_short_options(commands.choices[name])
    return parser


def _shorten_usage(parser: argparse.ArgumentParser) -> None:
    """Names what must be given: a typing error does not need a whole screen of options."""
    if parser.usage is None:
        words = [parser.prog]
        for action in parser._actions:
            value = action.metavar or action.dest.upper()
            if not action.option_strings:
                words.append(f"{value} ..." if action.nargs == "+" else str(value))
            elif action.required:
                words.append(f"{action.option_strings[0]} {value}")
        parser.usage = " ".join([*words, "[options]"]).replace("%", "%%")


class _Parser(argparse.ArgumentParser):
    """Names the nearest option of one that there is not."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments: "):
            command = next(
                (a for a in self._actions if isinstance(a, argparse._SubParsersAction)), None
            )
            known = list(self._option_string_actions)
            for parser in command.choices.values() if command else ():
                known += parser._option_string_actions
            for word in message.split()[2:]:
                near = difflib.get_close_matches(word.partition("=")[0], known, 1)
                if word.startswith("--") and near:
                    message += f" (did you mean {near[0]}?)"
        super().error(message)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    """What every command that reads files is bounded by, see `keras_efgsm.limits`."""
    most = Limits()
    group = parser.add_argument_group("files of strangers")
    group.add_argument(
        "--max-classes",
        type=int,
        metavar="N",
        help=f"refuse data of more classes; default {most.max_classes}",
    )
    group.add_argument(
        "--max-pixels",
        type=int,
        metavar="N",
        help="refuse an image file of more pixels by its header, and packed files that unpack to "
        f"more than four bytes for each and 100 times their size; default {most.max_pixels}",
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    """What every command has, unless it has one of the name itself."""
    known = parser._option_string_actions
    if "--version" not in known:
        parser.add_argument("--version", action="version", version=f"keras-efgsm {__version__}")
    if "--verbose" not in known:
        parser.add_argument(
            "--verbose",
            action="store_true",
            default=argparse.SUPPRESS if parser.prog.count(" ") else False,
            help="show what TensorFlow logs as well",
        )
    if "--debug" not in known:
        parser.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS if parser.prog.count(" ") else False,
            help="show the traceback of whatever ends the command",
        )
