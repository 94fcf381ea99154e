"""The shared part of both clients: image files to a request, a response to classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_efgsm.archives import DAMAGE, read_array_header
from keras_efgsm.limits import check_is_file, read_file

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"


class ServerError(OSError):
    """What the server, or the way to it, answered in place of a result; one line.

    Args:
        status: the HTTP status or the name of the gRPC code.
        message: the first line of what was said.
    """

    def __init__(self, status: int | str, message: str):
        lines = [line.strip() for line in str(message).splitlines() if line.strip()]
        self.status, self.message = status, lines[0] if lines else "no message"
        super().__init__(f"{status}: {self.message}")


@dataclass(frozen=True)
class Answer:
    """The answer of the served model for one image.

    Args:
        class_id: number of the likeliest class.
        label: its name; `None` where the signature gives none.
        probability: its probability.
        margin: by how much its logit is above that of the runner-up, in nats.
    """

    class_id: int
    label: str | None
    probability: float
    margin: float


def check_version_choice(version: int | None, label: str | None) -> None:
    """Checks that at most one of a version and a label of one is asked for.

    Args:
        version: the version, or `None`.
        label: the label, or `None`.

    Raises:
        ValueError: if both are given.
    """
    if version is not None and label is not None:
        raise ValueError(
            f"Give a version or a label. Received: version={version!r}, label={label!r}"
        )


def load_inputs(files: Sequence[str | Path]) -> tuple[str, dict[str, np.ndarray]]:
    """Returns the signature for some files, and its input.

    Args:
        files: PNG or JPEG images, sent as they are; or one .npy of pixels
            `(batch, height, width, channels)`, float in [0, 1] or uint8.

    Raises:
        ValueError: if they are neither.

    Example:

    ```python
    signature, inputs = load_inputs(["three.png", "four.jpg"])  # "serving_bytes", ...
    ```
    """
    paths = [Path(file) for file in files]
    if not paths:
        raise ValueError("There must be at least one image to send. Received: files=[]")
    if any(path.suffix == ".npy" for path in paths):
        if len(paths) != 1:
            raise ValueError(
                f"An array must be sent alone. Received: files={list(map(str, paths))}"
            )
        try:
            check_is_file(paths[0])
            with open(paths[0], "rb") as file:
                read_array_header(file, paths[0].stat().st_size)
            array = np.load(paths[0], allow_pickle=False)
        except FileNotFoundError:
            raise
        except DAMAGE as error:
            raise ValueError(
                f"An array must be a whole file of NumPy ({error}). Received: "
                f"file={str(paths[0])!r}"
            ) from error
        if array.dtype == np.uint8:
            return "serving_uint8", {"image": array}
        if array.dtype.kind == "f":
            return "serving_default", {"image": array.astype("float32")}
        raise ValueError(f"An array must be float or uint8. Received: dtype={array.dtype}")
    contents = [read_file(path) for path in paths]
    for path, content in zip(paths, contents, strict=True):
        if not content.startswith((_PNG, _JPEG)):
            raise ValueError(f"Images must be PNG or JPEG files. Received: file={str(path)!r}")
    return "serving_bytes", {"image_bytes": byte_vector(contents)}


def byte_vector(contents: Sequence[bytes]) -> np.ndarray:
    """Returns a vector of byte strings, with none cut off at a zero byte as numpy's own are.

    Args:
        contents: the strings.
    """
    vector: np.ndarray = np.empty(len(contents), object)
    vector[:] = contents
    return vector


def answers_of(
    outputs: Mapping[str, np.ndarray], labels: Sequence[str] | None = None
) -> list[Answer]:
    """Returns one answer for each image.

    Args:
        outputs: the outputs of a signature: `probabilities` `(batch, classes)`, and where it
            has them `class_id` and `label` `(batch,)` and `logits` `(batch, classes)`.
        labels: the class names, for a signature without. Defaults to none.

    Raises:
        ValueError: if there is no `probabilities` among the outputs, or `labels` are fewer
            than the classes.

    Example:

    ```python
    answers_of({"probabilities": np.array([[0.2, 0.8]])}, ["cat", "dog"])[0].label  # "dog"
    ```
    """
    if "probabilities" not in outputs:
        raise ValueError(
            "The signature must answer with `probabilities`, as those of `keras-efgsm export` do. "
            f"Received: outputs={sorted(outputs)}"
        )
    probabilities = np.asarray(outputs["probabilities"])
    if labels is not None and len(labels) < probabilities.shape[-1]:
        raise ValueError(
            f"`labels` must name all {probabilities.shape[-1]} classes. "
            f"Received: {len(labels)} labels"
        )
    classes = outputs.get("class_id", probabilities.argmax(axis=-1))
    names: Sequence[Any]
    if "label" in outputs:
        names = [n.decode() if isinstance(n, bytes) else str(n) for n in outputs["label"]]
    else:
        names = [labels[int(i)] if labels else None for i in classes]
    # A difference of logits is one of log-probabilities; where a probability is 0, it is endless.
    with np.errstate(divide="ignore"):
        scores = np.asarray(outputs.get("logits", np.log(probabilities.astype("float64"))))
    rows = zip(classes, names, probabilities, scores, strict=True)
    return [
        Answer(int(i), name, float(row[int(i)]), _margin(score, int(i)))
        for i, name, row, score in rows
    ]


def _margin(scores: np.ndarray, class_id: int) -> float:
    return float(scores[class_id] - np.delete(scores, class_id).max(initial=-np.inf))
