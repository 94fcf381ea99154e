"""`export_classifier`: all forms of a classifier and its card, as one new version."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_efgsm.export.contents import check_holds_only
from keras_efgsm.export.contract import Contract, check_contract
from keras_efgsm.export.figures import check_figures
from keras_efgsm.export.forms import INT8, ONNX, SAVED_MODEL, choose_forms, file_name
from keras_efgsm.export.model_card import write_model_card
from keras_efgsm.export.onnx_file import DEFAULT_OPSET, check_opset, write_onnx
from keras_efgsm.export.saved_model import write_saved_model
from keras_efgsm.export.tflite import check_representative_images, write_tflite
from keras_efgsm.export.verification import Agreement, check_agreement, measure_agreement
from keras_efgsm.export.versions import check_name, next_version, publish
from keras_efgsm.export.warm_up import check_batch_sizes, write_warm_up_requests
from keras_efgsm.networks.precision import float32_twin

_QUANTIZATIONS = {"tflite-float16": "float16", "tflite-dynamic": "dynamic", INT8: "int8"}


@dataclass(frozen=True)
class ExportResult:
    """Where an export lies and how close to Keras it answers.

    Args:
        version: the integer version N.
        files: for each form that was written its file, for `"saved-model"` the
            folder `<to>/<N>`.
        model_card: the file `<to>/<name>-<N>.md`.
        agreements: for each form how alike it and Keras in float32 answer.
        skipped: for each form that could not be written what it needs.
    """

    version: int
    files: dict[str, Path]
    model_card: Path
    agreements: dict[str, Agreement]
    skipped: dict[str, str]

    @property
    def saved_model(self) -> Path | None:
        """The folder of the SavedModel, if there is one."""
        return self.files.get(SAVED_MODEL)

    @property
    def tflite(self) -> Path | None:
        """The float32 `.tflite` file, if there is one."""
        return self.files.get("tflite")

    @property
    def differences(self) -> dict[str, float]:
        """For each form the largest difference of its logits from those of Keras."""
        return {form: agreement.difference for form, agreement in self.agreements.items()}


def export_classifier(
    classifier: keras.Model,
    to: str | os.PathLike,
    *,
    class_names: Sequence[str],
    forms: Sequence[str] | None = None,
    representative_images: np.ndarray | None = None,
    representative_source: str | None = None,
    figures: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    name: str | None = None,
    command: str | None = None,
    warm_up_batch_sizes: Sequence[int] = (1, 8),
    onnx_opset: int = DEFAULT_OPSET,
) -> ExportResult:
    """Exports `classifier` as the next version of the model in folder `to`.

    TensorFlow Serving can be pointed at `to`: the versions are integer folders, and what lies
    beside them is not taken for one. No version is ever overwritten, and a version appears only
    when it is complete and answers like Keras: the SavedModel within 1e-5 of its logits, float32
    `.tflite` and `.onnx` within 1e-4, float16 within 1e-2 (relative to the largest logit where
    that is above 1). A form of integers must give at least half of the representative images the
    same class; how many it does is on the card. Everything is built in a hidden folder
    `.<N>.partial`, which also keeps two exports at once apart; one that a killed process left can
    be deleted.

    Args:
        classifier: functional or sequential model, float images
            `(batch, H, W, C)` in [0, 1] to logits `(batch, K)`; of a trainer,
            the classifier it trains. It leaves in float32.
        to: the model's folder, for instance `exported_models/mnist`; made if
            missing.
        class_names: the K labels, in the order of the logits.
        forms: any of `"saved-model"`, `"tflite"`, `"tflite-float16"`,
            `"tflite-dynamic"`, `"tflite-int8"` and `"onnx"`. Defaults to every
            one that can be written; `result.skipped` says what the others need.
        representative_images: float32 `(n, H, W, C)` in [0, 1], at least 16,
            better 500 of the training images, that `"tflite-int8"` is
            calibrated with. Defaults to none.
        representative_source: what these are, for the card. Defaults to
            "images that were given".
        figures: the JSON that `keras-efgsm evaluate` writes, for the card.
            Defaults to none: the card says "not evaluated".
        config: the training configuration, for the card. Defaults to none.
        name: the model's name. Defaults to the last part of `to`.
        command: the one command that makes this export again, for the card.
            Defaults to `config["command"]`, or else the Python call.
        warm_up_batch_sizes: the SavedModel carries one warm-up request of each
            size for each signature. Defaults to `(1, 8)`.
        onnx_opset: the version of ONNX's operations. Defaults to 17.

    Raises:
        ValueError: before anything is written, if `to` cannot be written, or
            the classifier, `class_names`, `forms`, `representative_images`,
            `figures`, `name` or an option cannot be used.
        ImportError: before anything is written, if `forms` names one whose
            packages are missing.
        ExportError: if what was written is not what was given; it is removed.

    Example:

    ```python
    classifier = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    result = export_classifier(classifier, "exported_models/cats", class_names=["cat", "dog"])
    result.files["saved-model"]  # exported_models/cats/1
    ```
    """
    contract = check_contract(classifier, class_names)
    check_figures(figures)
    to = Path(to)
    name = check_name(to.resolve().name if name is None else name)
    chosen, skipped = choose_forms(forms, representative_images is not None)
    if representative_images is not None:
        check_representative_images(representative_images, contract.image_shape)
        representative_images = np.asarray(representative_images, "float32")
    if ONNX in chosen:
        check_opset(onnx_opset)
    check_batch_sizes(warm_up_batch_sizes)
    classifier = float32_twin(classifier)
    with next_version(to) as (version, partial):
        files = {form: partial / file_name(form, name, version) for form in chosen}
        agreements = {}
        for form, path in files.items():
            if form == SAVED_MODEL:
                _write_servable(classifier, path, contract, name, warm_up_batch_sizes)
            elif form == ONNX:
                write_onnx(classifier, path, opset=onnx_opset)
            else:
                write_tflite(
                    classifier,
                    path,
                    quantization=_QUANTIZATIONS.get(form),
                    representative_images=representative_images,
                )
            # Floats are held to a tolerance anywhere; what integers lose depends on the images.
            images = representative_images if form in ("tflite-dynamic", INT8) else None
            agreements[form] = measure_agreement(form, path, classifier, images)
            check_agreement(form, agreements[form])
        card = partial / f"{name}-{version}.md"
        source = representative_source or "images that were given"
        write_model_card(
            card,
            name=name,
            version=version,
            image_shape=contract.image_shape,
            class_names=contract.class_names,
            files=files,
            agreements=agreements,
            calibration=None
            if representative_images is None
            else (f"{len(representative_images)} {source}"),
            figures=figures,
            config=config,
            command=command,
        )
        # The folder goes last: a server that sees it finds the version complete.
        sources = [*(p for form, p in files.items() if form != SAVED_MODEL), card]
        sources += [files[SAVED_MODEL]] if SAVED_MODEL in files else []
        publish({source: to / source.name for source in sources})
    return ExportResult(
        version=version,
        files={form: to / path.name for form, path in files.items()},
        model_card=to / card.name,
        agreements=agreements,
        skipped=skipped,
    )


def _write_servable(
    classifier: keras.Model,
    path: Path,
    contract: Contract,
    name: str,
    batch_sizes: Sequence[int],
) -> None:
    write_saved_model(classifier, path, contract.class_names)
    check_holds_only(path, classifier)
    write_warm_up_requests(path, name, contract.image_shape, batch_sizes)
