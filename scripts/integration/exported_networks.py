"""What `export_matrix.py` exports: each network by name, small, with weights that answer apart."""

import math
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = 4
KERAS = "keras"
APPLICATIONS = (
    "MobileNetV3Small",
    "MobileNetV2",
    "EfficientNetB0",
    "ResNet50V2",
    "DenseNet121",
    "ConvNeXtTiny",
)
_PREFIX = "keras.applications:"
_SIDES = (16, 32, 64)
_APPLICATION_SIDE = 64
_CALIBRATED_WITH = 32
# Drawn for images that are nearly black and white.
_GREY = ("digits", "mnist", "threshold")


def all_cases(activations: list[str]) -> list[tuple[str, str]]:
    """Every network with the first activation, the first of each function with the others.

    Args:
        activations: names of Keras activations.

    Returns:
        Name and activation of each; of an application, which has its own, `"own"`. The first of a
        function in the table is the lightest that it makes.
    """
    from keras_efgsm.networks.table import CLASSIFIERS

    lightest = {}
    for name, network in CLASSIFIERS.items():
        lightest.setdefault(getattr(network, "function", name), name)
    cases = [(name, activations[0]) for name in lightest.values()]
    cases += [(name, other) for name in lightest.values() for other in activations[1:]]
    cases += [(_PREFIX + name, "own") for name in APPLICATIONS]
    others = [name for name in CLASSIFIERS if name not in lightest.values()]
    return cases + [(name, activations[0]) for name in sorted(others, key=_weight)]


def _weight(name: str) -> int:
    """The heavy ones last, so that a table grows quickly."""
    return 2 * ("34-10" in name) + ("22-5" in name or "resnet56" in name or "resnet18" in name)


def make_network(name: str, activation: str) -> Any:
    """Makes a network for the smallest images that it takes, with random weights.

    Fresh ones would let a mistake pass: of a batch normalisation the averages are 0 and 1, and the
    last scale of a residual block may be 0.

    Args:
        name: in `CLASSIFIERS`, or `keras.applications:NAME`.
        activation: of a network in `CLASSIFIERS`.
    """
    import keras

    from keras_efgsm.networks import CLASSIFIERS
    from keras_efgsm.networks.applications import application

    keras.utils.set_random_seed(0)
    if name.startswith(_PREFIX):
        model = application(name, (_APPLICATION_SIDE, _APPLICATION_SIDE, 3), CLASSES)
    else:
        channels = 1 if name.startswith(_GREY) else 3
        model = None
        for side in _SIDES:
            try:
                model = CLASSIFIERS[name]((side, side, channels), CLASSES, activation=activation)
                break
            except ValueError:
                if side == _SIDES[-1]:
                    raise
    generator = np.random.default_rng(0)
    for weight in model.weights:
        if weight.path.endswith("moving_variance"):
            weight.assign(generator.uniform(0.7, 1.3, weight.shape))
        elif weight.path.endswith("seed_generator_state"):
            continue
        elif not np.any(weight):
            weight.assign(generator.normal(0.0, 0.1, weight.shape))
    return model


def images_for(shape: tuple[int, int, int], count: int = _CALIBRATED_WITH) -> np.ndarray:
    """Images of a few large blocks each: what pure noise is to a network, all of them are.

    Args:
        shape: `(H, W, C)`.
        count: how many.
    """
    height, width, channels = shape
    generator = np.random.default_rng(1)
    coarse = generator.random((count, 4, 4, channels))
    blocks = np.kron(coarse, np.ones((1, math.ceil(height / 4), math.ceil(width / 4), 1)))
    noise = generator.normal(0.0, 0.05, (count, *shape))
    return np.clip(blocks[:, :height, :width] + noise, 0.0, 1.0).astype("float32")


def measure(name: str, activation: str, forms: list[str] | None) -> dict[str, Any]:
    """Exports a network, and says what came of it.

    Args:
        name: as of `make_network`.
        activation: as of `make_network`.
        forms: names in `FORMS`; None for all of them.

    Returns:
        The row of the table, as JSON: for each form its size and difference, or `"failed"`.
    """
    begin = time.perf_counter()
    row: dict[str, Any] = {"network": name, "activation": activation}
    try:
        classifier = make_network(name, activation)
        row |= {
            "image_shape": list(classifier.input_shape[1:]),
            "parameters": classifier.count_params(),
            "forms": _export(classifier, forms),
        }
    except Exception as error:  # one network must not end the table
        row["failed"] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    row["seconds"] = round(time.perf_counter() - begin, 1)
    row["peak_megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return row


def _export(classifier: Any, forms: list[str] | None) -> dict[str, Any]:
    from keras_efgsm.export import FORMS, ExportRecord, export_classifier

    images = images_for(classifier.input_shape[1:])
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {KERAS: _saved(classifier, images, Path(folder) / "m.keras")}
        names = list(FORMS) if forms is None else forms
        table = dict(FORMS)
        for form in set(table) - set(names):
            # Asked for by name, one that fails would be an error of all.
            del FORMS[form]
        try:
            result = export_classifier(
                classifier,
                os.path.join(folder, "m"),
                class_names=[str(i) for i in range(CLASSES)],
                representative_images=images,
            )
        finally:
            FORMS.clear()
            FORMS.update(table)
        sizes = {entry.form: entry.size for entry in ExportRecord.read(result.record).files}
        for form in names:
            if form in result.skipped:
                found[form] = {"failed": result.skipped[form]}
                continue
            agreement = result.agreements[form]
            found[form] = {
                "bytes": sizes[form],
                "difference": agreement.difference,
                "same_class": agreement.same_class,
            }
    return found


def _saved(classifier: Any, images: np.ndarray, path: Path) -> dict[str, Any]:
    import keras

    classifier.save(path)
    again = keras.saving.load_model(path)
    expected, found = (np.asarray(model(images, training=False)) for model in (classifier, again))
    return {
        "bytes": path.stat().st_size,
        "difference": float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max())),
        "same_class": float((found.argmax(axis=1) == expected.argmax(axis=1)).mean()),
    }


def quiet_worker() -> None:
    """Leaves out what TensorFlow and its converters write to a worker's stderr."""
    import warnings

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    warnings.simplefilter("ignore")
