"""Attacks of training and evaluation; all share `Attack.perturb`.

An attack is its own file, which says all about it, and its line here. `ATTACKS` has all of them by
name.
"""

from keras_efgsm.attacks.apgd import APGD, TargetedAPGD
from keras_efgsm.attacks.attack import Attack, Budget, Perturbed
from keras_efgsm.attacks.efgsm import EFGSM
from keras_efgsm.attacks.fab import TargetedFAB
from keras_efgsm.attacks.fgsm import FGSM
from keras_efgsm.attacks.free_replay import FreeReplay
from keras_efgsm.attacks.identity import Identity
from keras_efgsm.attacks.logits import expected_logits
from keras_efgsm.attacks.n_fgsm import NFGSM
from keras_efgsm.attacks.nuclear_attack import NuclearAttack
from keras_efgsm.attacks.pgd import PGD
from keras_efgsm.attacks.prior_fgsm import PriorFGSM
from keras_efgsm.attacks.random_sampling import RandomSampling
from keras_efgsm.attacks.registry import (
    ATTACKS,
    NamedAttack,
    find_attack,
    named_attacks,
    register_attack,
)
from keras_efgsm.attacks.spsa import SPSA
from keras_efgsm.attacks.square import Square
from keras_efgsm.attacks.trades_attack import TradesAttack
from keras_efgsm.attacks.yopo import YOPO
from keras_efgsm.attacks.zo_sign import ZOSignSGD

__all__ = [
    "APGD",
    "ATTACKS",
    "EFGSM",
    "FGSM",
    "NFGSM",
    "PGD",
    "SPSA",
    "YOPO",
    "Attack",
    "Budget",
    "FreeReplay",
    "Identity",
    "NamedAttack",
    "NuclearAttack",
    "Perturbed",
    "PriorFGSM",
    "RandomSampling",
    "Square",
    "TargetedAPGD",
    "TargetedFAB",
    "TradesAttack",
    "ZOSignSGD",
    "expected_logits",
    "find_attack",
    "named_attacks",
    "register_attack",
]
