"""Every type of record goes through the same contract; then what is special to each."""

import dataclasses
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from keras_efgsm import records
from keras_efgsm.records import part as part_module
from keras_efgsm.records import record as record_module
from keras_efgsm.records import wording
from keras_efgsm.records.report_curves import ReportCurvesRecord

ROOT = Path(__file__).parents[2]
ATTACK = {
    "name": "apgd-t",
    "engine": "native",
    "loss": None,
    "epsilon": 0.1,
    "steps": 100,
    "step_size": None,
    "rounds": 9,
    "queries": None,
    "restarts": 1,
    "random_start": True,
    "num_images": 10,
    "num_attacked": 9,
    "num_turned": 3,
    "seed": 0,
    "robust_accuracy": 0.6,
    "robust_interval": [0.3, 0.8],
    "seconds": 1.5,
}
EVALUATION = {
    "schema": 2,
    "model": "run",
    "dataset": "digits:test",
    "split": "test",
    "num_images": 10,
    "natural_accuracy": 0.9,
    "natural_interval": [0.6, 1.0],
    "cascade": True,
    "attacks": [ATTACK],
    "worst_case_accuracy": 0.6,
    "worst_case_interval": [0.3, 0.8],
    "classes": {
        "num_classes": 2,
        "class_names": ["cat", "dog"],
        "clean": {"0": {"0": 5}, "1": {"0": 1, "1": 4}},
        "attacked": {"0": {"0": 4, "1": 1}, "1": {"0": 3, "1": 2}},
    },
    "versions": {"keras": "3.15.1"},
    "hardware": "a processor, 2 cores",
    "seconds": 2,
}
STOP = {"fired": True, "epoch": 2, "reason": "the probe fell", "restored_epoch": 1}
ABOUT = {"versions": {"keras": "3.15.1"}, "hardware": "a processor, 2 cores"}
SEVERAL = {"model": "run", "dataset": "digits", "split": "test", "num_images": 10}
SEVERAL |= {"selection": "first", "images": "ab"}
ROW = {"trial": "00", "is_preset": True, "values": {"lambda": 0.1}, "natural_accuracy": 0.9}
COMPARED = {
    "name": "a",
    "path": "exported_models/a/1",
    "digest": "ab",
    "access": "white-box",
    "rank": 1,
    "worst_case_interval": [0.3126738, 0.8318197],
    "natural_interval": [0.5958500, 0.9821238],
    "accuracies": [0.6],
    "parameters": 9,
    "size": None,
    "command": "keras-efgsm evaluate exported_models/a/1",
    "evaluation": EVALUATION | {"images": "cd"},
}
# Without the attack by gradients.
OF_A_FILE = COMPARED | {"name": "b", "access": "black-box", "accuracies": [None]}
# One value of each kind of file.
SAMPLES = {
    records.EvaluationRecord: EVALUATION,
    records.RobustnessCurveRecord: {
        "schema": 1,
        **SEVERAL,
        "cascade": True,
        "points": [
            {
                "epsilon": 0,
                "robust_accuracy": 0.9,
                "robust_interval": [0.6, 1.0],
                "attacks": [],
            },
            {
                "epsilon": 0.1,
                "robust_accuracy": 0.6,
                "robust_interval": [0.3, 0.8],
                "attacks": [ATTACK],
            },
        ],
        **ABOUT,
        "seconds": 2,
    },
    records.TargetedRecord: {
        "schema": 1,
        **SEVERAL,
        "target": "cat",
        "clean_rate": 0.1,
        "cascade": False,
        "attacks": [ATTACK],
        "success_rate": 0.4,
        "success_interval": [0.2, 0.7],
        **ABOUT,
        "seconds": 2,
    },
    records.TallyRecord: {
        "schema": 2,
        "identity": {"model": "a"},
        "attack": 1,
        "step": 0,
        "batch_size": 4,
        "attack_seconds": [0.5, 0.25],
        "seconds": 1.5,
        "round_has_begun": True,
        "correct": np.array([True, False, True]),
        "robust": np.array([[True, False, False], [True, False, True]]),
        "waiting": np.array([False, False, True]),
        "clean_classes": np.array([0, 0, 1], "int32"),
        "classes": np.array([[0, 0, 0], [0, 0, 1]], "int32"),
    },
    records.ComparisonRecord: {
        "schema": 1,
        "dataset": "digits:test",
        "split": "test",
        "num_images": 10,
        "selection": "first",
        "images": "cd",
        "epsilon": 0.1,
        "cascade": True,
        "seed": 0,
        "eot": 1,
        "attacks": [{"name": "apgd-t", "budget": "100 steps x 9 targets"}],
        "models": [COMPARED, OF_A_FILE],
        **ABOUT,
    },
    records.ComparisonStateRecord: {
        "schema": 1,
        "settings": {"seed": 0},
        "models": [COMPARED | {"rank": None, "command": None}],
    },
    records.DiagnosisRecord: {
        "schema": 1,
        "verdict": "mild signs of masking",
        "masked": False,
        "advice": "Evaluate in full.",
        "findings": [
            {
                "name": "one_step_beats_many",
                "flagged": True,
                "severity": "mild",
                "evidence": "3 of 10",
                "figures": {"chance": 0.5, "accuracies": [0.1, 0.2]},
            }
        ],
        "epsilon": 0.1,
        "num_images": 10,
        "num_correct": 9,
        "lowest_accuracy": 0.5,
        "seed": 0,
        "dataset": "digits:test",
        "model": "run",
        "curves": {"epsilon": [{"epsilon": 0.1, "ce": 0.5}]},
        **ABOUT,
        "seconds": 2.5,
    },
    records.DistancesRecord: {
        "schema": 1,
        "model": "run",
        "dataset": "digits:test",
        "split": "test",
        "norm": "l2",
        "num_images": 10,
        "num_correct": 9,
        "selection": "first",
        "images": "ab",
        "attacks": [
            {
                "name": "deepfool",
                "engine": "native",
                "options": {"steps": 50, "overshoot": 0.02},
                "num_attacked": 9,
                "num_found": 4,
                "lower_quartile": 0.5,
                "median": None,
                "upper_quartile": None,
                "mean_of_found": 0.4,
                "seconds": 1.5,
            }
        ],
        "smallest": {
            "name": "smallest",
            "num_attacked": 9,
            "num_found": 4,
            "lower_quartile": 0.5,
            "median": None,
            "upper_quartile": None,
            "mean_of_found": 0.4,
        },
        **ABOUT,
        "seconds": 2.5,
    },
    records.UniversalRecord: {
        "schema": 1,
        "model": "run",
        "dataset": "digits:test",
        "split": "test",
        "engine": "native",
        "norm": "linf",
        "epsilon": 0.1,
        "options": {"steps": 300},
        "seed": 0,
        "num_made_on": 5,
        "num_images": 5,
        "selection": "first",
        "images": "ab",
        "fooling_rate_made_on": 0.6,
        "fooling_rate": 0.4,
        "fooling_rate_random": 0.0,
        "clean_accuracy": 0.9,
        "accuracy": 0.5,
        "size": [8, 8],
        "png": "aa",
        **ABOUT,
        "seconds": 2.5,
    },
    records.MeasurementsRecord: {
        "schema": 1,
        "settings": {"epsilon": 0.1, "attacks": [["APGD", {"steps": 10}]]},
        "latency": None,
        "forms": {"onnx": {"path": "a", "digest": "d", "size": 9, "evaluation": EVALUATION}},
    },
    records.ExportRecord: {
        "schema": 1,
        "contract": {
            "image_size": [8, 6],
            "channels": 3,
            "pixels": "[0, 1]",
            "resizing": None,
            "class_names": ["cat", "dog"],
        },
        "name": "cats",
        "version": 1,
        "files": [
            {
                "form": "onnx",
                "file": "cats-1.onnx",
                "size": 9,
                "sha256": {"cats-1.onnx": "ab"},
                "what": "ONNX",
                "takes": "images",
                "answers": "logits",
                "notes": ["A note."],
            }
        ],
        "agreements": {
            "onnx": {"difference": 0.1, "same_class": 0.5, "num_images": 64, "on": "random"}
        },
        "loading": ["With Python."],
        "limits": ["None."],
        "figures": EVALUATION,
        "config": {"epsilon": 0.1},
        "command": "keras-efgsm export RUN",
        "versions": {"keras": "3.15.1"},
        "card_sha256": None,
    },
    records.RobustModelRecord: {
        "schema": 1,
        "name": "cats",
        "summary": "Tells cats from dogs.",
        "file": "classifier.keras",
        "sha256": "ab",
        "license": "apache-2.0",
        "dataset": "pets",
        "image_shape": [8, 6, 3],
        "class_names": ["cat", "dog"],
        "parameters": 9,
        "norm": "linf",
        "epsilon": 0.1,
        "recipe": "pets --epochs 2",
        "command": "keras-efgsm train pets --epochs 2",
        "trained_epochs": 2,
        "trained_seconds": 1.5,
        "trained_hardware": "a processor, 2 cores",
        "trained_versions": {"keras": "3.15.1"},
        "evaluation": EVALUATION,
    },
    records.MetricsRecord: {"natural_accuracy": 0.9, "epochs": 2, "stop": STOP, "seed": 3, **ABOUT},
    records.HistoryRecord: {"rows": [{"epoch": 1, "loss": 2.5}, {"epoch": 2, "probe": 0.5}]},
    records.LogRecord: {
        "lines": [
            {"time": None, "eta_seconds": None, "epoch": 1, "loss": 0.5},
            {"time": "2026-01-01T00:00:00+00:00", "eta_seconds": 1.5, "epoch": 2, "loss": None},
        ]
    },
    records.SearchRecord: {
        "schema": 1,
        "config": {"dataset": "digits"},
        "ranges": {"lambda": {"low": 0.1, "high": 1.0, "log": True}},
        "tuner": "random",
        "trials": 3,
        "epochs": 2,
        "factor": 3,
        "train_images": None,
        "validation_images": 20,
        "attacks": "quick",
        "attack_options": {"steps": 2},
        "seed": 0,
    },
    records.TrialMeasurementRecord: {
        "values": {"lambda": 0.1},
        "metrics": {"robust_accuracy": 0.5, "epochs": 2},
        "stop": STOP,
        "evaluation": EVALUATION,
    },
    records.TrialsRecord: {
        "schema": 1,
        "search": {"tuner": "random"},
        "measured_by": None,
        "trials": [
            {
                "trial": "00",
                "status": "FAILED",
                "values": {"lambda": 0.1},
                "attacks": {},
                "on_pareto_front": False,
                "is_preset": True,
                "goes_on_from": None,
                "stop": None,
                "failure": "no memory",
            }
        ],
        "best": None,
        **ABOUT,
    },
    records.FinalistsRecord: {
        "schema": 1,
        "epochs": 2,
        "seeds": [1, 2],
        "runs": [
            {
                "trial": "00",
                "seed": 1,
                "epochs": 2,
                "values": {"lambda": 0.1},
                "robust_accuracy": 0.0,
                "natural_accuracy": 0.0,
                "failure": "no memory",
            }
        ],
        "finalists": [
            {
                **ROW,
                "runs": 1,
                "robust_accuracy": 0.5,
                "robust_accuracy_deviation": None,
                "robust_accuracy_in_search": 0.6,
            }
        ],
        "best": "00",
    },
    records.ReportCurvesRecord: {
        "schema": 1,
        "measured_with": {"seed": 0},
        "measured": {
            "num_images": 10,
            "natural_accuracy": 0.9,
            "epsilon_curve": [{"epsilon": 0.0, "pgd-ce": 0.9}],
            "steps_curve": [{"steps": 10, "pgd-ce": 0.5}],
            "confusion": [[5, 0], [1, 4]],
            "films": [
                {
                    "label": 1,
                    "size": [8, 8],
                    "frames": [{"epsilon": 0.0, "png": "aa", "predicted": 1, "probability": 0.5}],
                }
            ],
            "milliseconds_per_image": 0.5,
            "examples": [
                {
                    "label": 1,
                    "size": [8, 8],
                    "clean": {"png": "aa", "predicted": 1, "probability": 0.5},
                    "adversarial": {"png": "aa", "predicted": 0, "probability": 0.5},
                    "perturbation": {"png": "aa"},
                    "largest_change": 0.1,
                    "reconstruction": None,
                }
            ],
            "dataset": "digits",
            "split": "test",
            "epsilon": 0.1,
            "seed": 0,
            "class_names": ["a", "b"],
            **ABOUT,
        },
    },
}
JSON = [
    kind
    for kind in records.RECORDS
    if kind not in (records.TallyRecord, records.HistoryRecord, records.LogRecord)
]


