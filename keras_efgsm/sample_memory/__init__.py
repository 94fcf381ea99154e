"""What is kept for each training sample, by its id: the momentum Gamma and what it follows."""

from keras_efgsm.sample_memory.augmentation import Augmentation
from keras_efgsm.sample_memory.momentum import SampleMomentum

__all__ = ["Augmentation", "SampleMomentum"]
