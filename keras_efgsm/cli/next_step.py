"""The command that comes next, said at the end of one."""

import argparse
import shlex
from typing import Any

from rich.console import Console

from keras_efgsm.recipes.command import written

# What says which images and which model, as several commands have it.
_SHARED = ("dataset", "data_dir", "image_size", "channels", "output", "output_name", "unsafe")


def say_next(command: str, *words: Any) -> None:
    """Prints the line that can be pasted.

    Args:
        command: name of the command.
        *words: what it is given; None is left out.

    Example:

    ```python
    say_next("evaluate", "runs/my digits")  # next: keras-efgsm evaluate 'runs/my digits'
    ```
    """
    line = shlex.join(["keras-efgsm", command, *(str(word) for word in words if word is not None)])
    Console().print(f"next: {line}", soft_wrap=True, markup=False, highlight=False)


def same_images(options: argparse.Namespace, **others: Any) -> list[str]:
    """The words by which the next command reads the same model and images.

    Args:
        options: of this command; what was not given, or is the default, is left out.
        **others: more options by name, such as `epsilon`; None is left out.
    """
    given = {name: getattr(options, name, None) for name in _SHARED}
    words: list[str] = []
    for name, value in {**given, **others}.items():
        if value in (None, False, "auto"):
            continue
        words.append(f"--{name.replace('_', '-')}")
        if isinstance(value, (list, tuple)):
            words += map(written, value)
        elif value is not True:
            words.append(written(value))
    return words
