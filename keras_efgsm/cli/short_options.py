"""Short forms of the options that are typed most, the same in every command that has them."""

import argparse

SHORT = {
    "--attacks": "-a",
    "--batch-size": "-b",
    "--dataset": "-d",
    "--epsilon": "-e",
    "--forms": "-f",
    "--method": "-m",
    "--num-images": "-n",
    "--out": "-o",
    "--quiet": "-q",
    "--recipe": "-r",
    "--seed": "-s",
    "--to": "-t",
    "--verbose": "-v",
    "--version": "-V",
}
"""The short form of each."""


def add_short_options(parser: argparse.ArgumentParser) -> None:
    """Gives a parser the short forms of what it has.

    Args:
        parser: of a command, with all its options.
    """
    for action in parser._actions:
        for name in list(action.option_strings):
            short = SHORT.get(name)
            if short is not None and short not in parser._option_string_actions:
                action.option_strings = [short, *action.option_strings]
                parser._option_string_actions[short] = action
