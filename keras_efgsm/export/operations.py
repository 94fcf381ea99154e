"""What is said where a file cannot be made: the cause in one line of plain words."""

import re
from collections.abc import Iterable

from keras_efgsm.form import ExportError

_LONGEST = 200
# Colours of a terminal, and where in its own source a library raised.
_NO_WORDS = re.compile(r"\x1b\[[0-9;]*m|(?<!\S)/?[\w.+-]+(/[\w.+-]+)+\.(cpp|cc|h|py)(:\d+)*:?")


def plain(error: BaseException | str) -> str:
    """Returns what an error says in one line, without control characters and sources of a library.

    Args:
        error: or its message.

    Example:

    ```python
    plain(RuntimeError("src/core/graph.cpp:84: no rule for  FFT2D"))  # "no rule for FFT2D"
    ```
    """
    text = _NO_WORDS.sub(" ", str(error))
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= _LONGEST else words[: _LONGEST - 3] + "..."


def reason_of(error: ExportError) -> str:
    """Returns why a form is left out: what its error says, up to what was received.

    Args:
        error: that writing it raised.
    """
    return plain(str(error).split(" Received: ")[0])


def lacking(
    runtime: str, operations: Iterable[str], error: BaseException, received: str
) -> Exception:
    """Returns the error for a classifier with operations that a runtime has not.

    Args:
        runtime: its name.
        operations: names of those that it lacks; none where they are not known.
        error: what its converter raised.
        received: how the message ends, after `Received: `.
    """
    names = ", ".join(dict.fromkeys(operations))
    cause = f"it has none for {names}" if names else plain(error)
    return ExportError(
        f"The classifier must be made of operations that {runtime} has built in; {cause}. "
        f"Received: {received}"
    )
