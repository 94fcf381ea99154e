"""The command line `keras-efgsm`: the functions of the Python API, one command each."""

import argparse
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; what was wrong with the input goes to stderr in one line, exit status 2.

    Args:
        arguments: the words after the program's name. Defaults to those of the process.

    Returns:
        0 on success, 2 on bad input, 130 when interrupted.
    """
    from keras_efgsm.cli import (
        diagnose,
        evaluate,
        export,
        measure,
        methods,
        quickstart,
        report,
        serve_config,
        serve_request,
        train,
        tune,
    )

    parser = argparse.ArgumentParser(
        prog="keras-efgsm",
        description="Robust training of Keras image classifiers with eFGSM and a re-constructor.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (
        *(train, methods, tune, evaluate, diagnose, report, export, measure),
        *(serve_config, serve_request, quickstart),
    ):
        module.add_command(commands)
    options = parser.parse_args(arguments)
    options.words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options.run(options)
    except (ValueError, OSError, MemoryError, ImportError) as error:
        print(f"keras-efgsm {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        where = f"; {interrupt}" if str(interrupt) else ""
        print(f"\nkeras-efgsm {options.command}: interrupted{where}", file=sys.stderr)
        return 130
    return 0
