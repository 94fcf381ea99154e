"""The table of the sources of images. A new one is its file and one line here."""

from __future__ import annotations

from pathlib import Path

from keras_efgsm.data.digits_source import DigitsSource
from keras_efgsm.data.folder_source import FolderSource
from keras_efgsm.data.npz_source import NpzSource
from keras_efgsm.data.source import LoadOptions, Source
from keras_efgsm.data.tfds_source import TfdsSource

SOURCES: dict[str, Source] = {
    "tfds": TfdsSource(),
    "npz": NpzSource(),
    "folder": FolderSource(),
    "digits": DigitsSource(),
}
"""Sources of images by name.

Of those that claim a data set the last one has it, so that one added by a user, as
`SOURCES["mine"] = MySource()`, goes before all of these.
"""


def find_source(dataset: str, options: LoadOptions) -> Source:
    """Returns the source whose name or path `dataset` is.

    Args:
        dataset: a name or a path.
        options: how it is to be loaded.

    Raises:
        ValueError: if no source claims it; the message lists what each accepts.
    """
    for source in reversed(SOURCES.values()):
        if dataset and source.claims(dataset, options):
            return source
    there = Path(dataset).expanduser().exists()
    what = "this file or folder is of no known kind" if there else "no such file or folder"
    raise ValueError(
        f"`dataset` must name a data set that there is ({what}). {accepted()}\n"
        f"Received: dataset={dataset!r}"
    )


def accepted() -> str:
    """Returns what all sources accept, one line for each."""
    lines = "".join(f"\n  - {source.accepts}" for source in reversed(SOURCES.values()))
    return f"Accepted are:{lines}"
