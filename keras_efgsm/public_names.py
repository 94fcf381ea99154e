"""What is imported from the top; its import makes all that can be saved known to Keras.

`keras_efgsm.__all__` offers the names that most programs use. The others have their place one step
below, and stay here for the programs that import them from the top.
"""

from keras_efgsm.attacks import (
    APGD,
    EFGSM,
    FGSM,
    NFGSM,
    PGD,
    SPSA,
    YOPO,
    Attack,
    FreeReplay,
    Identity,
    NuclearAttack,
    PriorFGSM,
    RandomSampling,
    Square,
    TargetedAPGD,
    TargetedFAB,
    TradesAttack,
)
from keras_efgsm.callbacks import (
    AdversarialTensorBoard,
    MarginWarning,
    MomentumReset,
    OverfittingStop,
    TimeLeft,
    WeightAveraging,
)
from keras_efgsm.data import ImageData, load_data, with_sample_ids
from keras_efgsm.diagnosis import diagnose
from keras_efgsm.distances import table as _table  # noqa: F401  # makes them known to Keras
from keras_efgsm.evaluation import (
    ATTACK_SETS,
    StraightThrough,
    Transfer,
    evaluate_robustness,
    load_classifier,
    make_attacks,
)
from keras_efgsm.export import forms as _forms  # noqa: F401  # fills the table of forms
from keras_efgsm.networks import (
    CLASSIFIERS,
    digits_classifier,
    digits_reconstructor,
    mnist_classifier,
    mnist_paper_classifier,
    mnist_reconstructor,
)
from keras_efgsm.objectives import (
    AdversarialCrossEntropy,
    GradientRegularisation,
    JointReconstruction,
    LogitConsistency,
    LogitPairing,
    NuclearNorm,
    Objective,
    Trades,
)
from keras_efgsm.pretrained import load_robust, robust_models
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS, Method
from keras_efgsm.recipes.optimizers import L2SGD
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.recipes.schedules import OneCycle
from keras_efgsm.runs.training import train
from keras_efgsm.sample_memory.augmentation import Augmentation
from keras_efgsm.sample_memory.momentum import SampleMomentum
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

__all__: list[str] = [
    "APGD",
    "ATTACK_SETS",
    "CLASSIFIERS",
    "EFGSM",
    "FGSM",
    "L2SGD",
    "METHODS",
    "NFGSM",
    "PGD",
    "PRESETS",
    "SPSA",
    "YOPO",
    "AdversarialCrossEntropy",
    "AdversarialTensorBoard",
    "AdversarialTrainer",
    "Attack",
    "Augmentation",
    "FreeReplay",
    "GradientRegularisation",
    "Identity",
    "ImageData",
    "JointReconstruction",
    "LogitConsistency",
    "LogitPairing",
    "MarginWarning",
    "Method",
    "MomentumReset",
    "NuclearAttack",
    "NuclearNorm",
    "Objective",
    "OneCycle",
    "OverfittingStop",
    "PriorFGSM",
    "RandomSampling",
    "SampleMomentum",
    "Square",
    "StraightThrough",
    "TargetedAPGD",
    "TargetedFAB",
    "TimeLeft",
    "Trades",
    "TradesAttack",
    "TrainingConfig",
    "Transfer",
    "WeightAveraging",
    "diagnose",
    "digits_classifier",
    "digits_reconstructor",
    "evaluate_robustness",
    "load_classifier",
    "load_data",
    "load_robust",
    "make_attacks",
    "mnist_classifier",
    "mnist_paper_classifier",
    "mnist_reconstructor",
    "robust_models",
    "train",
    "with_sample_ids",
]
