"""Records as a stranger may write them."""

import json

import pytest

from keras_efgsm import records
from keras_efgsm.records import RecordError, read_json
from keras_efgsm.records.json_text import MOST_BYTES, parse_json
from keras_efgsm.runs.folder import RunFolder


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 65 + b"]" * 65,
        b'{"a":' * 65 + b"1" + b"}" * 65,
    ],
)
def test_json_that_is_nested_deep_is_refused(content):
    with pytest.raises(RecordError, match="not nested so deep|readable JSON"):
        parse_json(content)


def test_json_as_deep_as_a_record_is_read():
    assert parse_json(b"[" * 64 + b"]" * 64)


@pytest.mark.parametrize(
    "number", ["9" * 6000, "9" * 4000, "-" + "9" * 400, "18446744073709551617", "1e999", "NaN"]
)
def test_a_number_beyond_measure_is_refused(number, tmp_path):
    for text in (number, f"[{number}]", f'{{"a": {{"b": {number}}}}}'):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(RecordError, match="number|JSON") as caught:
            read_json(tmp_path / "a.json")
        assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_a_file_of_many_empty_lists_is_refused_by_its_size(tmp_path):
    path = tmp_path / "a.json"
    with open(path, "wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(RecordError, match="at most 8 MiB"):
        read_json(path)


def test_texts_of_a_file_hold_no_control_characters():
    read = parse_json(b'{"a\\u001b": ["\\u001b[31mred", {"b": "\\ud800"}], "c": "two\\nlines"}')
    assert read == {"a\\x1b": ["\\x1b[31mred", {"b": "\\ud800"}], "c": "two\nlines"}
    json.dumps(read).encode()


def test_class_names_of_a_run_are_read_without_control_characters(tmp_path):
    (tmp_path / "metrics.json").write_text(
        json.dumps({"natural_accuracy": 0.5, "class_names": ["\x1b[31mred", "blue"]})
    )
    assert RunFolder(tmp_path).read_metrics()["class_names"] == ["\\x1b[31mred", "blue"]


@pytest.mark.parametrize("kind", [k for k in records.RECORDS if k is not records.TallyRecord])
def test_no_record_takes_what_is_nested_deep_or_no_object(kind, tmp_path):
    for content in ("[]", "null", "[" * 100_000, '{"a":' * 100_000, "\x00", "5", '"\\ud800"'):
        (tmp_path / "file").write_text(content)
        with pytest.raises(ValueError, match="Received: path="):
            kind.read(tmp_path / "file")


@pytest.mark.parametrize(
    "latency", [{}, {"files": 5}, [], {"hardware": "a", "cores": 1, "calls": 1, "batch": 1}]
)
def test_latencies_of_other_types_are_refused(latency):
    with pytest.raises(RecordError, match="latency"):
        records.MeasurementsRecord.from_dict(
            {"schema": 1, "settings": {}, "latency": latency, "forms": {}}
        )
