import io
import json
import shutil

import keras
import numpy as np
import pytest
from rich.console import Console

from keras_efgsm.cli import main
from keras_efgsm.data import load_digits
from keras_efgsm.evaluation import attacking, evaluate_robustness, make_attacks
from keras_efgsm.export import FORMS, export_classifier
from keras_efgsm.export.measuring import (
    Measurements,
    card_section,
    find_export,
    find_twin,
    measure_export,
    measure_latencies,
    measurement,
    runner,
)
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records.exported_files import size_in_bytes

EPSILON = 0.1


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a run of digits and the export of all its forms."""
    folder, train = tmp_path_factory.mktemp("made"), load_digits("train")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    model.fit(train.pixels(), train.labels, batch_size=128, epochs=4, verbose=0)
    (folder / "run").mkdir()
    model.save(folder / "run" / "classifier.keras")
    config = TrainingConfig("digits", "digits", "digits", epsilon=EPSILON)
    (folder / "run" / "config.json").write_text(json.dumps(config.to_dict()))
    export_classifier(
        model,
        folder / "digits",
        class_names=[str(i) for i in range(10)],
        representative_images=train.pixels()[:50],
    )
    return folder


@pytest.fixture
def place(made, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(made, tmp_path / "made")


@pytest.fixture(scope="module")
def data():
    test = load_digits("test")
    return test.pixels()[:40], test.labels[:40]


@pytest.fixture
def attacks():
    return make_attacks("pgd-cw,square", EPSILON, steps=3, step_size=0.04, queries=20)


@pytest.fixture
def cheap():
    return make_attacks("square", EPSILON, queries=5)


def keep(place, *forms):
    """Leaves these forms alone of the export."""
    export = find_export(place / "digits" / "1")
    for form, path in export.forms.items():
        if form not in ("saved-model", *forms):
            path.unlink()
    return export


def measure(place, data, attacks, **options):
    options = {"progress": False, "calls": 3, "num_images": 40} | options
    return measure_export(place / "digits" / "1", data, attacks, **options)


# What there is.


def test_the_forms_of_an_export_are_found_by_their_names(made):
    export = find_export(made / "digits" / "1")
    assert list(export.forms) == list(FORMS)
    assert (export.name, export.version) == ("digits", 1)
    for path in (export.card, *export.forms.values()):
        assert path.exists() and path.parent == made / "digits"
    for form, path in export.forms.items():
        assert find_twin(path) == (None if form == "saved-model" else made / "digits" / "1")
    files = [path for path in (made / "digits" / "1").rglob("*") if path.is_file()]
    assert size_in_bytes(export.folder) == sum(len(path.read_bytes()) for path in files)
    assert size_in_bytes(export.card) == len(export.card.read_bytes())


def test_files_of_other_versions_and_names_are_not_taken_for_forms(place):
    folder = place / "digits"
    for name in ("digits-2.tflite", "digits-11.onnx", "other-1-int4.tflite", "note-1.txt"):
        (folder / name).write_text("something else")
    assert list(find_export(folder / "1").forms) == list(FORMS)
    assert find_twin(folder / "digits-2.tflite") is None
    # A folder that was renamed holds files of its old name.
    renamed = folder.rename(place / "renamed")
    assert find_export(renamed / "1").name == "digits"
    (renamed / "cats-1.onnx").write_text("a second model")
    with pytest.raises(ValueError, match=r"One model's files.*Received: .*names=cats, digits"):
        find_export(renamed / "1")
    with pytest.raises(ValueError, match=r"must be the version folder.*Received: "):
        find_export(renamed)
    with pytest.raises(FileNotFoundError, match=r"There is no export here.*Received: "):
        find_export(renamed / "3")


# Latency.


def test_latencies_are_measured_in_turn_on_single_images_and_batches():
    calls = []

    def answer(name):
        def run(images):
            calls.append((name, len(images)))

        return run

    found = measure_latencies(
        {"one": answer("one"), "other": answer("other")}, (8, 8, 1), calls=4, batch_calls=2
    )
    assert list(found) == ["one", "other"]
    assert all(0.0 <= f.median_ms <= f.p90_ms and f.batch_median_ms >= 0 for f in found.values())
    # Five calls each to warm up, then one of each in turn.
    for size, count in ((1, 4), (100, 2)):
        names = [name for name, images in calls if images == size]
        assert names == ["one"] * 5 + ["other"] * 5 + ["one", "other"] * count


def test_every_form_is_timed_on_the_answers_it_gives(made, data):
    expected = runner(made / "run", eager=True)(data[0])
    for path in (made / "run", *find_export(made / "digits" / "1").forms.values()):
        answers = runner(path)(data[0])
        assert answers.dtype == np.float32
        tolerance = 0.05 if "int8" in path.name or "dynamic" in path.name else 1e-3
        assert np.abs(answers - expected).max() < tolerance * np.ptp(expected)


# Measuring.


@pytest.mark.slow(reason="attacks seven files, each by several ways")
def test_each_form_is_measured_on_its_own_file(place, data, attacks):
    told = []
    found = measure(place, data, attacks, run=place / "run", tell=told.append)
    assert list(found.forms) == ["keras", *FORMS] and len(told) == 2 + len(FORMS)
    stored = Measurements.read(place / "digits" / "digits-1.measured.json")
    assert (stored.forms, stored.latency) == (found.forms, found.latency)
    export = find_export(place / "digits" / "1")
    for form, path in export.forms.items():
        result = stored.forms[form]
        assert result.size == size_in_bytes(path)
        assert result.path.rstrip("/") == path.name
        assert 0.0 <= result.robust < result.natural
        assert stored.latency_of(form)["median_ms"] > 0.0
        assert stored.relative_latency(form) > 0.0
    assert stored.relative_latency("keras") == 1.0
    assert stored.forms["saved-model"].routes == "own gradients"
    int8 = stored.forms["tflite-int8"]
    assert int8.routes == "straight-through and transfer"
    assert [attack["name"] for attack in int8.evaluation["attacks"]] == [
        "pgd-cw, gradients of digits/1 (straight-through)",
        "transfer pgd-cw from digits/1",
        "square",
        "transfer square from digits/1",
    ]
    # The float forms are the same network: what turns one turns the other.
    assert abs(stored.forms["onnx"].robust - stored.forms["keras"].robust) <= 0.1
    assert not list((place / "digits").glob("*.npz"))


def test_what_is_measured_stays_and_what_was_interrupted_goes_on(place, data, cheap, monkeypatch):
    keep(place, "tflite", "onnx")
    measured = []

    def counted(model, *arguments, **options):
        measured.append(model.description)
        if len(measured) == 2:
            raise KeyboardInterrupt
        return evaluate_robustness(model, *arguments, **options)

    monkeypatch.setattr(measurement, "evaluate_robustness", counted)
    with pytest.raises(KeyboardInterrupt):
        measure(place, data, cheap)
    path = place / "digits" / "digits-1.measured.json"
    before = Measurements.read(path)
    assert list(before.forms) == ["saved-model"]
    monkeypatch.setattr(measurement, "measure_latencies", None)  # not again
    found = measure(place, data, cheap)
    assert measured == ["digits/1", "digits-1.tflite", "digits-1.tflite", "digits-1.onnx"]
    assert found.forms["saved-model"] == before.forms["saved-model"]
    assert found.latency == before.latency
    measure(place, data, cheap)
    assert len(measured) == 4


def test_inside_a_form_the_evaluation_goes_on_after_its_last_batch(
    place, data, attacks, monkeypatch
):
    keep(place)
    withstand = attacking.withstand
    seen = []

    def stopped(run, attack, *arguments):
        seen.append(attack.name)
        if seen == ["pgd-cw", "square"]:
            raise KeyboardInterrupt
        return withstand(run, attack, *arguments)

    monkeypatch.setattr(attacking, "withstand", stopped)
    with pytest.raises(KeyboardInterrupt):
        measure(place, data, attacks)
    assert [path.name for path in (place / "digits").glob("*.npz")] == [
        "digits-1.saved-model.partial.npz"
    ]
    measure(place, data, attacks)
    assert seen == ["pgd-cw", "square", "square"]
    assert not list((place / "digits").glob("*.npz"))


def test_a_file_that_was_replaced_is_measured_again(place, data, cheap):
    export = keep(place, "tflite", "tflite-float16")
    before = measure(place, data, cheap)
    shutil.copy(export.forms["tflite-float16"], export.forms["tflite"])
    with pytest.raises(ValueError, match=r"digits-1\.tflite was changed"):
        measure(place, data, cheap)
    # Of an export without digests nothing is known but that it is another file.
    export.record.unlink()
    after = measure(place, data, cheap)
    assert after.forms["tflite"].digest == before.forms["tflite-float16"].digest
    assert after.forms["saved-model"] == before.forms["saved-model"]
    assert after.latency["files"] != before.latency["files"]


def test_other_settings_are_refused_unless_all_is_measured_again(place, data, cheap):
    keep(place)
    measure(place, data, cheap)
    with pytest.raises(ValueError, match=r"other settings.*differ in: images, num_images, seed\. "):
        measure(place, data, cheap, num_images=30, seed=1)
    again = measure(place, data, cheap, num_images=30, seed=1, again=True)
    assert again.forms["saved-model"].evaluation["num_images"] == 30


def test_a_damaged_file_of_figures_is_refused_and_kept(place, data, cheap):
    path = find_export(place / "digits" / "1").measured
    path.write_text("{")
    with pytest.raises(ValueError, match=r"must be readable.*Received: path="):
        measure(place, data, cheap)
    assert path.read_text() == "{"


# The card.


def figures(robust, headline=0.5):
    return card_section(measurements(robust), headline).split("\n")


def measurements(robust, latency=1.0):
    evaluation = {
        "schema": 2,
        "num_images": 100,
        "natural_accuracy": 0.9,
        "worst_case_accuracy": 0.6,
        "attacks": [
            {"name": "apgd-ce", "queries": None, "steps": 100, "rounds": 1, "robust_accuracy": 0.8},
            {
                "name": "square",
                "queries": 500,
                "steps": None,
                "rounds": 1,
                "robust_accuracy": 0.8,
            },
        ],
    }
    form = {"digest": "d", "size": 2000}
    latency = {
        "median_ms": latency,
        "p90_ms": 2 * latency,
        "batch_median_ms": 3 * latency,
    }
    through = evaluation | {"worst_case_accuracy": robust, "twin": "m/1", "twin_agreement": 0.99}
    return Measurements(
        "m-1.measured.json",
        {
            "epsilon": 0.1,
            "num_images": 100,
            "dataset": "digits",
            "split": "test",
            "seed": 0,
            "versions": {"keras": "3"},
        },
        {
            "cores": 2,
            "calls": 9,
            "batch": 100,
            "hardware": "a CPU",
            "forms": {"saved-model": latency, "tflite-int8": latency},
        },
        {
            "saved-model": measurement.FormResult("1/", **form, evaluation=evaluation),
            "tflite-int8": measurement.FormResult("m-1-int8.tflite", **form, evaluation=through),
        },
    )


def test_no_figure_is_cut_on_a_terminal_of_80_columns():
    found = measurements(0.525, latency=123.45)
    found.forms["tflite-float16"] = found.forms.pop("tflite-int8")
    found.latency["forms"]["tflite-float16"] = found.latency["forms"]["tflite-int8"]
    console = Console(width=80, file=io.StringIO())
    console.print(found.table())
    printed = console.file.getvalue()
    assert "…" not in printed and "370.35" in printed and "52.50" in printed


def test_the_first_line_says_where_a_file_is_worse_than_the_headline():
    first = figures(robust=0.4)[0]
    assert first.startswith(
        "**`m-1-int8.tflite` is worse than the headline: robust accuracy 40.00 % against 50.00 %.**"
    )
    assert "On the same images the SavedModel has 60.00 %." in first
    first = figures(robust=0.55)[0]
    assert first.startswith("**Lowest: `m-1-int8.tflite`, robust accuracy 55.00 %.**")
    first = figures(robust=0.7, headline=0.6001)[0]
    assert first.startswith("**`1/` is worse than the headline: robust accuracy 60.00 %")


def test_the_section_says_how_it_was_measured():
    text = "\n".join(figures(robust=0.4))
    for words in (
        "| `m-1-int8.tflite` | 2 kB | 1.00 | 2.00 | 3.00 |",
        "apgd-ce (100 steps), square (500 queries)",
        "the first 100 images of digits (test)",
        "radius 0.1",
        "seed 0",
        "twin `m/1`",
        "99.00 % of the clean images",
        "2 cores, 9 calls",
        "a CPU; keras 3",
    ):
        assert words in text


# The command line.

SHORT = ["--attacks", "square", "--queries", "5", "--num-images", "30", "--calls", "2"]


def command(place, *words):
    return main([str(w) for w in ("measure", place / "digits" / "1", *SHORT, *words)])


def without_the_section(card):
    start = card.index("## Measured on each file")
    return card[:start] + card[card.index("\n## ", start) :]


def test_the_command_writes_the_table_into_the_card_and_replaces_it(place, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    export = keep(place, "tflite-int8")
    card = export.card.read_text()
    for _ in range(2):
        assert command(place, "--run", place / "run") == 0
        written = export.card.read_text()
        assert written.count("## Measured on each file") == 1
        assert "| `digits-1-int8.tflite` |" in written and "| `classifier.keras` |" in written
        assert "direct and transfer" in written
        assert without_the_section(written) == without_the_section(card)
    printed = capsys.readouterr().out
    assert "tflite-int8: measured before" in printed and "digits-1.measured.json" in printed
    assert command(place, "--run", place / "run", "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_without_a_run_data_set_and_epsilon_must_be_given(place, capsys):
    keep(place)
    assert command(place) == 2
    assert "`--epsilon` must be given" in capsys.readouterr().err
    assert command(place, "--epsilon", "0.1") == 2
    assert "`--dataset` must be given" in capsys.readouterr().err
    assert command(place, "--epsilon", "0.1", "--dataset", "digits") == 0
    found = Measurements.read(find_export(place / "digits" / "1").measured)
    assert list(found.forms) == ["saved-model"]
    assert command(place, "--run", place / "digits") == 2
    assert "config.json" in capsys.readouterr().err
