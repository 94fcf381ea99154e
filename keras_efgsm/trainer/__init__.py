"""The Keras model that trains a classifier adversarially."""

from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

__all__ = ["AdversarialTrainer"]
