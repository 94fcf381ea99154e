"""The model of the test double: versions loaded through the C API, warmed up, and asked.

What it refuses before the graph is reached, and with which words, follows TF Serving's sources
(predict_util.cc, server_core.cc, get_model_status_impl.cc).
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from integration.serving.c_api import SavedModelSession, TensorFlowError
from integration.serving.warmup import replay_warmup
from keras_efgsm.serving.server_config import model_versions


class ServedVersion:
    """One version of a model. It is `AVAILABLE` once it is loaded and warmed up.

    Args:
        number: the version.
        path: its SavedModel.

    Raises:
        TensorFlowError: if it cannot be loaded or a warm-up request fails, in which
            case TF Serving would not serve it.
    """

    def __init__(self, number: int, path: Path):
        self.number = number
        self.session = SavedModelSession(path)
        self.state = "LOADING"
        try:
            self.warmed_up = replay_warmup(path, self.predict)
        except BaseException:
            self.session.close()
            raise
        self.state = "AVAILABLE"

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Iterable[str] = ()
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature.

        Args:
            signature: its name; empty for `serving_default`.
            inputs: its inputs, by name.
            outputs: those asked for. Defaults to all.

        Raises:
            TensorFlowError: if the signature, the names or the values are refused.
        """
        signature, wanted = signature or "serving_default", list(outputs)
        if signature not in self.session.signatures:
            raise TensorFlowError(
                "FAILED_PRECONDITION", f'Serving signature key "{signature}" not found.'
            )
        known = self.session.signatures[signature]
        sent, expected = set(inputs), set(known.inputs)
        if sent != expected:
            raise TensorFlowError(
                "INVALID_ARGUMENT",
                f"input size does not match signature: {len(sent)}!={len(expected)} "
                f"len({_braces(sent)}) != len({_braces(expected)}). Sent extra: "
                f"{_braces(sent - expected)}. Missing but required: {_braces(expected - sent)}.",
            )
        for name in wanted:
            if name not in known.outputs:
                raise TensorFlowError(
                    "INVALID_ARGUMENT",
                    f"output tensor alias not found in signature: {name} Outputs expected to be "
                    f"in the set {_braces(known.outputs)}.",
                )
        return self.session.run(signature, inputs, wanted or None)


class ServedModel:
    """A model's folder, served as TF Serving would: its latest version, or those named.

    Args:
        name: the model's name.
        folder: its folder, with integer versions.
        versions: the versions to load. Defaults to the latest.
        labels: label to version. Defaults to none.

    Raises:
        ValueError: if the folder or a version cannot be used.
        TensorFlowError: if a version cannot be loaded or warmed up.
    """

    def __init__(
        self,
        name: str,
        folder: str | Path,
        *,
        versions: Sequence[int] = (),
        labels: Mapping[str, int] | None = None,
    ):
        found, folder = model_versions(folder), Path(folder)
        numbers = sorted(set(versions or [max(found)]))
        self.name, self.labels = name, dict(labels or {})
        strangers = ({*numbers} - {*found}) | ({*self.labels.values()} - {*numbers})
        if strangers:
            raise ValueError(
                f"`versions` must be among {found}, and those of `labels` among the versions. "
                f"Received: versions={numbers}, labels={self.labels}"
            )
        self.versions = {n: ServedVersion(n, folder / str(n)) for n in numbers}

    def find(self, name: str, version: int | None = None, label: str | None = None):
        """Returns the version that a request means.

        Args:
            name: the model's name in the request.
            version: its version. Defaults to the latest that is loaded.
            label: its version label. Defaults to none.

        Raises:
            TensorFlowError: if there is none.
        """
        if label:
            if name != self.name or label not in self.labels:
                raise TensorFlowError(
                    "INVALID_ARGUMENT", f"Unrecognized servable version label: {label}"
                )
            version = self.labels[label]
        number = max(self.versions) if version is None else version
        if name != self.name or number not in self.versions:
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise TensorFlowError("NOT_FOUND", f"Servable not found for request: {asked}")
        return self.versions[number]

    def states(
        self, name: str, version: int | None = None, label: str | None = None
    ) -> dict[int, str]:
        """Returns version to state of the versions that a status request means.

        Args:
            name: the model's name in the request.
            version: its version. Defaults to all.
            label: its version label. Defaults to none.

        Raises:
            TensorFlowError: if there is none.
        """
        if label:
            version = self.find(name, None, label).number
        if name != self.name:
            raise TensorFlowError("NOT_FOUND", f"Could not find any versions of model {name}")
        if version is not None and version not in self.versions:
            raise TensorFlowError("NOT_FOUND", f"Could not find version {version} of model {name}")
        numbers = self.versions if version is None else [version]
        return {n: self.versions[n].state for n in sorted(numbers, reverse=True)}


def _braces(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
