"""Numbered exports of one model: `<to>/<N>/`, `<to>/<name>-<N>.tflite`, `<to>/<name>-<N>.md`."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras_efgsm.export.contract import check_contract
from keras_efgsm.export.figures import check_figures
from keras_efgsm.export.model_card import write_model_card
from keras_efgsm.export.saved_model import write_saved_model
from keras_efgsm.export.tflite import write_tflite
from keras_efgsm.export.verification import (
    SAVED_MODEL_TOLERANCE,
    TFLITE_TOLERANCE,
    check_difference,
    check_holds_only,
    saved_model_difference,
    tflite_difference,
)
from keras_efgsm.precision import float32_twin

_VERSION_FILE = re.compile(r".*-(\d+)\.(?:tflite|md)")


@dataclass(frozen=True)
class ExportResult:
    """Where an export lies and how close to Keras it answers.

    Args:
        version: the integer version N.
        saved_model: the folder `<to>/<N>`.
        tflite: the file `<to>/<name>-<N>.tflite`.
        model_card: the file `<to>/<name>-<N>.md`.
        saved_model_difference: largest difference of the SavedModel's logits
            from those of Keras in float32.
        tflite_difference: the same of the `.tflite` file.
    """

    version: int
    saved_model: Path
    tflite: Path
    model_card: Path
    saved_model_difference: float
    tflite_difference: float


def export_classifier(
    classifier: keras.Model,
    to: str | os.PathLike,
    *,
    class_names: Sequence[str],
    figures: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    name: str | None = None,
    command: str | None = None,
) -> ExportResult:
    """Exports `classifier` as the next version of the model in folder `to`.

    TensorFlow Serving can be pointed at `to`: the versions are integer folders, and what lies
    beside them is not taken for one. No version is ever overwritten, and a version appears only
    when it is complete and answers like Keras: the SavedModel within 1e-5 of its logits, the
    `.tflite` within 1e-4 (relative to the largest logit where that is above 1). Everything is
    built in a hidden folder `.<N>.partial`, which also keeps two exports at once apart; one that a
    killed process left can be deleted.

    Args:
        classifier: functional or sequential model, float images
            `(batch, H, W, C)` in [0, 1] to logits `(batch, K)`; of a trainer,
            the classifier it trains. It leaves in float32.
        to: the model's folder, for instance `exported_models/mnist`; made if
            missing.
        class_names: the K labels, in the order of the logits.
        figures: the JSON that `keras-efgsm evaluate` writes, for the card.
            Defaults to none: the card says "not evaluated".
        config: the training configuration, for the card. Defaults to none.
        name: the model's name. Defaults to the last part of `to`.
        command: the one command that makes this export again, for the card.
            Defaults to `config["command"]`, or else the Python call.

    Raises:
        ValueError: before anything is written, if `to` cannot be written, or
            the classifier, `class_names`, `figures` or `name` cannot be used.
        ExportError: if what was written is not what was given; it is removed.

    Example:

    ```python
    classifier = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    result = export_classifier(classifier, "exported_models/cats", class_names=["cat", "dog"])
    result.saved_model  # exported_models/cats/1
    ```
    """
    contract = check_contract(classifier, class_names)
    check_figures(figures)
    to = Path(to)
    name = _check_name(to.resolve().name if name is None else name)
    classifier = float32_twin(classifier)
    with _next_version(to) as (version, partial):
        saved_model = partial / "saved_model"
        tflite, card = partial / f"{name}-{version}.tflite", partial / f"{name}-{version}.md"
        write_saved_model(classifier, saved_model, contract.class_names)
        write_tflite(classifier, tflite)
        check_holds_only(saved_model, classifier)
        differences = {
            f"{version}/": saved_model_difference(saved_model, classifier),
            tflite.name: tflite_difference(tflite, classifier),
        }
        check_difference(differences[f"{version}/"], SAVED_MODEL_TOLERANCE, "SavedModel")
        check_difference(differences[tflite.name], TFLITE_TOLERANCE, ".tflite file")
        write_model_card(
            card,
            name=name,
            version=version,
            image_shape=contract.image_shape,
            class_names=contract.class_names,
            figures=figures,
            config=config,
            command=command,
            differences=differences,
        )
        # The folder goes last: a server that sees it finds the version complete.
        targets = {
            tflite: to / tflite.name,
            card: to / card.name,
            saved_model: to / str(version),
        }
        _publish(targets)
    return ExportResult(
        version=version,
        saved_model=targets[saved_model],
        tflite=targets[tflite],
        model_card=targets[card],
        saved_model_difference=differences[f"{version}/"],
        tflite_difference=differences[tflite.name],
    )


@contextmanager
def _next_version(to: Path) -> Iterator[tuple[int, Path]]:
    """Claims the next free version and removes what is left of its hidden folder in the end."""
    made = [folder for folder in (to, *to.parents) if not folder.exists()]
    try:
        to.mkdir(parents=True, exist_ok=True)
        version, partial = _claim(to)
    except OSError as error:
        _remove_empty(made)
        raise ValueError(
            f"`to` must be a folder that can be written ({error.strerror or error}). "
            f"Received: to={str(to)!r}"
        ) from error
    try:
        yield version, partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        _remove_empty(made)
        raise
    shutil.rmtree(partial, ignore_errors=True)


def _claim(to: Path) -> tuple[int, Path]:
    version = max(_taken(to), default=0) + 1
    while True:
        partial = to / f".{version}.partial"
        try:
            # `mkdir` is the one step that only one of two exports can win.
            partial.mkdir()
        except FileExistsError:
            version += 1
            continue
        # Whoever held the claim before may have published between our look and our `mkdir`.
        if version not in _taken(to):
            return version, partial
        partial.rmdir()
        version += 1


def _taken(to: Path) -> set[int]:
    names = [entry.name for entry in to.iterdir()]
    files = [match[1] for match in map(_VERSION_FILE.fullmatch, names) if match]
    return {int(n) for n in [*(n for n in names if n.isdecimal()), *files]}


def _publish(targets: Mapping[Path, Path]) -> None:
    published = []
    try:
        for source, target in targets.items():
            # Only a stranger can have made it since the claim; a file would be replaced silently.
            if os.path.lexists(target):
                raise FileExistsError(f"`{target.name}` appeared while it was exported")
            os.rename(source, target)
            published.append(target)
    except BaseException:
        for target in published:
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
        raise


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _check_name(name: str) -> str:
    # It becomes part of file names, of a URL path in TensorFlow Serving, and of shell lines.
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(
            "`name` must consist of letters, digits, `.`, `_` and `-`, and start with a letter or "
            f"digit. Received: name={name!r}"
        )
    return name