def make(kind):
    sample = SAMPLES[kind]
    if kind is ReportCurvesRecord:
        measured = records.report_curves.MeasuredPart.from_dict(sample["measured"])
        made = kind(measured_with=sample["measured_with"], measured=measured)
        return kind.from_dict(made.to_dict())
    if kind in (records.HistoryRecord, records.LogRecord):
        (name,) = sample
        return kind(**{name: tuple(sample[name])})
    return kind.from_dict(sample)


def refused(kind, path, content):
    """The message with which a file of this content is refused."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError) as caught:
        kind.read(path)
    message = str(caught.value)
    assert message.endswith(f". Received: path={str(path)!r}")
    # It speaks of the file, and of Python only where that is the reason of a reader.
    assert "Traceback" not in message and len(message) < 600
    return message


def test_the_contract_is_of_every_type():
    assert set(SAMPLES) == set(records.RECORDS)


# The contract.


@pytest.mark.parametrize("kind", records.RECORDS)
def test_what_is_written_is_read_as_an_equal_value_and_written_as_the_same_bytes(kind, tmp_path):
    value, path = make(kind), tmp_path / "file"
    value.write(path)
    again = kind.read(path)
    assert again == value and again.schema == kind.SCHEMA
    assert again.encode() == path.read_bytes()
    assert value != 3


@pytest.mark.parametrize("kind", JSON)
def test_the_file_has_the_fields_as_indented_json(kind, tmp_path):
    value = make(kind)
    value.write(tmp_path / "file")
    text = (tmp_path / "file").read_text()
    sample = SAMPLES[kind]
    content = json.loads(text)
    content.pop("checksum", None)
    assert content == sample
    assert text == json.dumps(json.loads(text), indent=kind.INDENT) + "\n"


@pytest.mark.parametrize("kind", records.RECORDS)
def test_a_damaged_file_is_refused_in_plain_words(kind, tmp_path):
    whole, path = make(kind).encode(), tmp_path / "file"
    for content in (b"", whole[: len(whole) // 2], whole[:-9], b"\xff\xfe\x00", b"<html></html>"):
        refused(kind, path, content)
    for other in ("[]", "3", "null", '"text"', "{}", '{"schema": 1}'):
        refused(kind, path, other)
    # Whatever another type writes.
    for kind_of_other in records.RECORDS:
        if kind_of_other is not kind:
            refused(kind, path, make(kind_of_other).encode())


@pytest.mark.parametrize("kind", [k for k in records.RECORDS if k.HAS_SCHEMA])
def test_a_newer_schema_is_said_to_be_one(kind, tmp_path, monkeypatch):
    path = tmp_path / "file"
    with monkeypatch.context() as patch:
        patch.setattr(kind, "SCHEMA", 99)
        value = make(kind)
    object.__setattr__(value, "schema", 99)
    with pytest.raises(records.NewerSchemaError, match="newer version.*schema 99; update keras"):
        kind.decode(value.encode())
    message = refused(kind, path, value.encode())
    assert kind.NAME in message and "damaged" not in message


@pytest.mark.parametrize("kind", JSON)
@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", "1e999", "true"])
def test_a_number_that_is_not_finite_is_refused(kind, constant, tmp_path):
    text = make(kind).encode().decode()
    number = next(n for n in ("0.9", "0.5", "0.1") if f": {n}" in text)
    if kind is records.SearchRecord:
        # Its numbers with a point lie in what `SearchOptions` checks.
        number = "20"
    assert text.count(f": {number}")
    refused(kind, tmp_path / "file", text.replace(f": {number}", f": {constant}"))


@pytest.mark.parametrize("kind", JSON)
def test_a_value_that_is_not_finite_is_not_written(kind, tmp_path):
    value = make(kind)
    object.__setattr__(value, "extra", {"more": float("nan")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        value.write(tmp_path / "file")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("kind", JSON)
def test_a_field_of_another_type_or_a_missing_one_is_named(kind, tmp_path):
    whole = json.loads(make(kind).encode())
    fields = dataclasses.fields(kind)
    required = [field.name for field in fields if part_module._is_required(field)]
    assert required
    for name in required:
        given = whole.pop(name)
        assert name in refused(kind, tmp_path / "file", json.dumps(whole))
        is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
        whole[name] = "text" if is_number else 0.5
        assert name in refused(kind, tmp_path / "file", json.dumps(whole))
        whole[name] = given


@pytest.mark.parametrize("kind", records.RECORDS)
def test_a_file_beyond_the_limit_is_refused_before_it_is_parsed(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(record_module, "MOST_BYTES", 16)
    assert "at most" in refused(kind, tmp_path / "file", make(kind).encode())


@pytest.mark.parametrize("kind", records.RECORDS)
def test_a_missing_file_is_an_oserror_and_a_failed_write_leaves_the_old_one(
    kind, tmp_path, monkeypatch
):
    path = tmp_path / "file"
    with pytest.raises(FileNotFoundError):
        kind.read(path)
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        make(kind).write(path)
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["file"]


# The files of the project.


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        (records.EvaluationRecord, "results/**/*evaluation.json"),
        (records.MetricsRecord, "results/**/metrics.json"),
        (records.HistoryRecord, "results/**/history.csv"),
        (records.MeasurementsRecord, "exported_models/**/*.measured.json"),
        (records.ExportRecord, "exported_models/**/*-[0-9].json"),
        (records.RobustModelRecord, "keras_efgsm/pretrained/models/*/model.json"),
        (records.SearchRecord, "results/**/search.json"),
        (records.TrialsRecord, "results/**/trials.json"),
        (records.FinalistsRecord, "results/**/finalists.json"),
    ],
)
def test_committed_files_are_read_and_written_as_the_same_bytes(kind, pattern):
    paths = sorted(ROOT.glob(pattern))
    assert paths
    for path in paths:
        value = kind.read(path)
        assert value.encode() == path.read_bytes(), path
        assert not value.extra, path


# What is special to a type.


def test_rows_of_schema_1_and_of_other_libraries_keep_their_fields():
    old = {k: v for k, v in ATTACK.items() if k not in ("rounds", "queries", "num_turned")}
    theirs = {"name": "square", "robust_accuracy": 0.7, "engine": "art", "steps": 5000, "own": 1}
    content = {**EVALUATION, "schema": 1, "attacks": [old, theirs]}
    del content["cascade"]
    record = records.EvaluationRecord.from_dict(content)
    written = record.to_dict()
    assert written == content
    assert record.attacks[1].in_words == "square (5,000 queries)"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"natural_accuracy": 95}, "a natural_accuracy in [0, 1]"),
        ({"natural_accuracy": True}, "a natural_accuracy that is a finite number, but has True"),
        ({"worst_case_accuracy": 0.7}, "no higher than that of an attack on the same images"),
        ({"worst_case_accuracy": None}, "a worst_case_accuracy in [0, 1]"),
        ({"num_images": 0}, "a num_images above 0"),
        ({"attacks": [{**ATTACK, "epsilon": 8}]}, "an epsilon in [1e-12, 1] of attacks[0]"),
        ({"attacks": {}}, "attacks"),
        ({"versions": {"keras": 3}}, "a keras that is text of versions"),
        ({"schema": "2"}, "a schema of 1 to 2"),
        ({"schema": 3}, "a schema of at most 2"),
    ],
)
def test_an_evaluation_that_cannot_be_is_refused(tmp_path, change, reason):
    path = tmp_path / "evaluation.json"
    assert reason in refused(records.EvaluationRecord, path, json.dumps(EVALUATION | change))


def test_the_headline_is_the_lowest_figure():
    few = {**ATTACK, "name": "square", "num_images": 5, "robust_accuracy": 0.4}
    record = records.EvaluationRecord.from_dict(EVALUATION)
    assert record.robust_accuracy == 0.6 and not record.worst_is_one_attack
    record = records.EvaluationRecord.from_dict({**EVALUATION, "attacks": [ATTACK, few]})
    assert record.robust_accuracy == 0.4 and record.headline_attacks == (record.strongest,)


def test_json_that_would_mislead_a_reader_is_refused(tmp_path):
    path = tmp_path / "a.json"
    for content in ('{"a": 1, "a": 2}', "[" * 100_000, '{"a": NaN}', '{"a": -1e999}', "9" * 10_000):
        path.write_text(content)
        with pytest.raises(ValueError, match="JSON") as caught:
            records.read_json(path)
        assert str(caught.value).endswith(f"Received: path={str(path)!r}")
    path.write_text('{"a": [1, 2.5, null]}')
    assert records.read_json(path) == {"a": [1, 2.5, None]}


def test_a_metric_without_a_value_is_left_out_of_its_epoch(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss,extra\n1,2.5,nan\n2,,inf\n")
    assert records.HistoryRecord.read(path).rows == ({"epoch": 1, "loss": 2.5}, {"epoch": 2})
    for text in ("epoch,loss\n1,high\n", "epoch,loss\n1,2,3\n", "epoch,loss\n1\n", "a,b\n1,2\n"):
        assert "one line of numbers per epoch" in refused(records.HistoryRecord, path, text)


def test_a_state_with_a_pickle_or_of_other_shapes_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    sample = SAMPLES[records.TallyRecord]
    header = {k: v for k, v in sample.items() if not isinstance(v, np.ndarray)}

    def with_arrays(**changes):
        file = io.BytesIO()
        names = ("correct", "robust", "waiting", "clean_classes", "classes")
        raw = np.frombuffer(json.dumps(header).encode(), "uint8")
        np.savez(file, header=raw, **{n: sample[n] for n in names} | changes)
        return file.getvalue()

    refused(records.TallyRecord, path, with_arrays(correct=np.array([print], object)))
    refused(records.TallyRecord, path, with_arrays(robust=np.ones((2, 4), bool)))
    refused(records.TallyRecord, path, with_arrays(waiting=np.ones(3)))
    refused(records.TallyRecord, path, with_arrays(classes=np.zeros((2, 3))))
    path.write_bytes(with_arrays())
    assert records.TallyRecord.read(path) == make(records.TallyRecord)
    header["schema"] = 1
    assert "that of an earlier version" in refused(records.TallyRecord, path, with_arrays())
    monkeypatch.setattr(records.tally, "_MOST_BYTES", 100)
    assert "unpacks to more" in refused(records.TallyRecord, path, with_arrays())


def test_a_damaged_member_of_a_state_is_found(tmp_path):
    content = bytearray(make(records.TallyRecord).encode())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        offset = archive.getinfo("robust.npy").header_offset
    content[offset + 60] ^= 1
    refused(records.TallyRecord, tmp_path / "state.npz", bytes(content))


def test_a_diagnosis_is_doubtful_unless_it_is_known_to_be_good():
    sample = SAMPLES[records.DiagnosisRecord]
    good = {**sample, "verdict": "no sign of masking", "findings": []}
    assert not records.DiagnosisRecord.from_dict(good).is_doubtful
    for change in ({"verdict": "unclear"}, {"findings": sample["findings"]}):
        assert records.DiagnosisRecord.from_dict(good | change).is_doubtful


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"contract": {"image_size": [8]}}, "image_size of height and width"),
        ({"contract": {"channels": "3"}}, "channels"),
        ({"files": [{"form": "onnx"}]}, "file"),
        ({"agreements": {"onnx": 0.1}}, "onnx"),
        ({"figures": {**EVALUATION, "worst_case_accuracy": 0.9}}, "worst_case_accuracy"),
        ({"config": []}, "config"),
    ],
)
def test_each_part_of_an_exports_record_is_checked(change, named, tmp_path):
    sample = SAMPLES[records.ExportRecord]
    if "contract" in change:
        change = {"contract": {**sample["contract"], **change["contract"]}}
    content = json.dumps({**sample, **change})
    assert named in refused(records.ExportRecord, tmp_path / "file", content)


def test_an_exports_record_keeps_labels_as_they_are_and_knows_its_card():
    sample = SAMPLES[records.ExportRecord]
    contract = {**sample["contract"], "class_names": ["größer", "b"]}
    record = records.ExportRecord.from_dict({**sample, "contract": contract})
    assert "größer" in record.encode().decode()
    assert record.contract.image_shape == (8, 6, 3) and not record.contract.resizes
    assert record.with_card("a").describes("a") and not record.with_card("a").describes("b")


# Wording.


def test_figures_are_said_alike_everywhere():
    assert wording.percent(0.98765) == "98.77 %" and wording.percent(0.98765, 1) == "98.8 %"
    assert wording.percent(None) == wording.percent(float("nan")) == "\u2013"
    assert wording.number(185354) == "185,354" and wording.number(547.26, "s") == "547.3 s"
    assert wording.number(None) == "\u2013" and wording.number("a") == "a"
    assert wording.seconds(12.345) == "12.3 s" and wording.seconds(1547.26) == "1,547 s"
    assert wording.seconds(None) == "\u2013"
    assert wording.count(1, "query") == "1 query" and wording.count(2000, "step") == "2,000 steps"
    assert wording.radius(8 / 255) == "0.03137 (8/255)" and wording.radius(0.3) == "0.3"
    assert wording.radius(0.2) == "0.2" and wording.radius(None) == "\u2013"
    assert wording.size(47_040_000) == "47.0 MB"
    assert wording.in_words({"a_b": [True, None, 0.5]}) == "a b: yes, \u2013, 0.5"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "100 steps x 9 targets"),
        ({"steps": 1, "rounds": 1}, "1 step"),
        ({"steps": 2, "step_size": 0.03, "rounds": 3, "restarts": 2},
         "2 steps of 0.03 x 3 targets x 2 restarts"),
        ({"steps": None, "queries": 5000, "rounds": 1}, "5,000 queries"),
        ({"steps": 10, "queries": 1280, "rounds": 1}, "10 steps, 1,280 queries"),
        ({"steps": None, "rounds": None, "restarts": None}, ""),
    ],
)  # fmt: skip
def test_a_budget_has_one_phrasing(changes, words):
    assert records.AttackRecord.from_dict(ATTACK | changes).budget == words


def test_a_number_stays_with_its_unit():
    assert wording.unbroken("98.77 % of 3 images, 2 s") == "98.77\u00a0% of 3 images, 2\u00a0s"
    assert wording.unbroken("47.0 MB") == "47.0\u00a0MB" and wording.unbroken("1 step") == "1 step"


POINTS = SAMPLES[records.RobustnessCurveRecord]["points"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": [{**POINTS[0], "epsilon": 0.2}, POINTS[1]]}, "rise from epsilon 0"),
        ({"points": [POINTS[0], {**POINTS[0], "epsilon": 0.1}]}, "attacks at each epsilon"),
        ({"points": [POINTS[0], POINTS[1], POINTS[1]]}, "rise from epsilon 0"),
        ({"points": [{**POINTS[1], "epsilon": 0.0}, {**POINTS[0], "epsilon": 1}]}, "do not rise"),
        ({"num_images": 0}, "num_images above 0"),
    ],
)
def test_a_curve_that_rises_is_refused(changes, message):
    kind = records.RobustnessCurveRecord
    with pytest.raises(records.RecordError, match=message):
        kind.from_dict(SAMPLES[kind] | changes)


def test_a_targeted_success_below_that_of_an_attack_is_refused():
    kind = records.TargetedRecord
    with pytest.raises(records.RecordError, match="no lower than that of an attack"):
        kind.from_dict(SAMPLES[kind] | {"success_rate": 0.3})
