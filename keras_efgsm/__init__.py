"""Robust training of Keras image classifiers with enhanced FGSM and a re-constructor."""

__version__ = "0.1.0"
