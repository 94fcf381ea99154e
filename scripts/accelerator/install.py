"""Makes run folders, results and an export of what came back from `cifar10.py`.

    TFDS_DATA_DIR=... python scripts/accelerator/install.py DIR [--runs runs/accelerator]
        [--results results/cifar10_jpeg75] [--to exported_models/cifar10]
        [--forms FORM ...] [--no-export]

Of each seed whose weights came back there is a run folder as `keras-efgsm train` leaves one, with
`classifier.keras` and the figures of `standard` (of `adp` where that is all there is) as
`evaluation.json`. Before that the classifier is given the test images whose logits came back, and
must class them alike. Results go to a folder of the plan's name; the first seed is exported.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from accelerator import weights
from accelerator.outbox import Returned
from accelerator.partial import partial_figures
from accelerator.sweep_table import sweep_table
from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.data import load_data
from keras_efgsm.evaluation import load_classifier
from keras_efgsm.export.forms import FORMS
from keras_efgsm.networks import CLASSIFIERS, image_shape_of
from keras_efgsm.networks.precision import dtype_policy_scope
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.runs.drawing import draw_curves
from keras_efgsm.runs.folder import RunFolder

# Logits nearer to each other than this may change places between two machines.
_TIE = 0.02


def rebuild(config: TrainingConfig, stored: list[np.ndarray], num_classes: int) -> keras.Model:
    """The classifier of a run with weights that came back.

    Args:
        config: the run.
        stored: its weights.
        num_classes: number of logits.
    """
    with dtype_policy_scope(config.dtype_policy):
        classifier = CLASSIFIERS[config.classifier](
            image_shape_of(config.dataset), num_classes, activation=config.activation
        )
    classifier.set_weights(weights.restored(stored))
    return classifier


def check_agreement(classifier: keras.Model, images: np.ndarray, logits: np.ndarray) -> float:
    """Compares a classifier with logits that came back.

    Args:
        classifier: here.
        images: float32 `(n, H, W, C)` in [0, 1].
        logits: float32 `(n, K)` of them, there.

    Returns:
        The largest difference of a logit.

    Raises:
        ValueError: if an image is another class here, by more than rounding.
    """
    here = np.asarray(load_classifier(classifier).logits_fn(keras.ops.convert_to_tensor(images)))
    two = np.sort(logits, axis=1)[:, -2:]
    clear = two[:, 1] - two[:, 0] > _TIE
    differ = (here.argmax(axis=1) != logits.argmax(axis=1)) & clear
    if differ.any():
        raise ValueError(
            "The classifier must class the test images as it did where it was trained. "
            f"Received: {int(differ.sum())} of {len(images)} images of another class"
        )
    return float(np.abs(here - logits).max())


def install_seed(returned: Returned, name: str, runs: Path, class_count: int | None) -> Path | None:
    """Makes the run folder of a seed; None if its weights did not come back.

    Args:
        returned: what came back.
        name: `"seed0"` and so on.
        runs: folder of run folders.
        class_count: number of logits; None for that of its metrics.

    Raises:
        ValueError: if the folder holds something already, or the classifier answers otherwise.
    """
    stored, metrics = returned.weights(name), returned.json(f"{name}/metrics.json")
    if stored is None or metrics is None:
        return None
    config = TrainingConfig.from_dict(returned.json(f"{name}/config.json"))
    classifier = rebuild(config, stored, class_count or len(metrics["class_names"]))
    if f"{name}/check.npz" in returned.entries:
        with np.load(io.BytesIO(returned.entries[f"{name}/check.npz"])) as file:
            logits = file["logits"]
        images = load_data(config.dataset, "test", config.data_dir).pixels(slice(len(logits)))
        difference = check_agreement(classifier, images, logits)
        print(f"{name}: {len(logits)} test images classed alike, logits within {difference:.2g}")
    folder = RunFolder(runs / name)
    folder.prepare(config, resume=False)
    folder.save_model(classifier, folder.classifier)
    write_atomically(folder.history, returned.entries[f"{name}/history.csv"])
    draw_curves(
        folder.read_history(),
        folder.curves,
        f"{config.dataset}, epsilon {config.epsilon:g}",
        natural_accuracy=metrics["natural_accuracy"],
    )
    for figures in ("standard", "adp"):
        if f"{name}/{figures}.json" in returned.entries:
            write_atomically(folder.evaluation, returned.entries[f"{name}/{figures}.json"])
            break
    folder.write_metrics(metrics)
    return folder.path


def install_results(returned: Returned, to: Path) -> list[str]:
    """Writes everything but weights into the results folder.

    Args:
        returned: what came back.
        to: folder of the plan.

    Returns:
        The files that were written.
    """
    written = {
        n: c for n, c in returned.entries.items() if not n.endswith((".npz", "weights.json"))
    }
    for path in sorted(returned.folder.glob("*.partial.npz")):
        seed, attacks = path.name.removesuffix(".partial.npz").split("-", 1)
        written[f"{seed}/{attacks}.partial.json"] = partial_figures(path).encode()
    if "sweep.json" in written:
        written["sweep.md"] = sweep_table(returned.json("sweep.json")).encode()
    for name, content in written.items():
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, content)
    return sorted(written)


def install(options: argparse.Namespace) -> None:
    """Installs what there is."""
    returned = Returned(options.folder)
    plan = returned.json("plan.json") or {}
    name = plan.get("plan", "cifar10")
    to = options.results / name
    written = install_results(returned, to)
    print(f"results: {to}: {', '.join(written)}")
    runs = []
    for seed in sorted({n.split("/")[0] for n in returned.entries if n.startswith("seed")}):
        run = install_seed(returned, seed, options.runs / name, None)
        print(f"{seed}: {run or 'no weights came back'}")
        if run is not None:
            runs.append(run)
            curves = RunFolder(run).curves
            write_atomically(to / seed / curves.name, curves.read_bytes())
    if not runs or options.no_export:
        return
    export(RunFolder(runs[0]), options.to, options.forms)


def export(folder: RunFolder, to: Path, forms: Sequence[str] | None) -> None:
    """Exports a run as `keras-efgsm export` does.

    Args:
        folder: the run.
        to: the model's folder.
        forms: which; None for every one that can be written.

    Raises:
        ValueError: if nothing can be written.
    """
    from keras_efgsm.export import ExportError, export_run

    try:
        result = export_run(folder, to, forms=forms)
    except ExportError as error:
        raise ValueError(str(error)) from error
    for form, path in result.files.items():
        print(f"{form}: {path}")
    for form, reason in result.skipped.items():
        print(f"{form} skipped: {reason}")


def main() -> int:
    """Reads the options; bad input is told of in one line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="what came back")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "accelerator")
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "cifar10_jpeg75")
    parser.add_argument("--to", type=Path, default=ROOT / "exported_models" / "cifar10")
    parser.add_argument("--forms", nargs="+", choices=tuple(FORMS), metavar="FORM")
    parser.add_argument("--no-export", action="store_true", help="make no export")
    try:
        install(parser.parse_args())
    except (ValueError, OSError) as error:
        print(f"install: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
