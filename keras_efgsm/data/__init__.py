"""Data: labelled images in memory, and pipelines that number their samples."""

import importlib
from typing import TYPE_CHECKING, Any

from keras_efgsm.data.digits_source import load_digits
from keras_efgsm.data.folder_source import load_folder
from keras_efgsm.data.image_data import ImageData
from keras_efgsm.data.loading import describe_source, load_data
from keras_efgsm.data.npz_source import load_npz, save_npz
from keras_efgsm.data.source import LoadOptions, Source, UnknownDataset
from keras_efgsm.data.source_facts import SourceFacts
from keras_efgsm.data.sources import SOURCES
from keras_efgsm.data.steps import steps_per_epoch
from keras_efgsm.data.tfds_source import load_tfds

if TYPE_CHECKING:
    from keras_efgsm.data.pipeline import evaluation_dataset, training_dataset
    from keras_efgsm.sample_memory.sample_ids import with_sample_ids

__all__ = [
    "SOURCES",
    "ImageData",
    "LoadOptions",
    "Source",
    "SourceFacts",
    "UnknownDataset",
    "describe_source",
    "evaluation_dataset",
    "load_data",
    "load_digits",
    "load_folder",
    "load_npz",
    "load_tfds",
    "save_npz",
    "steps_per_epoch",
    "training_dataset",
    "with_sample_ids",
]


def __getattr__(name: str) -> Any:
    # The pipelines alone need Keras: a folder is described before anything heavy is imported.
    if name == "with_sample_ids":
        return importlib.import_module("keras_efgsm.sample_memory.sample_ids").with_sample_ids
    if name not in ("evaluation_dataset", "training_dataset"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from keras_efgsm.backend import BACKEND

    module = "pipeline" if BACKEND == "tensorflow" else "array_batches"
    return getattr(importlib.import_module(f"keras_efgsm.data.{module}"), name)
