"""Reads the learned tone curves of trained runs: what each pixel is seen as.

    python scripts/experiments/tone_curves.py runs/mnist-seeds/base-seed0 [RUN ...] \
        [--out results/mnist/tone_curve]

RUN is a finished run folder whose classifier begins with `keras_efgsm.networks.tone_curve`, as that
of the preset `mnist` does. Writes `tone_curve.json` and `tone_curve.png` into `--out`.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

import argparse
import json
from typing import Any

import keras
import numpy as np

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.networks import build_classifier
from keras_efgsm.networks.own_models import read_keras_file
from keras_efgsm.records.environment import versions
from keras_efgsm.runs.folder import RunFolder
from reporting.tone_picture import draw_tones

_POINTS = np.linspace(0.0, 1.0, 101, dtype="float32")


def seen_by(classifier: keras.Model) -> list[float]:
    """What 101 pixels from black to white are seen as.

    Args:
        classifier: with a layer `seen`, the last of a `tone_curve`.

    Raises:
        ValueError: if it has none.
    """
    if "seen" not in {layer.name for layer in classifier.layers}:
        raise ValueError(
            f"The classifier must begin with a tone curve. Received: classifier={classifier.name!r}"
        )
    curve = keras.Model(classifier.inputs, classifier.get_layer("seen").output)
    images = np.broadcast_to(
        _POINTS[:, None, None, None], (len(_POINTS), *classifier.input_shape[1:])
    )
    values = keras.ops.convert_to_numpy(curve(keras.ops.convert_to_tensor(images)))
    return [float(value) for value in values[:, 0, 0].reshape(-1)]


def measure(runs: list[Path]) -> dict[str, Any]:
    """What `tone_curve.json` holds."""
    curves = []
    for run in runs:
        folder = RunFolder(run)
        config, classifier = folder.read_config(), read_keras_file(folder.classifier)
        start = build_classifier(
            config.classifier, classifier.input_shape[1:], classifier.output_shape[-1]
        )
        curves.append({"seed": config.seed, "seen": seen_by(classifier)})
    return {
        "dataset": config.dataset,
        "epsilon": config.epsilon,
        "pixels": [float(value) for value in _POINTS],
        "start": seen_by(start),
        "curves": curves,
        "versions": versions(),
    }


def main() -> int:
    """Reads the options; bad input is told of in one line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, default=Path("results/mnist/tone_curve"))
    options = parser.parse_args()
    try:
        found = measure(options.runs)
        options.out.mkdir(parents=True, exist_ok=True)
        write_atomically(options.out / "tone_curve.json", json.dumps(found) + "\n")
        draw_tones(found, options.out / "tone_curve.png")
        draw_tones(found, options.out / "tone_curve-dark.png", theme="dark")
    except (ValueError, OSError) as error:
        print(f"tone_curves: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
