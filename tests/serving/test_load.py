"""Load on a server: what is counted, and what ends it."""

import json

import pytest

from keras_efgsm.serving import RestClient, ServerError, load_test, make_client
from keras_efgsm.serving.load import LoadReport, put_load
from keras_efgsm.serving.load_test import make_inputs


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_load_test_counts_every_request(double, protocol, tmp_path):
    where = double.url if protocol == "rest" else double.address
    words = ["--model", "digits", "--protocol", protocol, "--server", where, "--requests", "30"]
    words += ["--clients", "3", "--batch-size", "4", "--signature", "serving_bytes"]
    with pytest.raises(SystemExit, match="0"):
        load_test.main([*words, "--timeout", "60", "--json", str(tmp_path / "load.json")])
    found = json.loads((tmp_path / "load.json").read_text())
    assert (found["answered"], found["errors"]) == (30, 0)
    assert found["p50_ms"] <= found["p90_ms"] <= found["p99_ms"] <= found["max_ms"]
    ratio = found["images_per_second"] / found["requests_per_second"]
    assert ratio == pytest.approx(4)


def test_a_load_test_counts_errors_by_message_and_a_dead_client_ends_it(double):
    def make():
        return make_client("digits", "rest", double.url, timeout=60)

    inputs = make_inputs("serving_uint8", (8, 8, 1), 1)
    asked = []

    class Flaky(RestClient):
        def predict(self, *words):
            asked.append(1)
            if len(asked) % 2 == 0:
                raise ServerError(503, "busy")
            return super().predict(*words)

    def flaky():
        return Flaky("digits", double.url)

    report = put_load(flaky, inputs, "serving_uint8", clients=1, requests=10, warmup=0)
    assert report.errors == {"503: busy": 5}
    assert len(report.latencies) == 5
    with pytest.raises(ServerError, match="busy"):
        put_load(flaky, inputs, "serving_uint8", clients=2, requests=10, warmup=3)
    with pytest.raises(ServerError, match="8 x 8"):
        put_load(make, make_inputs("serving_uint8", (9, 9, 1), 1), "serving_uint8")
    with pytest.raises(ValueError, match="Received: clients=0"):
        put_load(make, inputs, "serving_uint8", clients=0)


def test_percentiles_are_those_of_the_latencies():
    figures = LoadReport(tuple(i / 1000 for i in range(1, 102)), {}, 2.0, 3).figures()
    assert figures["p50_ms"] == pytest.approx(51)
    assert figures["p90_ms"] == pytest.approx(91)
    assert figures["max_ms"] == pytest.approx(101)
    assert figures["images_per_second"] == pytest.approx(101 * 3 / 2)
