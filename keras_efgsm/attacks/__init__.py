"""Attacks of training and evaluation; all share `Attack.perturb`."""

from keras_efgsm.attacks.attack import Attack, Perturbed
from keras_efgsm.attacks.efgsm import EFGSM
from keras_efgsm.attacks.fgsm import FGSM
from keras_efgsm.attacks.identity import Identity
from keras_efgsm.attacks.pgd import PGD

__all__ = ["EFGSM", "FGSM", "PGD", "Attack", "Identity", "Perturbed"]
