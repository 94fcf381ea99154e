"""The gRPC services of the test double, on the stubs of tensorflow-serving-api."""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from integration.serving.c_api import TensorFlowError
from integration.serving.metadata import check_metadata_fields, metadata_response
from integration.serving.served_model import ServedModel


def start_grpc_double(
    model: ServedModel, host: str, port: int, max_request_bytes: int, threads: int = 8
) -> tuple[grpc.Server, int]:
    """Starts the services of one model and returns the server and its port.

    Args:
        model: the model.
        host: the address to listen on.
        port: the port; 0 for a free one.
        max_request_bytes: a larger message is refused with RESOURCE_EXHAUSTED.
        threads: requests answered at once. Defaults to 8.

    Raises:
        OSError: if the port is taken.
    """
    options = [("grpc.max_receive_message_length", max_request_bytes), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(threads), options=options)
    prediction = _PredictionService(model, max_request_bytes)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_ModelService(model), server)
    try:
        port = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise OSError(f"cannot listen on {host}:{port} ({error})") from error
    server.start()
    return server, port


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model: ServedModel, max_tensor_bytes: int):
        self.model, self.max_tensor_bytes = model, max_tensor_bytes

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        return _answer(self._predict, request, context)

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        return _answer(self._metadata, request, context)

    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:
        _refuse("Classify", context)

    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:
        _refuse("Regress", context)

    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:
        _refuse("MultiInference", context)

    def _predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        version = _find(self.model, request.model_spec)
        inputs = {name: self._array(name, proto) for name, proto in request.inputs.items()}
        signature = request.model_spec.signature_name
        outputs = version.predict(signature, inputs, request.output_filter)
        response = predict_pb2.PredictResponse()
        response.model_spec.name = self.model.name
        response.model_spec.version.value = version.number
        response.model_spec.signature_name = signature or "serving_default"
        for name, array in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(array))
        return response

    def _metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        check_metadata_fields(request.metadata_field)
        return metadata_response(self.model.name, _find(self.model, request.model_spec))

    def _array(self, name: str, proto: Any) -> np.ndarray:
        sizes = [dim.size for dim in proto.tensor_shape.dim]
        # One value may stand for a whole tensor, so that a few bytes could ask for any memory.
        if min(sizes, default=0) < 0 or math.prod(sizes) * 8 > 8 * self.max_tensor_bytes:
            raise TensorFlowError(
                "INVALID_ARGUMENT", f"tensor parsing error: {name}: a tensor of shape {sizes}"
            )
        try:
            return tf.make_ndarray(proto)
        except (ValueError, TypeError, KeyError) as error:
            raise TensorFlowError(
                "INVALID_ARGUMENT", f"tensor parsing error: {name}: {error}"
            ) from error


class _ModelService(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, model: ServedModel):
        self.model = model

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        return _answer(self._status, request, context)

    def HandleReloadConfigRequest(self, request: Any, context: grpc.ServicerContext) -> Any:
        _refuse("HandleReloadConfigRequest", context)

    def _status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        response = get_model_status_pb2.GetModelStatusResponse()
        for number, state in self.model.states(*_asked(request.model_spec)).items():
            entry = response.model_version_status.add(version=number)
            entry.state = get_model_status_pb2.ModelVersionStatus.State.Value(state)
            entry.status.SetInParent()
        return response


def _asked(spec: Any) -> tuple[str, int | None, str | None]:
    choice = spec.WhichOneof("version_choice")
    version = spec.version.value if choice == "version" else None
    return spec.name, version, spec.version_label if choice == "version_label" else None


def _find(model: ServedModel, spec: Any) -> Any:
    return model.find(*_asked(spec))


def _answer(make: Any, request: Any, context: grpc.ServicerContext) -> Any:
    try:
        return make(request)
    except TensorFlowError as error:
        code = getattr(grpc.StatusCode, error.code, grpc.StatusCode.UNKNOWN)
        context.abort(code, error.message)


def _refuse(method: str, context: grpc.ServicerContext) -> None:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{method}: this test double has no such method")
