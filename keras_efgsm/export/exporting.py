"""`export_classifier`: all forms of a classifier and its card, as one new version."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_efgsm.export.choosing import choose_forms, choose_options
from keras_efgsm.export.contract import check_contract
from keras_efgsm.export.figures import Figures, read_figures
from keras_efgsm.export.front_matter import check_license
from keras_efgsm.export.model_card import write_model_card
from keras_efgsm.export.operations import reason_of
from keras_efgsm.export.tflite import check_representative_images
from keras_efgsm.export.versions import check_name, next_version, publish
from keras_efgsm.export.writing import write_form
from keras_efgsm.form import ExportError, Given
from keras_efgsm.form_table import FORMS
from keras_efgsm.networks.precision import float32_twin
from keras_efgsm.printing import Printed, ResultTable
from keras_efgsm.progress_bar import progress_bar
from keras_efgsm.records.export import Agreement
from keras_efgsm.records.exported_files import size_in_bytes
from keras_efgsm.records.wording import percent, size


@dataclass(frozen=True, repr=False)
class ExportResult(Printed):
    """Where an export lies and how close to Keras it answers.

    Args:
        version: the integer version N.
        files: for each form that was written its file, for `"saved-model"` the
            folder `<to>/<N>`.
        model_card: the file `<to>/<name>-<N>.md`.
        record: the file `<to>/<name>-<N>.json`, see `ExportRecord`.
        agreements: for each form how alike it and Keras in float32 answer.
        skipped: for each form that was not written what it needs, or why the
            classifier has no such form.
    """

    version: int
    files: dict[str, Path]
    model_card: Path
    record: Path
    agreements: dict[str, Agreement]
    skipped: dict[str, str]

    @property
    def saved_model(self) -> Path | None:
        """The folder of the SavedModel, if there is one."""
        return self.files.get("saved-model")

    @property
    def tflite(self) -> Path | None:
        """The float32 `.tflite` file, if there is one."""
        return self.files.get("tflite")

    @property
    def differences(self) -> dict[str, float]:
        """For each form the largest difference of its logits from those of Keras."""
        return {form: agreement.difference for form, agreement in self.agreements.items()}

    def table(self) -> ResultTable:
        """Where each form lies, and how alike it and Keras answer, as a `rich` table."""
        skipped = "".join(f" {form} skipped: {reason}." for form, reason in self.skipped.items())
        table = ResultTable(
            title=f"{self.model_card.parent}, version {self.version}",
            caption="Same class: share of images that file and Keras give the same class. Model "
            f"card: {self.model_card.name}.{skipped}",
        )
        table.add_column("form", no_wrap=True)
        table.add_column("file", overflow="fold")
        for name in ("size", "same class"):
            table.add_column(name, justify="right", no_wrap=True)
        for form, path in self.files.items():
            same = percent(self.agreements[form].same_class)
            table.add_row(form, path.name, size(size_in_bytes(path)), same)
        return table

    def _told(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "files": {form: str(path) for form, path in self.files.items()},
            "skipped": list(self.skipped),
        }


def export_classifier(
    classifier: keras.Model,
    to: str | os.PathLike[str],
    *,
    class_names: Sequence[str],
    forms: Sequence[str] | None = None,
    representative_images: np.ndarray | None = None,
    representative_source: str | None = None,
    resizes: bool = False,
    figures: Figures | None = None,
    config: Mapping[str, Any] | None = None,
    name: str | None = None,
    command: str | None = None,
    progress: bool = True,
    license: str | None = None,
    **options: Any,
) -> ExportResult:
    """Exports `classifier` as the next version of the model in folder `to`.

    TensorFlow Serving can be pointed at `to`: the versions are integer folders, and what lies
    beside them is not taken for one. No version is ever overwritten, and a version appears only
    when it is complete and answers like Keras: the SavedModel within 1e-5 of its logits, other
    files of float32 within 1e-4, float16 within 1e-2 (relative to the largest logit where that is
    above 1). A form of integers must give at least half of the representative images the same
    class; how many it does is on the card. Everything is built in a hidden folder `.<N>.partial`,
    which also keeps two exports at once apart; what a killed process left there is removed by the
    next export.

    Args:
        classifier: functional or sequential model, float images
            `(batch, H, W, C)` in [0, 1] to logits `(batch, K)`; of a trainer,
            the classifier it trains. It leaves in float32.
        to: the model's folder, for instance `exported_models/mnist`; made if
            missing.
        class_names: the K labels, in the order of the logits.
        forms: names in `FORMS`: `"saved-model"`, `"tflite"`,
            `"tflite-float16"`, `"tflite-dynamic"`, `"tflite-int8"`, `"onnx"`,
            `"openvino"`. Defaults to every one that can be written;
            `result.skipped` says what is the matter with the others.
        representative_images: float32 `(n, H, W, C)` in [0, 1], at least 16,
            better 500 of the training images, that `"tflite-int8"` is
            calibrated with. Defaults to none.
        representative_source: what these are, for the card. Defaults to
            "images that were given".
        resizes: whether `serving_bytes` brings image files of any size to that
            of the classifier, as a run with an `image_size` does. Defaults to
            `False`: it refuses them.
        figures: the evaluation, for the card: the report of
            `evaluate_robustness`, what it wrote or where that lies, or a run,
            see `read_figures`. Defaults to none: the card says "not
            evaluated".
        config: the training configuration, for the card. Defaults to none.
        name: the model's name. Defaults to the last part of `to`.
        command: the one command that makes this export again, for the card.
            Defaults to `config["command"]`, or else the Python call.
        progress: whether to show a progress bar; there is none outside a
            terminal or notebook. Defaults to `True`.
        license: the model's licence by the identifier that model hubs know,
            such as `"apache-2.0"`, for the card. Defaults to none: the card
            says `unknown`.
        **options: options of the forms. `warm_up_batch_sizes`: the SavedModel
            carries one warm-up request of each size for each signature,
            defaults to `(1, 8)`. `onnx_opset`: the version of ONNX's
            operations, defaults to 17.

    Raises:
        ValueError: before anything is written, if `to` cannot be written, or
            the classifier, `class_names`, `forms`, `representative_images`,
            `figures`, `name`, `license` or an option cannot be used.
        ImportError: before anything is written, if `forms` names one whose
            packages are missing.
        ExportError: if a form asked for cannot be made of the classifier, or
            answers otherwise; if none can, where none was asked for. Nothing
            is left.

    Example:

    ```python
    classifier = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    result = export_classifier(classifier, "exported_models/cats", class_names=["cat", "dog"])
    result.files["saved-model"]  # exported_models/cats/1
    print(result)
    ```
    """
    contract = check_contract(classifier, class_names, resizes=resizes)
    figures = read_figures(figures)
    check_license(license)
    to = Path(to)
    name = check_name(to.resolve().name if name is None else name)
    chosen, skipped = choose_forms(forms, representative_images is not None)
    if representative_images is not None:
        check_representative_images(representative_images, contract.image_shape)
        representative_images = np.asarray(representative_images, "float32")
    form_options = choose_options(chosen, options)
    classifier = float32_twin(classifier)
    with next_version(to) as (version, partial):
        agreements: dict[str, Agreement] = {}
        failed: dict[str, str] = {}
        with progress_bar(progress) as bar:
            task = bar.add_task("export", total=len(chosen), unit="forms")
            for form in chosen:
                bar.update(task, description=f"export: {form}")
                given = Given(contract, name, representative_images, form_options[form])
                path = partial / FORMS[form].file_name(name, version)
                try:
                    agreements[form] = write_form(form, classifier, path, given)
                except ExportError as error:
                    if forms is not None:
                        raise
                    failed[form] = reason_of(error)
                bar.advance(task)
        if not agreements:
            why = "; ".join(f"{form}: {reason}" for form, reason in failed.items())
            raise ExportError(
                "The classifier must have at least one form of an export. "
                f"Received: classifier={classifier.name!r}, for which {why}"
            )
        files = {form: partial / FORMS[form].file_name(name, version) for form in agreements}
        card, record_file = (partial / f"{name}-{version}{ending}" for ending in (".md", ".json"))
        source = representative_source or "images that were given"
        calibration = None
        if representative_images is not None:
            calibration = f"{len(representative_images)} {source}"
        record = write_model_card(
            card,
            name=name,
            version=version,
            image_shape=contract.image_shape,
            class_names=contract.class_names,
            files=files,
            agreements=agreements,
            calibration=calibration,
            figures=figures,
            config=config,
            command=command,
            resizes=resizes,
            failed=failed,
            license=license,
        )
        record.write(record_file)
        # A folder goes last: a server that sees it finds the version complete.
        written = [part for form, path in files.items() for part in FORMS[form].files(path)]
        sources = sorted([*written, card, record_file], key=lambda path: path.is_dir())
        publish({source: to / source.name for source in sources})
    reasons = {**skipped, **failed}
    return ExportResult(
        version=version,
        files={form: to / path.name for form, path in files.items()},
        model_card=to / card.name,
        record=to / record_file.name,
        agreements=agreements,
        skipped={form: reasons[form] for form in FORMS if form in reasons},
    )
