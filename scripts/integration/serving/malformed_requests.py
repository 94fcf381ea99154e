"""Requests that a server must refuse with a clear error, and go on."""

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from integration.serving.png_files import encode_png, png_of
from integration.serving.reference import Reference
from keras_efgsm.serving.answers import ServerError, byte_vector
from keras_efgsm.serving.grpc_client import GrpcClient
from keras_efgsm.serving.rest_client import RestClient

_HUGE = 30000  # pixels a side, by the header alone


@dataclass(frozen=True)
class Malformed:
    """A request that must be refused.

    Args:
        name: what is wrong with it.
        status: what it must be refused with, an HTTP status or a gRPC code.
        words: what the message must hold, so that a reader knows what was wrong.
        send: sends it; raises ServerError if it is refused.
    """

    name: str
    status: int | str
    words: str
    send: Callable[[], Any]


def bad_images(reference: Reference) -> dict[str, tuple[str, np.ndarray, str]]:
    """Returns what is wrong to signature, input and what the error must hold.

    Args:
        reference: of the model; its inputs are spoiled.
    """
    height, width, channels = reference.shape
    good = reference.inputs["serving_default"]["image"][:1]
    file = encode_png(np.zeros(reference.shape, "uint8"))
    huge = png_of(_HUGE, _HUGE, channels, zlib.compress(b"\0" * 1000))
    wide = encode_png(np.zeros((height, width + 1, channels), "uint8"))
    pixels, files = "serving_default", "serving_bytes"
    spoiled = np.array(good)
    spoiled[0, 0, 0, 0] = np.nan
    infinite = np.array(good)
    infinite[0, 0, 0, 0] = np.inf
    size = f"{height} x {width}"
    return {
        "wrong shape": (pixels, np.zeros((1, height, width - 1, channels), "float32"), size),
        "wrong rank": (pixels, np.zeros((1, height, width), "float32"), size),
        "NaN pixel": (pixels, spoiled, "NaN"),
        "infinite pixel": (pixels, infinite, "infinite"),
        "pixels in 0..255": (pixels, 255 * np.ones_like(good), "255"),
        "corrupt image": (files, byte_vector([file[: len(file) // 2]]), "PNG"),
        "bytes that are no image": (files, byte_vector([b"not an image"]), "PNG or JPEG"),
        "no bytes at all": (files, byte_vector([b""]), "PNG or JPEG"),
        "another size in the file": (files, byte_vector([wide]), size),
        f"header of {_HUGE} x {_HUGE}": (files, byte_vector([huge]), str(_HUGE)),
        "one bad file among good": (files, byte_vector([file, b"no", file]), "PNG or JPEG"),
    }


def rest_requests(client: RestClient, reference: Reference, limit: int) -> Iterator[Malformed]:
    """Yields malformed requests over REST.

    Args:
        client: of the server.
        reference: of the model.
        limit: the largest body that the server takes, in bytes.
    """

    def post(path: str, body: Any) -> Callable[[], Any]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return partial(client.request, "POST", path, content)

    model, predict = client.path, f"{client.path}:predict"
    base = model.rpartition("/")[0]
    image = reference.inputs["serving_default"]["image"][0].tolist()
    for name, (signature, value, words) in bad_images(reference).items():
        (key,) = reference.inputs[signature]
        yield Malformed(name, 400, words, partial(client.predict, {key: value}, signature))
    bodies: dict[str, tuple[Any, str]] = {
        "wrong dtype (text for a pixel)": ({"instances": [_with_text(image)]}, "expected type"),
        "text for the image": ({"instances": ["x"]}, "expected type"),
        "empty batch": ({"instances": []}, "No values"),
        "empty batch in columns": ({"inputs": []}, "image"),
        "lists of unequal lengths": ({"instances": [image, image[1:]]}, "size"),
        "missing input": ({"instances": [{"picture": image}]}, "image"),
        "missing input in columns": ({"inputs": {"picture": [image]}}, "image"),
        "neither instances nor inputs": ({}, "instances"),
        "unknown signature": ({"signature_name": "no", "instances": [image]}, '"no"'),
        "invalid JSON": (b'{"instances": [', "JSON"),
        "not an object": (b"[1, 2]", "object"),
        "no body": (b"", "JSON"),
        "bytes that are no text": (b"\xff\xfe\x00", "JSON"),
        "lists nested 100 deep": (b'{"inputs": ' + b"[" * 100 + b"1" + b"]" * 100 + b"}", "deeply"),
        "JSON nested 100,000 deep": (b'{"instances": ' + b"[" * 100_000, "JSON"),
        "wrong base64": (_files({"b64": "*not base64*"}), "base64"),
        "base64 under another key": (_files({"base64": "AAAA"}), "image_bytes"),
        "large body that is no image": (
            _files({"b64": base64.b64encode(bytes(limit // 2)).decode()}),
            "PNG or JPEG",
        ),
    }
    for name, (body, words) in bodies.items():
        yield Malformed(name, 400, words, post(predict, body))
    good = {"instances": [image]}
    yield Malformed("unknown model", 404, "no-model", post(f"{base}/no-model:predict", good))
    yield Malformed("unknown version", 404, "987", post(f"{model}/versions/987:predict", good))
    yield Malformed(
        "unknown label", 400, "no-label", post(f"{model}/labels/no-label:predict", good)
    )
    yield Malformed("unknown method", 400, "Malformed request", post(f"{model}:guess", good))
    yield Malformed("body above the limit", 413, "bytes", post(predict, bytes(limit + 1)))


def grpc_requests(client: GrpcClient, reference: Reference, limit: int) -> Iterator[Malformed]:
    """Yields malformed requests over gRPC.

    Args:
        client: of the server.
        reference: of the model.
        limit: the largest message that the server takes, in bytes.
    """
    import tensorflow as tf
    from tensorflow.core.framework import types_pb2
    from tensorflow_serving.apis import classification_pb2, predict_pb2

    image = reference.inputs["serving_default"]["image"][:1]

    def request(**inputs: Any) -> predict_pb2.PredictRequest:
        made = predict_pb2.PredictRequest()
        for name, value in inputs.items():
            is_proto = hasattr(value, "tensor_shape")
            made.inputs[name].CopyFrom(value if is_proto else tf.make_tensor_proto(value))
        return made

    def proto(sizes: list[int], **fields: Any) -> Any:
        made = tf.make_tensor_proto(np.zeros(0, "float32"))
        del made.tensor_shape.dim[:]
        for size in sizes:
            made.tensor_shape.dim.add(size=size)
        made.dtype = fields.pop("dtype", types_pb2.DT_FLOAT)
        made.tensor_content = fields.get("content", b"")
        made.float_val.extend(fields.get("values", []))
        return made

    def send(made: predict_pb2.PredictRequest, **spec: Any) -> Callable[[], Any]:
        made.model_spec.name = spec.get("name", "")
        made.model_spec.signature_name = spec.get("signature", "")
        if "version" in spec:
            made.model_spec.version.value = spec["version"]
        if "label" in spec:
            made.model_spec.version_label = spec["label"]
        return partial(client.call, client.predictions.Predict, made)

    invalid = "INVALID_ARGUMENT"
    for name, (signature, value, words) in bad_images(reference).items():
        (key,) = reference.inputs[signature]
        yield Malformed(name, invalid, words, send(request(**{key: value}), signature=signature))
    empty = np.zeros((0, *reference.shape), "float32")
    text = tf.make_tensor_proto([b"x"])
    cases: dict[str, tuple[predict_pb2.PredictRequest, dict[str, Any], str, str]] = {
        "empty batch": (request(image=empty), {}, invalid, "image"),
        "wrong dtype (float64)": (request(image=image.astype("float64")), {}, invalid, "float"),
        "wrong dtype (string)": (request(image=text), {}, invalid, "float"),
        "missing input": (request(), {}, invalid, "image"),
        "another input": (request(picture=image), {}, invalid, "image"),
        "one input too many": (request(image=image, more=image), {}, invalid, "more"),
        "fewer bytes than the shape says": (
            *(request(image=proto([1, *reference.shape], content=b"\0" * 12)), {}),
            *(invalid, "image"),
        ),
        "a shape of 10^15 values": (
            *(request(image=proto([10**15], values=[0.0])), {}, invalid, "image"),
        ),
        "a negative size": (request(image=proto([-1], values=[0.0])), {}, invalid, "image"),
        "a data type that does not exist": (
            *(request(image=proto([1], dtype=99)), {}, invalid, "image"),
        ),
        "unknown signature": (
            *(request(image=image), {"signature": "no"}, "FAILED_PRECONDITION", '"no"'),
        ),
        "unknown model": (request(image=image), {"name": "no-model"}, "NOT_FOUND", "no-model"),
        "unknown version": (request(image=image), {"version": 987}, "NOT_FOUND", "987"),
        "unknown label": (request(image=image), {"label": "no-label"}, invalid, "no-label"),
        "message above the limit": (
            *(request(image=np.zeros(limit // 4 + 1, "float32")), {}),
            *("RESOURCE_EXHAUSTED", "message"),
        ),
    }
    for name, (made, spec, status, words) in cases.items():
        yield Malformed(name, status, words, send(made, **spec))
    classify = classification_pb2.ClassificationRequest()
    ask = partial(client.call, client.predictions.Classify, classify)
    yield Malformed("Classify", "UNIMPLEMENTED", "Classify", ask)


def refusal(request: Malformed) -> str:
    """Sends a malformed request and returns the refusal, if it is the right one.

    Args:
        request: the request.

    Raises:
        AssertionError: if it is answered, or refused in another way.
    """
    try:
        request.send()
    except ServerError as error:
        if error.status != request.status or request.words.lower() not in error.message.lower():
            expected = f"{request.status} with {request.words!r}"
            raise AssertionError(f"expected {expected}, received {error}") from None
        return str(error)
    raise AssertionError(f"it was answered; expected {request.status}")


def _with_text(image: list) -> list:
    return [[["x" for _ in pixel] for pixel in row] for row in image]


def _files(value: Any) -> dict[str, Any]:
    return {"signature_name": "serving_bytes", "instances": [value]}
