"""Data: labelled images in memory, and pipelines that number their samples."""

from keras_efgsm.backend import BACKEND
from keras_efgsm.data.digits_source import load_digits
from keras_efgsm.data.folder_source import load_folder
from keras_efgsm.data.image_data import ImageData
from keras_efgsm.data.loading import load_data
from keras_efgsm.data.npz_source import load_npz, save_npz
from keras_efgsm.data.sample_ids import with_sample_ids
from keras_efgsm.data.steps import steps_per_epoch
from keras_efgsm.data.tfds_source import load_tfds

if BACKEND == "tensorflow":
    from keras_efgsm.data.pipeline import evaluation_dataset, training_dataset
else:
    from keras_efgsm.data.array_batches import evaluation_dataset, training_dataset

__all__ = [
    "ImageData",
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
