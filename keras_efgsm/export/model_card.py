"""The model card: what an exported classifier is, what it was measured at, how to run it."""

import importlib.metadata
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_efgsm.export.card_files import files_of
from keras_efgsm.export.card_loading import loading
from keras_efgsm.export.figures import check_figures, headline, results
from keras_efgsm.export.forms import INT8, ONNX, SAVED_MODEL, TFLITE_FORMS, file_name
from keras_efgsm.export.markdown import code, fence, table
from keras_efgsm.export.verification import Agreement

MEASURED = "Measured on each file"
_LIMITS = "Limits"


def write_model_card(
    path: str | os.PathLike,
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
) -> None:
    """Writes the Markdown card that lies beside the folder `<version>/` of an export.

    The headline is the worst case: the share of images that no attack of the evaluation, the
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
    config = dict(config or {})
    command = command or config.pop("command", None) or _python_call(name)
    if files is None:
        forms = (SAVED_MODEL, "tflite")
        files = {form: path.parent / file_name(form, name, version) for form in forms}
    sections = [
        f"# {name}, version {version}\n\nAn image classifier trained with `keras_efgsm`.",
        headline(figures),
        files_of(files, image_shape, class_names, agreements or {}, calibration),
        results(figures),
        f"## {MEASURED}\n\nNot measured: run `keras-efgsm measure {version} --run RUN` in the "
        "folder of this card.",
        _configuration(config),
        loading(name, version, image_shape, tuple(files)),
        _limits(figures, tuple(files)),
        f"## Made by\n\n{fence(command)}\n\n{_versions()}",
    ]
    path.write_text("\n\n".join(sections) + "\n", encoding="utf-8")


def replace_section(card: str, heading: str, body: str) -> str:
    """Returns a card with the section `heading` replaced, or inserted before the limits.

    Args:
        card: the text of a card.
        heading: the heading without `## `, such as `"Measured on each file"`.
        body: what comes below it, without the heading.

    Raises:
        ValueError: if `heading` is empty or of several lines.

    Example:

    ```python
    card = Path("mnist-1.md").read_text()
    card = replace_section(card, "Measured on each file", "| file | accuracy |")
    ```
    """
    if not heading or heading.strip() != heading or len(heading.splitlines()) != 1:
        raise ValueError(f"`heading` must be one line. Received: heading={heading!r}")
    parts = _split_at_headings(card)
    new = f"## {heading}\n\n{body.strip()}"
    titles = [part.split("\n", 1)[0].rstrip() for part in parts]
    if f"## {heading}" in titles:
        parts[titles.index(f"## {heading}")] = new
    elif f"## {_LIMITS}" in titles:
        parts.insert(titles.index(f"## {_LIMITS}"), new)
    else:
        parts.append(new)
    return "\n\n".join(part.strip("\n") for part in parts if part.strip("\n")) + "\n"


def _split_at_headings(card: str) -> list[str]:
    """What comes before the first `## `, and one part from each on; code blocks have none."""
    parts, in_code = [[]], False
    for line in card.split("\n"):
        if line.startswith("```"):
            in_code = not in_code
        if not in_code and re.match(r"## ", line):
            parts.append([])
        parts[-1].append(line)
    return ["\n".join(part) for part in parts]


def _configuration(config: Mapping[str, Any]) -> str:
    if not config:
        return "## Training configuration\n\nNot recorded."
    rows = [(k, code(json.dumps(v, default=str, ensure_ascii=False))) for k, v in config.items()]
    return f"## Training configuration\n\n{table(('name', 'value'), rows)}"


def _limits(figures: Mapping[str, Any] | None, forms: Sequence[str]) -> str:
    lines = [
        "Robust accuracies are upper bounds: they say what the listed attacks did not find, they "
        "are no proof. A stronger attack can lower them.",
        "They hold for L-infinity perturbations of the listed radius and images like those of the "
        "data set; not for other norms, larger radii, rotations, or unrelated images, which get "
        "a class as well.",
    ]
    if SAVED_MODEL in forms:
        lines.append(
            "`serving_uint8` and `serving_bytes` see 8 bits per channel; the figures were measured "
            "on float pixels."
        )
    if {"tflite-float16", "tflite-dynamic", INT8} & set(forms):
        lines.append(
            "The figures are those of the float32 classifier. A file of fewer bits is another one, "
            f'with figures of its own under "{MEASURED}".'
        )
    if set(TFLITE_FORMS) & set(forms):
        lines.append(
            "A `.tflite` file answers pixels outside [0, 1] as well, and checks the image size "
            "only where `resize_tensor_input` is called with `strict=True`."
        )
    if ONNX in forms:
        lines.append("The `.onnx` file answers pixels outside [0, 1] as well.")
    if not figures or not figures.get("attacks"):
        lines[0] = "Nothing is known of this version's robustness: it was not evaluated."
        lines[1] = "Unrelated images get a class as well."
    return f"## {_LIMITS}\n\n" + "\n".join(f"- {line}" for line in lines)


def _versions() -> str:
    found = []
    for package in ("keras-efgsm", "keras", "tensorflow"):
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return f"Exported with {', '.join(found)}."


def _python_call(name: str) -> str:
    return f'keras_efgsm.export.export_classifier(classifier, "{name}", class_names=class_names)'
