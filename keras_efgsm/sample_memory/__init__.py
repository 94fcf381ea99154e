"""Tables by sample id: the momentum Gamma and the training images."""

from keras_efgsm.sample_memory.augmentation import Augmentation, View
from keras_efgsm.sample_memory.batch import TrainingBatch
from keras_efgsm.sample_memory.disk_rows import DiskRows
from keras_efgsm.sample_memory.memory import SampleMemory
from keras_efgsm.sample_memory.momentum import SampleMomentum
from keras_efgsm.sample_memory.read_ahead import stage_ahead

__all__ = [
    "Augmentation",
    "DiskRows",
    "SampleMemory",
    "SampleMomentum",
    "TrainingBatch",
    "View",
    "stage_ahead",
]
