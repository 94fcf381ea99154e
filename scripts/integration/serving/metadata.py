"""What the test double says of a model: the answer to GetModelMetadata, and its JSON."""

from typing import Any

from integration.serving.c_api import TensorFlowError
from integration.serving.served_model import ServedVersion

_FIELD = "signature_def"


def metadata_response(name: str, version: ServedVersion) -> Any:
    """Returns the GetModelMetadataResponse of a version.

    Args:
        name: the model's name.
        version: the version.
    """
    from tensorflow.core.protobuf import meta_graph_pb2
    from tensorflow_serving.apis import get_model_metadata_pb2

    graph = meta_graph_pb2.MetaGraphDef.FromString(version.session.meta_graph)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for key in version.session.signatures:
        signatures.signature_def[key].CopyFrom(graph.signature_def[key])
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = name
    response.model_spec.version.value = version.number
    response.metadata[_FIELD].Pack(signatures)
    return response


def check_metadata_fields(fields: Any) -> None:
    """Checks the fields that a GetModelMetadata request asks for.

    Args:
        fields: their names.

    Raises:
        TensorFlowError: if they are not `signature_def`, the only one there is.
    """
    if not fields:
        raise TensorFlowError(
            "INVALID_ARGUMENT", "GetModelMetadataRequest must specify at least one metadata_field"
        )
    for field in fields:
        if field != _FIELD:
            raise TensorFlowError("INVALID_ARGUMENT", f"Metadata field {field} is not supported")


def metadata_json(name: str, version: ServedVersion) -> bytes:
    """Returns the same as the REST API writes it.

    Args:
        name: the model's name.
        version: the version.
    """
    from google.protobuf import json_format

    text = json_format.MessageToJson(
        metadata_response(name, version),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=1,
    )
    return text.encode()
