"""Robust training of Keras image classifiers with enhanced FGSM and a re-constructor.

```python
trainer = AdversarialTrainer(classifier, EFGSM(epsilon=0.3), reconstructor)
trainer.compile(optimizer="adam")
trainer.fit(x_train, y_train, batch_size=128, epochs=20, callbacks=[OverfittingStop()])
report = evaluate_robustness(trainer.classifier, (x_test, y_test), PGD(epsilon=0.3))
export_classifier(trainer.classifier, "exported_models/mine", class_names=class_names)
```
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_efgsm.version import __version__


def _is_command_line() -> bool:
    """Whether this process is the program `keras-efgsm`, whose help must not wait for Keras."""
    words = sys.orig_argv
    module = any(words[i : i + 2] == ["-m", "keras_efgsm"] for i in range(1, len(words)))
    return module or Path(sys.argv[0]).stem == "keras-efgsm"


if TYPE_CHECKING or not _is_command_line():
    # At once, as it makes the layers, attacks and optimizers known to `keras.models.load_model`.
    from keras_efgsm.public_names import *  # noqa: F403
    from keras_efgsm.public_names import __all__ as _names

    __all__ = [*_names, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "export_classifier":
        # Of another backend than TensorFlow's: says how to export what was trained on it.
        from keras_efgsm.export import export_classifier

        return export_classifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
