"""From what a server answers to classes, probabilities and margins."""

import math

import numpy as np
import pytest

from keras_efgsm.serving import Answer, ServerError, answers_of, load_inputs, make_client
from keras_efgsm.serving.answers import byte_vector

LOGITS = np.array([[1.0, 4.0, -2.0], [0.5, 0.0, 0.25]], "float32")
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("more", [{}, {"logits": LOGITS}])
def test_the_margin_is_the_distance_of_logits_to_the_runner_up(more):
    first, second = answers_of({"probabilities": PROBABILITIES, **more})
    assert (first.class_id, second.class_id) == (1, 0)
    assert first.margin == pytest.approx(3.0, abs=1e-5)
    assert second.margin == pytest.approx(0.25, abs=1e-5)
    assert first.probability == pytest.approx(float(PROBABILITIES[0, 1]))


def test_the_margin_is_endless_where_nothing_is_left_for_the_others():
    with np.errstate(all="raise"):
        (answer,) = answers_of({"probabilities": np.array([[0.0, 1.0]])})
    assert math.isinf(answer.margin)


def test_the_class_that_the_server_names_counts_though_another_is_likelier():
    outputs = {"probabilities": PROBABILITIES[:1], "class_id": [0], "label": [b"zero"]}
    (answer,) = answers_of(outputs)
    assert answer == Answer(0, "zero", float(PROBABILITIES[0, 0]), pytest.approx(-3.0, abs=1e-5))


@pytest.mark.parametrize(
    ("outputs", "labels", "words"),
    [
        ({"logits": LOGITS}, None, r"`probabilities`.*Received: outputs=\['logits'\]"),
        ({"probabilities": PROBABILITIES}, ["a", "b"], "all 3 classes.*Received: 2 labels"),
    ],
)
def test_what_cannot_be_read_is_refused(outputs, labels, words):
    with pytest.raises(ValueError, match=words):
        answers_of(outputs, labels)


def test_nothing_to_send_and_an_unknown_protocol_are_refused():
    with pytest.raises(ValueError, match=r"Received: files=\[\]"):
        load_inputs([])
    with pytest.raises(ValueError, match="rest, grpc.*Received: protocol='http'"):
        make_client("m", "http")
    for protocol in ("rest", "grpc"):
        with pytest.raises(ValueError, match="Received: version=1, label='stable'"):
            make_client("m", protocol, version=1, label="stable")


def test_bytes_keep_their_zeros_and_an_error_is_one_line():
    assert byte_vector([b"a\0", b"\0"]).tolist() == [b"a\0", b"\0"]
    error = ServerError("INTERNAL", "\n  first \nsecond")
    assert (str(error), error.status) == ("INTERNAL: first", "INTERNAL")
    assert str(ServerError(500, "")) == "500: no message"
