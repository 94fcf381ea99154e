"""The model card of an exported classifier: description, measurements and how to run it."""

import importlib.metadata
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_efgsm.export.figures import check_figures, headline, results
from keras_efgsm.export.front_matter import check_license, front_matter
from keras_efgsm.export.markdown import LIMITS, MEASURED, code, fence, table
from keras_efgsm.form import Contract
from keras_efgsm.form_table import FORMS
from keras_efgsm.records.evaluation import EvaluationRecord
from keras_efgsm.records.export import Agreement, ContractRecord, ExportRecord, FileRecord
from keras_efgsm.records.exported_files import digests, size_in_bytes
from keras_efgsm.records.wording import norm_name, percent


def write_model_card(
    path: str | os.PathLike[str],
    *,
    name: str,
    version: int,
    image_shape: tuple[int, int, int],
    class_names: Sequence[str],
    figures: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    command: str | None = None,
    files: Mapping[str, Path] | None = None,
    agreements: Mapping[str, Agreement] | None = None,
    calibration: str | None = None,
    resizes: bool = False,
    failed: Mapping[str, str] | None = None,
    license: str | None = None,
) -> ExportRecord:
    """Writes the Markdown card that lies beside the folder `<version>/` of an export.

    It begins with what model hubs read, see `front_matter`: licence, library, data, figures. The
    headline is the worst case: the share of images that no attack of the evaluation, the
    strongest for each image, could turn. The paths in the card are relative to its own folder.

    Args:
        path: the file to write, ending in `.md`; it must not exist yet.
        name: the model's name, as in `<name>-<version>.tflite`.
        version: the integer version.
        image_shape: `(height, width, channels)` of one image.
        class_names: the K labels, in the order of the logits.
        figures: the JSON that `keras-efgsm evaluate` writes, accuracies in
            [0, 1]. Defaults to none: the card says "not evaluated".
        config: the training configuration, names to values that JSON can hold.
            Defaults to none.
        command: the one command that makes this export again. Defaults to
            `config["command"]`, or else the Python call.
        files: for each form its file or folder, whose size is put down.
            Defaults to a SavedModel and a `.tflite` file of unknown size.
        agreements: for each form how alike it and Keras answer. Defaults to
            none.
        calibration: how many and which images full int8 was calibrated with.
            Defaults to none.
        resizes: whether `serving_bytes` resizes image files. Defaults to `False`.
        failed: for each form that the classifier cannot have the reason. Defaults to none.
        license: the model's licence by the identifier that model hubs know, such as
            `"apache-2.0"`. Defaults to none: the card says `unknown`.

    Returns:
        What the card was written from; an export keeps it as `NAME-N.json`.

    Raises:
        ValueError: if `path` exists or ends otherwise, if an accuracy is no
            fraction, or if the worst case is above one of its attacks.

    Example:

    ```python
    write_model_card(
        "cats-1.md",
        name="cats",
        version=1,
        image_shape=(8, 8, 1),
        class_names=["cat", "dog"],
        config={"method": "efgsm", "epsilon": 0.3},
    )
    ```
    """
    path = Path(path)
    if path.suffix != ".md" or os.path.lexists(path):
        raise ValueError(
            f"`path` must end in `.md` and not exist yet. Received: path={str(path)!r}"
        )
    check_figures(figures)
    check_license(license)
    settings = json.loads(json.dumps(dict(config or {}), default=str))
    command = command or settings.pop("command", None) or _python_call(name)
    if files is None:
        forms = ("saved-model", "tflite")
        files = {form: path.parent / FORMS[form].file_name(name, version) for form in forms}
    height, width, channels = image_shape
    contract = Contract((height, width, channels), tuple(class_names), resizes)
    record = ExportRecord(
        contract=ContractRecord.of(contract),
        name=name,
        version=version,
        files=tuple(_describe(form, file, contract, calibration) for form, file in files.items()),
        agreements=dict(agreements or {}),
        loading=_loading(files, contract, name),
        limits=tuple(dict.fromkeys(line for form in files for line in FORMS[form].limits)),
        figures=None if figures is None else dict(figures),
        config=settings,
        command=command,
        versions=_versions(),
        failed=dict(failed) if failed else None,
        license=license,
    )
    text = render_card(record)
    path.write_text(text, encoding="utf-8")
    return record.with_card(text)


def render_card(record: ExportRecord, measured: str | None = None) -> str:
    """Returns the text of the card.

    Args:
        record: what is known of the export.
        measured: Markdown on what was measured on each file. Defaults to how
            to measure them.
    """
    measured = measured or (
        f"Not measured: run `keras-efgsm measure {record.version} --run RUN` in the folder of this "
        "card."
    )
    loading = "\n\n".join(["## Loading\n\nRun from the folder of this card.", *record.loading])
    versions = ", ".join(f"{package} {version}" for package, version in record.versions.items())
    sections = [
        front_matter(
            record.name,
            license=record.license,
            dataset=record.config.get("dataset"),
            figures=record.figures,
        ),
        f"# {record.name}, version {record.version}\n\n"
        "An image classifier trained with `keras_efgsm`.",
        headline(record.figures),
        _files(record),
        results(record.figures),
        f"## {MEASURED}\n\n{measured.strip()}",
        _configuration(record.config),
        loading,
        *_digests(record),
        _limits(record),
        f"## Made by\n\n{fence(record.command)}\n\nExported with {versions}.",
    ]
    return "\n\n".join(sections) + "\n"


