"""Checks that a SavedModel on disk holds the classifier and nothing else."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_efgsm.form import ExportError

# The checkpoint's own bookkeeping; everything else in it is a variable.
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_INIT_SIGNATURE = "__saved_model_init_op"


@dataclass(frozen=True)
class SavedModelContents:
    """The contents of a SavedModel on disk, read without loading it.

    Args:
        inputs: for each signature the names of its inputs, sorted.
        outputs: for each signature the names of its outputs, sorted.
        variables: for each stored variable its value.
    """

    inputs: dict[str, list[str]]
    outputs: dict[str, list[str]]
    variables: dict[str, np.ndarray]

    @property
    def variable_bytes(self) -> int:
        """The total size of the stored values, in bytes."""
        return sum(value.nbytes for value in self.variables.values())


def saved_model_contents(path: str | os.PathLike[str]) -> SavedModelContents:
    """Returns the signatures and the variables of the SavedModel in folder `path`.

    Args:
        path: the folder with `saved_model.pb`.

    Raises:
        OSError: if there is none.

    Example:

    ```python
    sorted(saved_model_contents("exported_models/mnist/1").inputs)
    ```
    """
    proto = saved_model_pb2.SavedModel.FromString((Path(path) / "saved_model.pb").read_bytes())
    (graph,) = proto.meta_graphs
    signatures = {k: s for k, s in graph.signature_def.items() if k != _INIT_SIGNATURE}
    reader = tf.train.load_checkpoint(str(Path(path) / "variables" / "variables"))
    names = sorted(set(reader.get_variable_to_shape_map()) - {_OBJECT_GRAPH})
    return SavedModelContents(
        inputs={key: sorted(s.inputs) for key, s in signatures.items()},
        outputs={key: sorted(s.outputs) for key, s in signatures.items()},
        variables={name: np.asarray(reader.get_tensor(name)) for name in names},
    )


def check_holds_only(path: str | os.PathLike[str], classifier: keras.Model) -> SavedModelContents:
    """Returns the contents of a SavedModel if it holds `classifier` and nothing else.

    Every stored variable must be one weight of the classifier, with its value, and none may be
    stored twice; so no per-sample momentum, no re-constructor and no optimizer can have left.
    Every signature must have one input.

    Args:
        path: the folder with `saved_model.pb`.
        classifier: the model that was exported, in float32 (see `float32_twin`).

    Raises:
        ExportError: if something else is stored, or a signature has another
            number of inputs.

    Example:

    ```python
    classifier = keras.models.load_model("runs/mnist/classifier.keras")
    check_holds_only("exported_models/mnist/1", classifier)
    ```
    """
    contents = saved_model_contents(path)
    for signature, names in contents.inputs.items():
        if len(names) != 1:
            raise ExportError(
                f"Each signature must have one input. Received: inputs of {signature!r}={names!r}"
            )
    left = Counter(_fingerprint(weight.numpy()) for weight in classifier.weights)
    strangers = []
    for name, value in contents.variables.items():
        key = _fingerprint(value)
        if left[key] == 0:
            strangers.append(f"{name}: {value.dtype}{list(value.shape)}")
        left[key] -= 1
    if strangers:
        raise ExportError(
            "The SavedModel must hold each weight of the classifier at most once and no other "
            f"variable. Received: other variables={strangers!r}"
        )
    return contents


def _fingerprint(value: np.ndarray) -> tuple[Sequence[int], str, str]:
    return value.shape, str(value.dtype), hashlib.sha256(value.tobytes()).hexdigest()
