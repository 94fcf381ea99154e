"""Robust training of Keras image classifiers with enhanced FGSM and a re-constructor.

```python
trainer = AdversarialTrainer(classifier, epsilon=8 / 255)
trainer.compile(optimizer="adam")
trainer.fit(x_train, y_train, batch_size=128, epochs=20, callbacks=[OverfittingStop()])
report = evaluate_robustness(trainer.classifier, (x_test, y_test), PGD(epsilon=8 / 255))
export_classifier(trainer.classifier, "exported_models/mine", class_names=class_names)
```

What most programs use is here; the rest is one step below, in `keras_efgsm.attacks`, `.objectives`,
`.networks`, `.callbacks`, `.data`, `.recipes`, `.evaluation`, `.distances`, `.universal`,
`.export`, `.pretrained`, `.records` and `.serving`, which need no import of their own.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_efgsm.version import __version__

__all__ = [
    "EFGSM",
    "PGD",
    "AdversarialTrainer",
    "OverfittingStop",
    "TrainingConfig",
    "__version__",
    "attacks",
    "callbacks",
    "compare_models",
    "data",
    "diagnose",
    "distances",
    "evaluate_robustness",
    "evaluation",
    "export",
    "export_classifier",
    "export_run",
    "load_classifier",
    "load_data",
    "load_robust",
    "networks",
    "objectives",
    "pretrained",
    "recipes",
    "records",
    "serving",
    "train",
    "tune",
    "universal",
    "write_report",
]

# What needs a package of its own, a certain backend or a second more is imported when it is used.
_LATER = {
    "compare_models": "keras_efgsm.comparison",
    "export_classifier": "keras_efgsm.export",
    "export_run": "keras_efgsm.export",
    "tune": "keras_efgsm.tuning",
    "write_report": "keras_efgsm.report",
}


def _is_command_line() -> bool:
    """Whether this process is the program `keras-efgsm`, whose help must not wait for Keras."""
    words = sys.orig_argv
    module = any(words[i : i + 2] == ["-m", "keras_efgsm"] for i in range(1, len(words)))
    return module or Path(sys.argv[0]).stem == "keras-efgsm"


def __getattr__(name: str) -> Any:
    if name in _LATER:
        value = getattr(importlib.import_module(_LATER[name]), name)
    elif name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    elif importlib.util.find_spec(f"{__name__}.{name}") is not None:
        return importlib.import_module(f"{__name__}.{name}")
    else:
        # In the program first asked for by a network or an attack of the user's own.
        names = importlib.import_module("keras_efgsm.public_names")
        if name not in names.__all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(names, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from keras_efgsm import (
        attacks,
        callbacks,
        data,
        distances,
        evaluation,
        export,
        networks,
        objectives,
        pretrained,
        recipes,
        records,
        serving,
        universal,
    )
    from keras_efgsm.comparison import compare_models
    from keras_efgsm.export import export_classifier, export_run
    from keras_efgsm.public_names import *  # noqa: F403
    from keras_efgsm.public_names import (
        EFGSM,
        PGD,
        AdversarialTrainer,
        OverfittingStop,
        TrainingConfig,
        diagnose,
        evaluate_robustness,
        load_classifier,
        load_data,
        load_robust,
        train,
    )
    from keras_efgsm.report import write_report
    from keras_efgsm.tuning import tune
elif not _is_command_line():
    # At once, as it makes the layers, attacks and optimizers known to `keras.models.load_model`.
    importlib.import_module("keras_efgsm.public_names")
    # An import of everything must not fail for what is not to be had here.
    if importlib.import_module("keras_efgsm.backend").BACKEND != "tensorflow":
        __all__.remove("export_classifier")
        __all__.remove("export_run")
    if importlib.util.find_spec("keras_tuner") is None:
        __all__.remove("tune")
