"""The model card: what an exported classifier is, what it was measured at, how to run it."""

import importlib.metadata
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_efgsm.export.figures import check_figures, headline, results
from keras_efgsm.export.markdown import code, fence, table


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
    differences: Mapping[str, float] | None = None,
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
        differences: file to the largest difference of its logits from those
            of Keras. Defaults to none.

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
    sections = [
        f"# {name}, version {version}\n\nAn image classifier trained with `keras_efgsm`.",
        headline(figures),
        _contract(name, version, image_shape, class_names, differences),
        results(figures),
        _configuration(config),
        _loading(name, version, image_shape),
        _limits(figures),
        f"## Made by\n\n{fence(command)}\n\n{_versions()}",
    ]
    path.write_text("\n\n".join(sections) + "\n", encoding="utf-8")


def _contract(
    name: str,
    version: int,
    image_shape: tuple[int, int, int],
    class_names: Sequence[str],
    differences: Mapping[str, float] | None,
) -> str:
    height, width, channels = image_shape
    size, k = f"(batch, {height}, {width}, {channels})", len(class_names)
    rows = [
        (
            "`serving_default`",
            f"`image` float32 {size} in [0, 1]",
            f"`logits` float32 (batch, {k})",
        ),
        ("", "", f"`probabilities` float32 (batch, {k})"),
        (
            "`serving_bytes`",
            "`image_bytes` string (batch,), PNG or JPEG",
            "`class_id` int64 (batch,)",
        ),
        ("", "", "`label` string (batch,)"),
        ("", "", f"`probabilities` float32 (batch, {k})"),
    ]
    lines = [
        "## Input and output",
        "",
        f"Images of {height} x {width} pixels with {channels} channel(s), pixels in [0, 1] (bytes "
        "divided by 255); any normalisation is inside. Another size is refused, not resized.",
        "",
        f"Signatures of the SavedModel `{version}/`:",
        "",
        table(("signature", "input", "outputs"), rows),
        "",
        f"`{name}-{version}.tflite` has `serving_default` with `image` to `logits`, float32.",
        "",
        f"Classes, in the order of the logits: {', '.join(map(code, class_names))}.",
    ]
    if differences:
        measured = ", ".join(f"{code(file)} {value:.1e}" for file, value in differences.items())
        lines += ["", f"Largest difference of logits from Keras, when exported: {measured}."]
    return "\n".join(lines)


def _configuration(config: Mapping[str, Any]) -> str:
    if not config:
        return "## Training configuration\n\nNot recorded."
    rows = [(k, code(json.dumps(v, default=str, ensure_ascii=False))) for k, v in config.items()]
    return f"## Training configuration\n\n{table(('name', 'value'), rows)}"


def _loading(name: str, version: int, image_shape: tuple[int, int, int]) -> str:
    shape = ", ".join(map(str, image_shape))
    saved_model = f"""import tensorflow as tf
model = tf.saved_model.load("{version}")  # keep it: the signature alone does not keep the weights
serve = model.signatures["serving_default"]
answer = serve(image=tf.zeros((1, {shape})))
print(answer["probabilities"].numpy())"""
    tflite = f"""import numpy as np
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(model_path="{name}-{version}.tflite").get_signature_runner("serving_default")
answer = model(image=np.zeros((1, {shape}), "float32"))
print(answer["logits"])"""
    serving = f"""docker run -p 8501:8501 -v "$PWD:/models/{name}" -e MODEL_NAME={name} \\
  tensorflow/serving"""
    return "\n\n".join(
        [
            "## Loading\n\nRun from the folder of this card. As a SavedModel:",
            fence(saved_model, "python"),
            "With LiteRT, without TensorFlow:",
            fence(tflite, "python"),
            "With TensorFlow Serving, which takes the highest version of the mounted folder:",
            fence(serving, "sh"),
        ]
    )


def _limits(figures: Mapping[str, Any] | None) -> str:
    lines = [
        "Robust accuracies are upper bounds: they say what the listed attacks did not find, they "
        "are no proof. A stronger attack can lower them.",
        "They hold for L-infinity perturbations of the listed radius and images like those of the "
        "data set; not for other norms, larger radii, rotations, or unrelated images, which get "
        "a class as well.",
        "Pixels outside [0, 1] are answered, not refused: divide bytes by 255.",
        "`serving_bytes` sees 8 bits per channel; the figures were measured on float pixels.",
        "The `.tflite` file checks the image size only where `resize_tensor_input` is called with "
        "`strict=True`.",
    ]
    if not figures or not figures.get("attacks"):
        lines[0] = "Nothing is known of this version's robustness: it was not evaluated."
        lines[1] = "Unrelated images get a class as well."
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


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
