"""Robust training of Keras image classifiers with enhanced FGSM and a re-constructor.

```python
trainer = AdversarialTrainer(classifier, EFGSM(epsilon=0.3), reconstructor)
trainer.compile(optimizer="adam")
trainer.fit(x_train, y_train, batch_size=128, epochs=20, callbacks=[OverfittingStop()])
report = evaluate_robustness(trainer.classifier, (x_test, y_test), PGD(epsilon=0.3))
export_classifier(trainer.classifier, "exported_models/mine", class_names=names)
```
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
from keras_efgsm.backend import BACKEND
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
from keras_efgsm.evaluation import (
    ATTACK_SETS,
    StraightThrough,
    Transfer,
    evaluate_robustness,
    load_classifier,
    make_attacks,
)
from keras_efgsm.export import forms as _forms  # fills the table of forms  # noqa: F401
from keras_efgsm.networks import (
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
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS, Method
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.runs.training import train
from keras_efgsm.sample_memory.momentum import SampleMomentum
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
from keras_efgsm.version import __version__

if BACKEND == "tensorflow":
    from keras_efgsm.export import export_classifier

__all__ = [
    "APGD",
    "ATTACK_SETS",
    "EFGSM",
    "FGSM",
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
    "__version__",
    "diagnose",
    "digits_classifier",
    "digits_reconstructor",
    "evaluate_robustness",
    "export_classifier",
    "load_classifier",
    "load_data",
    "make_attacks",
    "mnist_classifier",
    "mnist_paper_classifier",
    "mnist_reconstructor",
    "train",
    "with_sample_ids",
]

if BACKEND != "tensorflow":
    # An import of everything must not fail for it.
    __all__.remove("export_classifier")


def __getattr__(name: str):
    if name == "export_classifier":
        # Says how to export what was trained on this backend.
        from keras_efgsm.export import export_classifier

        return export_classifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
