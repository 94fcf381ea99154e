"""A client of TensorFlow Serving's gRPC API."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_efgsm.serving.answers import ServerError, check_version_choice


class GrpcClient:
    """A channel to one model of a server. Threads may share it.

    Args:
        model: the model's name.
        address: host and port. Defaults to `"localhost:8500"`.
        version: the version to ask. Defaults to the server's latest.
        label: the version label to ask, instead of a version. Defaults to none.
        timeout: seconds to wait for an answer. Defaults to 10.

    Example:

    ```python
    client = GrpcClient("mnist")
    client.predict({"image": np.zeros((1, 28, 28, 1), "float32")})["probabilities"]
    ```
    """

    def __init__(
        self,
        model: str,
        address: str = "localhost:8500",
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 10.0,
    ):
        import grpc
        from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

        check_version_choice(version, label)
        self.model, self.version, self.label, self.timeout = model, version, label, timeout
        sizes = ("grpc.max_send_message_length", "grpc.max_receive_message_length")
        self._channel = grpc.insecure_channel(address, options=[(size, -1) for size in sizes])
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(
        self, inputs: Mapping[str, np.ndarray], signature: str = "serving_default"
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature, by name.

        Args:
            inputs: its inputs, by name; strings as bytes.
            signature: its name. Defaults to `"serving_default"`.

        Raises:
            ServerError: if the server refuses, or cannot be reached.
        """
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        request.model_spec.signature_name = signature
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
        answer = self.call(self.predictions.Predict, request)
        return {name: tf.make_ndarray(proto) for name, proto in answer.outputs.items()}

    def status(self) -> dict[int, str]:
        """Returns version to state, `"AVAILABLE"` being the one that answers."""
        from tensorflow_serving.apis import get_model_status_pb2

        answer = self.call(self.models.GetModelStatus, get_model_status_pb2.GetModelStatusRequest())
        names = get_model_status_pb2.ModelVersionStatus.State.Name
        return {entry.version: names(entry.state) for entry in answer.model_version_status}

    def metadata(self) -> Any:
        """Returns the SignatureDefMap of the model."""
        from tensorflow_serving.apis import get_model_metadata_pb2

        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        answer = self.call(self.predictions.GetModelMetadata, request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(signatures)
        return signatures

    def input_shape(
        self, signature: str = "serving_default", name: str = "image"
    ) -> tuple[int, ...]:
        """Returns the shape of an input, -1 where any size is taken.

        Args:
            signature: the name of its signature. Defaults to `"serving_default"`.
            name: its name. Defaults to `"image"`.
        """
        info = self.metadata().signature_def[signature].inputs[name]
        return tuple(dim.size for dim in info.tensor_shape.dim)

    def call(self, method: Callable[..., Any], request: Any) -> Any:
        """Returns the server's answer to a request, which is given this client's model.

        Args:
            method: of `predictions` or `models`.
            request: with a `model_spec`; a name or version it has already is kept.

        Raises:
            ServerError: if the server refuses, or cannot be reached.
        """
        import grpc

        spec = request.model_spec
        spec.name = spec.name or self.model
        if spec.WhichOneof("version_choice") is None:
            if self.version is not None:
                spec.version.value = self.version
            if self.label is not None:
                spec.version_label = self.label
        try:
            return method(request, timeout=self.timeout)
        except grpc.RpcError as error:
            raise ServerError(error.code().name, error.details()) from error

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()
