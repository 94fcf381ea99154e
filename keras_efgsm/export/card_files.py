"""The part of a model card that says what each file takes, answers and weighs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from keras_efgsm.export.forms import INT8, SAVED_MODEL
from keras_efgsm.export.markdown import code, table
from keras_efgsm.export.tflite import is_all_integers, tensor_scales
from keras_efgsm.export.verification import Agreement
from keras_efgsm.records.wording import percent

_WHAT = {
    SAVED_MODEL: "SavedModel for TensorFlow and TensorFlow Serving, float32",
    "tflite": "LiteRT, float32",
    "tflite-float16": "LiteRT, weights in float16",
    "tflite-dynamic": "LiteRT, weights of larger layers in int8, activations in float",
    INT8: "LiteRT, int8 throughout",
    "onnx": "ONNX, float32",
}


def files_of(
    files: Mapping[str, Path],
    image_shape: tuple[int, int, int],
    class_names: Sequence[str],
    agreements: Mapping[str, Agreement],
    calibration: str | None,
) -> str:
    """Returns the section on the files, their inputs and outputs, and how alike they answer.

    Args:
        files: for each form its file or folder.
        image_shape: `(height, width, channels)` of one image.
        class_names: the K labels, in the order of the logits.
        agreements: for each form how alike it and Keras answer.
        calibration: how many and which images full int8 was calibrated with.
    """
    height, width, channels = image_shape
    batch, answer = f"(batch, {height}, {width}, {channels})", f"(batch, {len(class_names)})"
    lines = [
        "## Input and output",
        "",
        f"Images of {height} x {width} pixels with {channels} channel(s), pixels in [0, 1] (bytes "
        "divided by 255); any normalisation is inside. No file resizes what it is given.",
        "",
        table(
            ("file", "what", "bytes", "takes", "answers"),
            [_row(form, path, batch, answer) for form, path in files.items()],
        ),
    ]
    if SAVED_MODEL in files:
        lines += ["", _signatures(files[SAVED_MODEL].name, batch, answer, channels)]
    if INT8 in files and calibration:
        lines += ["", f"{code(files[INT8].name)} was calibrated with {calibration}."]
    lines += [
        "",
        f"Classes, in the order of the logits: {', '.join(map(code, class_names))}.",
    ]
    if agreements:
        header = ("file", "largest difference of logits", "same class", "images")
        rows = [_agreement(files[form].name, found) for form, found in agreements.items()]
        text = "How alike each file and Keras answered when exported (differences are divided by "
        lines += ["", f"{text}the largest logit where that is above 1):", "", table(header, rows)]
    return "\n".join(lines)


def _row(form: str, path: Path, batch: str, answer: str) -> tuple:
    takes, answers = f"`image` float32 {batch} in [0, 1]", f"`logits` float32 {answer}"
    what = _WHAT[form]
    name = f"{path.name}/" if form == SAVED_MODEL else path.name
    if form == SAVED_MODEL:
        takes, answers = "see below", "see below"
    elif form == INT8:
        takes, answers = f"`image` int8 {batch}", f"`logits` int8 {answer}"
        if path.exists():
            if not is_all_integers(path):
                what = "LiteRT, int8, float32 where LiteRT has no operation of integers"
            entry, result = tensor_scales(path)
            takes += f", round(pixel / {entry[0]:.8g}) {entry[1]:+d}"
            answers += f", (value {-result[1]:+d}) x {result[0]:.8g}"
    return code(name), what, _size(path), takes, answers


def _size(path: Path) -> int | None:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size if path.exists() else None


def _signatures(folder: str, batch: str, answer: str, channels: int) -> str:
    kinds = "PNG" if channels == 4 else "PNG or JPEG"
    names = ("`class_id` int64 (batch,)", "`label` string (batch,)")
    probabilities = f"`probabilities` float32 {answer}"
    rows = [
        (
            "`serving_default`",
            f"`image` float32 {batch} in [0, 1]",
            f"`logits` float32 {answer}, {probabilities}",
        ),
        (
            "`serving_uint8`",
            f"`image` uint8 {batch}",
            ", ".join((*names, probabilities)),
        ),
        (
            "`serving_bytes`",
            f"`image_bytes` string (batch,), whole {kinds} files",
            ", ".join((*names, probabilities)),
        ),
    ]
    return "\n".join(
        [
            f"Signatures of `{folder}/`:",
            "",
            table(("signature", "input", "outputs"), rows),
            "",
            "Inside the graph, with an error that names the input, are refused: another size or "
            "rank, an empty batch, pixels that are NaN, infinite or outside [0, 1], what is no "
            f"{kinds} file, and files of another size by their header, before they are decoded. "
            "The labels are an asset, and warm-up requests for each signature lie in "
            "`assets.extra`.",
        ]
    )


def _agreement(name: str, found: Agreement) -> tuple[str, str, str, str]:
    share = percent(found.same_class)
    return code(name), f"{found.difference:.1e}", share, f"{found.num_images} {found.on}"
