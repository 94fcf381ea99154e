"""The Keras model that trains a classifier adversarially, and its parts."""

from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
from keras_efgsm.trainer.defaults import recommended_attack
from keras_efgsm.trainer.progress import TrainingProgress
from keras_efgsm.trainer.step import TrainingStep

__all__ = ["AdversarialTrainer", "TrainingProgress", "TrainingStep", "recommended_attack"]
