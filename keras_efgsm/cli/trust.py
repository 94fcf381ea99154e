"""What a command says of files that a stranger may have made."""

import sys
from pathlib import Path

TRUST = (
    "Measure and export only what you trust: a SavedModel and an OpenVINO or ONNX file run the "
    "graph of whoever made them, with your rights, and a .keras or .h5 file builds the "
    "layers that it names; code that it stores runs only with --unsafe, and then with your rights "
    "too. The digests of an export tell a damaged file from a whole one, not who made it."
)


def say_without_digests(path: str | Path) -> None:
    """Prints to stderr that an export has no digests to check its files by, if it has none.

    Args:
        path: its version folder, or one of its files.
    """
    from keras_efgsm.records.exported_files import without_digests

    sentence = without_digests(Path(path))
    if sentence:
        print(sentence, file=sys.stderr)
