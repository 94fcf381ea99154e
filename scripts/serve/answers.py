"""What both clients share: from files to a request, and from a response to classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"


class ServerError(RuntimeError):
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
    """What the served model says of one image.

    Args:
        class_id: number of the likeliest class.
        label: its name; `None` where the signature gives none.
        probability: its probability.
    """

    class_id: int
    label: str | None
    probability: float


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
    if any(path.suffix == ".npy" for path in paths):
        if len(paths) != 1:
            raise ValueError(
                f"An array must be sent alone. Received: files={list(map(str, paths))}"
            )
        array = np.load(paths[0], allow_pickle=False)
        if array.dtype == np.uint8:
            return "serving_uint8", {"image": array}
        if array.dtype.kind == "f":
            return "serving_default", {"image": array.astype("float32")}
        raise ValueError(f"An array must be float or uint8. Received: dtype={array.dtype}")
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, contents, strict=True):
        if not content.startswith((_PNG, _JPEG)):
            raise ValueError(f"Images must be PNG or JPEG files. Received: file={str(path)!r}")
    return "serving_bytes", {"image_bytes": byte_vector(contents)}


def byte_vector(contents: Sequence[bytes]) -> np.ndarray:
    """Returns a vector of byte strings, with none cut off at a zero byte as numpy's own are.

    Args:
        contents: the strings.
    """
    vector = np.empty(len(contents), object)
    vector[:] = contents
    return vector


def answers_of(
    outputs: Mapping[str, np.ndarray], labels: Sequence[str] | None = None
) -> list[Answer]:
    """Returns one answer for each image.

    Args:
        outputs: the outputs of a signature, `probabilities` among them.
        labels: the class names, for a signature without. Defaults to none.
    """
    probabilities = np.asarray(outputs["probabilities"])
    classes = outputs.get("class_id", probabilities.argmax(axis=-1))
    names: Sequence[Any]
    if "label" in outputs:
        names = [n.decode() if isinstance(n, bytes) else str(n) for n in outputs["label"]]
    else:
        names = [labels[int(i)] if labels else None for i in classes]
    rows = zip(classes, names, probabilities, strict=True)
    return [Answer(int(i), name, float(row[int(i)])) for i, name, row in rows]


def print_answers(sources: Sequence[str], answers: Sequence[Answer]) -> None:
    """Prints one line for each image: where from, class, label, probability.

    Args:
        sources: what was sent: a file for each image, or one array.
        answers: as `answers_of` gives them.
    """
    for i, answer in enumerate(answers):
        source = sources[i] if len(sources) == len(answers) else f"{sources[0]}[{i}]"
        label = "-" if answer.label is None else answer.label
        print(f"{source}: class {answer.class_id}, label {label}, {answer.probability:.4f}")