def _describe(form: str, path: Path, contract: Contract, calibration: str | None) -> FileRecord:
    words = FORMS[form].words(path, contract, calibration)
    return FileRecord(
        form=form,
        file=path.name,
        size=size_in_bytes(path) if path.exists() else None,
        sha256=digests(path),
        what=words.what,
        takes=words.takes,
        answers=words.answers,
        notes=words.notes,
    )


def _loading(files: Mapping[str, Path], contract: Contract, name: str) -> tuple[str, ...]:
    """The code for the first file of each family."""
    families: dict[str, list[str]] = {}
    for form in files:
        families.setdefault(FORMS[form].family or form, []).append(form)
    return tuple(
        FORMS[first].loading(
            files[first].name, contract, name, [files[other].name for other in others]
        )
        for first, *others in families.values()
    )


def _files(record: ExportRecord) -> str:
    """The section on the files, their inputs and outputs, and how alike they answer."""
    height, width, channels = record.contract.image_shape
    resizing = (
        "`serving_bytes` resizes image files; nothing else does."
        if record.contract.resizes
        else "No file resizes what it is given."
    )
    rows = []
    for entry in record.files:
        # A folder is called by its version alone.
        file = f"{entry.file}/" if entry.file.isdecimal() else entry.file
        rows.append((code(file), entry.what, entry.size, entry.takes, entry.answers))
    lines = [
        "## Input and output",
        f"Images of {height} x {width} pixels with {channels} channel(s), pixels in [0, 1] (bytes "
        f"divided by 255); any normalisation is inside. {resizing}",
        table(("file", "what", "bytes", "takes", "answers"), rows),
        *(note for entry in record.files for note in entry.notes),
        "Classes, in the order of the logits: "
        f"{', '.join(map(code, record.contract.class_names))}.",
    ]
    if record.failed:
        rows_of_failed = (f"- {code(form)}: {reason}" for form, reason in record.failed.items())
        lines += ["Forms that this classifier has not:", "\n".join(rows_of_failed)]
    if record.agreements:
        names = {entry.form: entry.file for entry in record.files}
        lines += [
            "How alike each file and Keras answered when exported (differences are divided by the "
            "largest logit where that is above 1):",
            table(
                ("file", "largest difference of logits", "same class", "images"),
                [_agreement(names[form], found) for form, found in record.agreements.items()],
            ),
        ]
    return "\n\n".join(lines)


def _agreement(name: str, found: Agreement) -> tuple[str, str, str, str]:
    images = f"{found.num_images} {found.on}"
    return code(name), f"{found.difference:.1e}", percent(found.same_class), images


def _digests(record: ExportRecord) -> list[str]:
    """The section with the SHA-256 of every file; none where there are no files yet."""
    lines = [f"{digest}  {name}" for entry in record.files for name, digest in entry.sha256.items()]
    if not lines:
        return []
    text = (
        "Of every file as it was exported; this library compares them whenever it reads the export."
        " In the folder of this card, without it:"
    )
    # An end of file that no file holds.
    check = "\n".join(["sha256sum --check <<END", *lines, "END"])
    return [f"## SHA-256\n\n{text}\n\n{fence(check, 'sh')}"]


def _configuration(config: Mapping[str, Any]) -> str:
    if not config:
        return "## Training configuration\n\nNot recorded."
    rows = [(k, code(json.dumps(v, ensure_ascii=False))) for k, v in config.items()]
    return f"## Training configuration\n\n{table(('name', 'value'), rows)}"


def _limits(record: ExportRecord) -> str:
    if record.figures and record.figures.get("attacks"):
        norm = norm_name(EvaluationRecord.from_dict(record.figures).norm)
        lines = [
            "Robust accuracies are upper bounds: they say what the listed attacks did not find, "
            "they are no proof. A stronger attack can lower them.",
            f"They hold for {norm} perturbations of the listed radius and images like those of the "
            "data set; not for other norms, larger radii, rotations, or unrelated images, "
            "which get a class as well.",
            *(record.figures.get("doubts") or ()),
        ]
    else:
        lines = [
            "Nothing is known of this version's robustness: it was not evaluated.",
            "Unrelated images get a class as well.",
        ]
    return f"## {LIMITS}\n\n" + "\n".join(f"- {line}" for line in (*lines, *record.limits))


def _versions() -> dict[str, str]:
    found = {}
    for package in ("keras-efgsm", "keras", "tensorflow"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _python_call(name: str) -> str:
    return f'keras_efgsm.export.export_classifier(classifier, "{name}", class_names=class_names)'
