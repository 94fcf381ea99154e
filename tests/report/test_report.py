import base64
import io
import itertools
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import keras
import matplotlib.image
import numpy as np
import pytest

from keras_efgsm.cli import main
from keras_efgsm.data import ImageData, load_digits
from keras_efgsm.evaluation import load_classifier
from keras_efgsm.pictures.png import png_text, signed_colours
from keras_efgsm.records import EvaluationRecord, MetricsRecord
from keras_efgsm.records.report_curves import MeasuredPart
from keras_efgsm.records.wording import data_name, percent, unbroken
from keras_efgsm.report import measured_run, render_page, write_report
from keras_efgsm.report.drawing import Line, line_chart
from keras_efgsm.report.measurements import choose_examples, measure_model
from keras_efgsm.report.run_files import ReportedRun

VOID = {"meta", "img", "br"}
DIAGNOSIS = {
    "schema": 1,
    "verdict": "no sign of masking",
    "masked": False,
    "advice": "Evaluate in full.",
    "findings": [],
    "epsilon": 0.1,
    "num_images": 60,
    "num_correct": 57,
    "lowest_accuracy": 0.4,
    "seed": 0,
    "dataset": "digits:test",
    "model": "run",
    "curves": {},
    "versions": {"keras": "3.15.1"},
    "hardware": "a processor, 2 cores",
    "seconds": 2.5,
}
ATTACK = {
    "engine": "native",
    "loss": "ce",
    "epsilon": 0.1,
    "steps": 20,
    "step_size": 0.01,
    "restarts": 1,
    "random_start": True,
    "num_images": 360,
    "seed": 7,
    "seconds": 1.25,
}
EVALUATION = {
    "schema": 1,
    "model": "run",
    "dataset": "digits:test",
    "split": "test",
    "num_images": 360,
    "natural_accuracy": 0.95,
    "attacks": [
        {**ATTACK, "name": "pgd-ce", "robust_accuracy": 0.4567},
        {**ATTACK, "name": "pgd-cw", "loss": "cw", "robust_accuracy": 0.4321},
    ],
    "worst_case_accuracy": 0.4242,
    "versions": {"keras": "3.15.1"},
    "hardware": "a processor, 2 cores",
    "seconds": 2.5,
}
METRICS = {
    "natural_accuracy": 0.95,
    "test_images": 360,
    "train_images": 1437,
    "epochs": 2,
    "training_seconds": 12.5,
    "stop": {"fired": True, "epoch": 2, "reason": "the PGD probe fell", "restored_epoch": 1},
    "parameters": {"classifier": 76522, "reconstructor": 0},
    "momentum_bytes": 0,
    "class_names": [str(i) for i in range(10)],
    "versions": {"keras": "3.15.1"},
    "hardware": "a processor, 2 cores",
}
CONFIG = {"dataset": "digits", "epsilon": 0.1, "method": "efgsm", "seed": 3, "data_dir": "/secret"}
HISTORY = "epoch,seconds,accuracy,loss,probe_accuracy\n1,1.5,0.5,2.0,\n2,1.5,0.625,1.0,0.25\n"


class Page(HTMLParser):
    """The elements of a page, with their text; fails if they are not nested well."""

    def __init__(self, html):
        super().__init__()
        self.html, self.open, self.elements = html, [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names))
        found = {"tag": tag, "text": "", **dict(attributes)}
        self.elements.append(found)
        if tag not in VOID:
            self.open.append(found)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1]["tag"] == tag
        self.open.pop()

    def handle_data(self, data):
        for parent in self.open:
            parent["text"] += data

    def all(self, tag, kind=None):
        return [
            e
            for e in self.elements
            if e["tag"] == tag and (kind is None or kind in (e.get("class") or "").split())
        ]

    def headings(self):
        return [e["text"] for e in self.elements if e["tag"] in ("h1", "h2", "h3")]


def show(fraction):
    return unbroken(percent(fraction))


@pytest.fixture(scope="module")
def classifier(digits, new_classifier):
    (x, y), _ = digits
    model = new_classifier(hidden=24)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=6, batch_size=64, verbose=0)
    return model


@pytest.fixture(scope="module")
def measured(classifier, new_reconstructor, few_attacks):
    data = load_digits("test").take(60)
    model = load_classifier(classifier)
    return measure_model(model, data, 0.1, seed=5, reconstructor=new_reconstructor())


@pytest.fixture(scope="module")
def classifier_file(classifier, tmp_path_factory):
    path = tmp_path_factory.mktemp("classifier") / "classifier.keras"
    classifier.save(path)
    return path


@pytest.fixture
def new_run(tmp_path, classifier_file):
    """Makes a run folder; a file given as None is left out, a dict changes it, text replaces it."""

    def make(name="run", **changes):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        shutil.copy(classifier_file, folder / "classifier.keras")
        files = {"config": CONFIG, "metrics": METRICS, "evaluation": EVALUATION, "diagnosis": {}}
        for file, content in files.items():
            change = changes.get(file, {})
            if file == "diagnosis" and change:
                content = DIAGNOSIS
            if isinstance(change, str):
                (folder / f"{file}.json").write_text(change)
            elif change is not None and (content or change):
                (folder / f"{file}.json").write_text(json.dumps(content | change))
        if changes.get("history", HISTORY) is not None:
            (folder / "history.csv").write_text(changes.get("history", HISTORY))
        return folder

    return make


@pytest.fixture
def calls(monkeypatch, measured):
    """Stands in for the measuring, which one test checks by itself, and counts it."""
    made = []

    def measure(model, data, epsilon, *, seed, norm, reconstructor, on_attack):
        made.append((len(data), epsilon, seed, reconstructor is not None))
        result = json.loads(json.dumps(measured))
        if norm == "l2":
            result["epsilon_curve"][-1]["epsilon"] = 8.0
        if reconstructor is None:
            for example in result["examples"]:
                example["reconstruction"] = None
        return result

    monkeypatch.setattr(measured_run, "measure_model", measure)
    return made


@pytest.fixture
def report(tmp_path, calls):
    """Writes a report of some folders and reads it."""

    def make(*folders, **options):
        out = write_report(folders, tmp_path / "report.html", progress=False, **options)
        return Page(out.read_text(encoding="utf-8"))

    return make


# The page.


def test_the_page_is_well_formed_and_refers_to_nothing_outside(report, new_run):
    page = report(new_run("a"), new_run("b"))
    assert page.html.startswith("<!DOCTYPE html>")
    ids = [e["id"] for e in page.elements if "id" in e]
    assert len(ids) == len(set(ids))
    for found in page.elements:
        assert found["tag"] not in ("script", "link", "iframe", "object", "base", "form")
        assert not [name for name in found if name.startswith("on")]
        if "src" in found:
            assert found["src"].startswith("data:image/png;base64,")
        if "clip-path" in found:
            assert found["clip-path"][5:-1] in ids
        if "href" in found:
            assert found["href"][0] == "#" and found["href"][1:] in ids
    (style,) = page.all("style")
    for outside in ("http:", "https:", "//", "@import", "url("):
        assert outside not in style["text"]
        assert not [e for e in page.elements if outside in (e.get("style") or "")]
    (policy,) = [e for e in page.all("meta") if e.get("http-equiv")]
    assert policy["content"].startswith("default-src 'none'")


def test_every_picture_says_in_words_what_it_shows(report, new_run, measured):
    page = report(new_run())
    # Clean, adversarial, perturbation; and the frames of the films.
    frames = sum(len(film["frames"]) for film in measured["films"])
    assert len(page.all("img")) == 3 * 8 + frames
    assert all(image["alt"].strip() for image in page.all("img"))
    charts = [svg for svg in page.all("svg") if svg.get("role") == "img"]
    assert len(charts) == 5
    assert all(chart["aria-label"].strip() for chart in charts)
    # A pointer that rests on a chart is told its title.
    titles = [title["text"] for title in page.all("title")[1:]]
    assert len(titles) == 5 and "accuracy against PGD iterations" in titles
    assert all("aria-hidden" in svg for svg in page.all("svg") if svg not in charts)
    assert all(th["scope"] in ("row", "col") for th in page.all("th"))
    assert all(th["text"].strip() for th in page.all("th"))


def test_headings_descend_one_level_at_a_time_and_the_page_fits_a_phone(report, new_run):
    page = report(new_run("a"), new_run("b"))
    levels = [int(e["tag"][1]) for e in page.elements if e["tag"] in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert {"name": "viewport"}.items() <= page.all("meta")[3].items()
    # Each table scrolls in a box of its own, which the keyboard reaches.
    boxes = page.all("div", "scroll")
    assert len(boxes) == len(page.all("table"))
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)


def test_the_headline_is_the_worst_case_with_its_attacks_epsilon_images_and_seed(report, new_run):
    page = report(new_run())
    (robust,), (natural,) = page.all("p", "robust"), page.all("p", "natural")
    assert robust["text"] == show(0.4242)
    assert natural["text"] == show(0.95)
    (headline,) = page.all("div", "headline")
    for said in (
        "pgd-ce (20 steps of 0.01), pgd-cw (20 steps of 0.01)",
        "360 images of digits:test",
        "Epsilon 0.1, seed 7",
    ):
        assert said in headline["text"]


def test_an_attack_on_fewer_images_that_finds_more_is_the_headline(report, new_run):
    square = {**ATTACK, "name": "square", "engine": "art", "num_images": 100, "steps": 2000}
    attacks = [*EVALUATION["attacks"], {**square, "robust_accuracy": 0.31, "seed": 9}]
    page = report(new_run(evaluation={"attacks": attacks}))
    assert page.all("p", "robust")[0]["text"] == show(0.31)
    (headline,) = page.all("div", "headline")
    assert "Under square (2,000 queries) on the first 100 images" in headline["text"]
    assert f"all 360 images is {show(0.4242)}" in headline["text"]
    assert "seed 9" in headline["text"]
    (strong,) = page.all("tr", "strong")
    assert strong["text"].startswith("square")


def test_the_table_has_every_attack_and_what_schema_2_adds(report, new_run):
    apgd = {**ATTACK, "name": "apgd-t", "step_size": None, "rounds": 9, "queries": None}
    apgd |= {"robust_accuracy": 0.4242, "num_attacked": 164, "num_turned": 11}
    changes = {"schema": 2, "cascade": True, "attacks": [EVALUATION["attacks"][0], apgd]}
    page = report(new_run(evaluation=changes))
    (table,) = [t for t in page.all("table") if "apgd-t" in t["text"]]
    for said in ("20 steps x 9 targets", "164", "accuracy so far", show(0.4567), "1.2\u00a0s"):
        assert said in table["text"]
    assert "Each attack saw only the images that withstood those above it." in table["text"]


CLASSES = {
    "num_classes": 3,
    "class_names": ["cat", "dog", "<owl>"],
    "clean": {"0": {"0": 200}, "1": {"1": 100, "2": 60}},
    "attacked": {"0": {"0": 100, "1": 20, "2": 80}, "1": {"1": 80, "2": 80}},
}


def test_every_accuracy_has_its_interval(report, new_run):
    page = report(new_run())
    # 0.4242 of 360 is 153 images.
    (headline,) = page.all("div", "headline")
    assert "95 %: 37.5\u201347.7 %" in headline["text"].replace("\u00a0", " ")
    (table,) = [t for t in page.all("table") if "Accuracy on" in t["text"]]
    assert table["text"].replace("\u00a0", " ").count("\u2013") >= 3


def test_each_class_has_its_accuracy_and_the_confusion_is_that_of_the_evaluation(report, new_run):
    page = report(new_run(evaluation={"classes": CLASSES}))
    (table,) = page.all("table", "classes")
    text = table["text"].replace("\u00a0", " ")
    for said in ("cat", "200", "50.00 %", "43.1\u201356.9 %", "<owl> (80), dog (20)", "62.50 %"):
        assert said in text
    # A class without an image has no row, and no bar.
    assert len(page.all("div", "bar")) == 2
    (matrix,) = page.all("table", "confusion")
    assert "in the worst case over all attacks" in matrix["text"]
    assert "On the diagonal: 50.00\u00a0%" in matrix["text"]
    assert not report(new_run("without")).all("table", "classes")


def test_several_runs_are_compared_in_one_table(report, new_run):
    other = {"worst_case_accuracy": 0.3, "natural_accuracy": 0.875}
    page = report(new_run("a"), new_run("b", evaluation=other, config={"method": "fgsm-rs"}))
    (table,) = [t for t in page.all("table") if "All runs" in t["text"]]
    assert page.headings()[:2] == ["Robustness report", "Comparison"]
    for said in (show(0.4242), show(0.3), show(0.875), "12.5\u00a0s", "76,522", "FGSM-RS"):
        assert said in table["text"]
    assert not [p for p in page.all("p", "warning") if "not evaluated alike" in p["text"]]
    assert "Comparison" not in report(new_run("c")).headings()


@pytest.mark.parametrize(
    ("change", "respect"),
    [
        ({"num_images": 100, "attacks": [{**EVALUATION["attacks"][0], "num_images": 100}]}, "imag"),
        ({"attacks": EVALUATION["attacks"][:1]}, "attacks"),
        ({"attacks": [{**a, "epsilon": 0.05} for a in EVALUATION["attacks"]]}, "epsilon"),
        ({"dataset": "mnist:test"}, "data"),
    ],
)
def test_runs_that_were_not_evaluated_alike_are_said_not_to_compare(
    report, new_run, change, respect
):
    page = report(new_run("a"), new_run("b", evaluation=change))
    (warning,) = page.all("p", "warning")[:1]
    assert "not evaluated alike" in warning["text"] and respect in warning["text"]


def in_l2(epsilon):
    """What an evaluation in L2 has differently."""
    return {"attacks": [{**a, "norm": "l2", "epsilon": epsilon} for a in EVALUATION["attacks"]]}


def test_a_page_says_in_which_norm_its_figures_are(report, new_run):
    folder = new_run("a")
    with pytest.raises(ValueError, match=r"evaluate .* --norm l2 --epsilon RADIUS` first"):
        report(folder, norm="l2")
    (folder / "evaluation-l2.json").write_text(json.dumps(EVALUATION | in_l2(1.5)))
    page = report(folder, norm="l2")
    for said in (
        "within an L2 ball",
        "Epsilon 1.5 (L2)",
        "scaled to the largest change",
        "At 8 any",
    ):
        assert said in page.html
    (table,) = [t for t in page.all("table") if "under each attack" in t["text"]]
    assert table["text"].count("1.5 (L2)") == 2
    assert (folder / "report-curves-l2.json").exists()
    assert not (folder / "report-curves.json").exists()
    own = report(folder)
    assert "within an L-infinity ball" in own.html and "L2" not in own.html
    assert (folder / "report-curves.json").exists()
    # A run that was trained for L2 has its L2 figures in the usual files.
    trained = {"method": "pgd", "epsilon": 1.5, "method_options": {"norm": "l2"}}
    other = new_run("b", config=trained, evaluation=in_l2(1.5))
    both = report(folder, other)
    assert "within an L-infinity or L2 ball" in both.html
    (warning,) = both.all("p", "warning")[:1]
    assert "norm" in warning["text"]
    assert not [c for c in both.all("figure") if "PGD-CW, 40 iterations" in c["text"][:60]]
    with pytest.raises(ValueError, match="must hold figures of the norm linf"):
        (other / "evaluation-linf.json").write_text(json.dumps(EVALUATION | in_l2(1.5)))
        report(other, norm="linf")


def test_runs_of_one_name_are_told_apart_by_their_parents(report, new_run):
    page = report(new_run("x/run"), new_run("y/run"))
    assert [h["text"] for h in page.all("h2")] == ["Comparison", "x/run", "y/run"]


def test_what_files_say_is_escaped(report, new_run, monkeypatch):
    evil = '"><img src="http://evil/x.png"><script>alert(1)</script>'
    attacks = [{**EVALUATION["attacks"][0], "name": evil, "engine": evil}]
    folder = new_run(
        "<b>run",
        config={"dataset": "digits", evil: evil, "method": evil, "method_options": {evil: evil}},
        metrics={"stop": {**METRICS["stop"], "reason": evil}, "hardware": evil},
        evaluation={"attacks": attacks, "dataset": evil, "versions": {evil: evil}},
        history=HISTORY.replace("loss", '"<script>a,loss"'),
        diagnosis={
            "verdict": evil,
            "findings": [{"name": evil, "flagged": True, "evidence": evil}],
        },
    )
    load = measured_run.load_data

    def with_evil_names(*arguments, **options):
        data = load(*arguments, **options)
        names = (evil, *data.class_names[1:])
        return ImageData(data.images, data.labels, names, data.name)

    monkeypatch.setattr(measured_run, "load_data", with_evil_names)
    page = report(folder)
    assert not page.all("script") and not page.all("b", None)[0]["text"].startswith("run")
    assert all(image["src"].startswith("data:image/png") for image in page.all("img"))
    assert page.html.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 10
    assert page.headings()[1] == "<b>run"


def test_a_universal_perturbation_of_a_run_is_shown_with_its_figures(report, new_run, capsys):
    folder = new_run()
    record = {
        **{"schema": 1, "model": "run", "dataset": "digits", "split": "test", "engine": "native"},
        **{"norm": "linf", "epsilon": 0.2, "options": {}, "seed": 7, "num_made_on": 40},
        **{"num_images": 41, "selection": "first", "fooling_rate_made_on": 0.3},
        **{"fooling_rate": 0.25, "fooling_rate_random": 0.01, "clean_accuracy": 0.9},
        **{"accuracy": 0.7, "size": [8, 6], "png": png_text(np.zeros((8, 6, 3)))},
        **{"versions": {}, "hardware": "a processor", "seconds": 1.0},
    }
    (folder / "universal.json").write_text(json.dumps(record))
    page = report(folder)
    assert "One perturbation for all images" in page.headings()
    (picture,) = [image for image in page.all("img") if "universal" in image["alt"]]
    assert picture["src"].endswith(record["png"])
    assert (picture["height"], picture["width"]) == ("8", "6")
    for words in ("25.00", "1.00", "41 others", "epsilon 0.2", "Seed 7"):
        assert words in page.html.replace("\u00a0", " ")
    (folder / "universal.json").write_text("{")
    out = folder.parent / "other.html"
    assert main(["report", str(folder), "--out", str(out)]) == 2
    assert "universal.json is damaged; run `keras-efgsm universal" in capsys.readouterr().err


def test_what_a_run_does_not_have_is_left_out(report, new_run, new_reconstructor, measured):
    bare = report(new_run("bare", history=None, metrics={"stop": None}))
    assert "Training curves" not in bare.headings()
    assert "Gradient masking" not in bare.headings()
    assert not [image for image in bare.all("img") if "reconstruction" in image["alt"]]
    folder = new_run("full", diagnosis={"verdict": "no sign of masking", "findings": []})
    new_reconstructor().save(folder / "reconstructor.keras")
    full = report(folder)
    assert {"Training curves", "Gradient masking"} <= set(full.headings())
    rebuilt = [image for image in full.all("img") if "reconstruction" in image["alt"]]
    assert len(rebuilt) == 8 and len(full.all("div", "strip")) == 8 + len(measured["films"])


def test_training_curves_skip_epochs_without_a_figure(report, new_run):
    page = report(new_run())
    (chart,) = [
        f
        for f in page.all("svg")
        if "PGD, held out" in f.get("aria-label", "") and "epoch" in f["text"]
    ]
    assert f"PGD, held out: {show(0.25)} at 2, {show(0.25)} at 2" in chart["aria-label"]
    assert f"training's attack: {show(0.5)} at 1, {show(0.625)} at 2" in chart["aria-label"]


def test_the_page_does_not_say_where_the_data_lay(report, new_run):
    assert "/secret" not in report(new_run()).html
    assert data_name("pictures/cats", "test") == "cats (test)"
    assert data_name("pictures/cats:test", "test") == "cats:test"
    assert data_name("mnist/3.0.1:test", "test") == "mnist/3.0.1:test"


@pytest.mark.parametrize(
    ("diagnosis", "is_doubted"),
    [
        ({"verdict": "no sign of masking", "findings": []}, False),
        ({"verdict": "masked", "findings": [{"name": "random_wins", "flagged": True}]}, True),
        ({"verdict": "no sign of masking", "findings": [{"name": "a", "flagged": True}]}, True),
        ({"verdict": "unclear"}, True),
    ],
)
def test_a_verdict_that_is_not_good_is_said_beside_the_headline(
    report, new_run, diagnosis, is_doubted
):
    page = report(new_run(diagnosis=diagnosis))
    (headline,) = page.all("div", "headline")
    assert ("masking diagnosis says" in headline["text"]) == is_doubted
    assert len(page.all("p", "bad")) == is_doubted


def test_a_headline_that_the_reports_own_attacks_refute_is_said_to_be(report, new_run, measured):
    lowest = min(p["pgd-cw"] for p in measured["steps_curve"])
    believable = report(new_run("a", evaluation=_reaching(lowest)))
    assert not believable.all("p", "warning")
    refuted = report(new_run("b", evaluation=_reaching(min(1.0, lowest + 0.3))))
    (warning,) = refuted.all("p", "warning")
    assert show(lowest) in warning["text"] and "PGD-CW" in warning["text"]


def _reaching(share):
    attacks = [{**EVALUATION["attacks"][0], "robust_accuracy": share}]
    return {"worst_case_accuracy": share, "attacks": attacks}


# What is refused.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": None}, "run folders, as `keras-efgsm train` writes them"),
        ({"config": "{"}, "readable config.json"),
        ({"metrics": None}, "must be finished; continue it with `keras-efgsm train PRESET --res"),
        ({"evaluation": None}, "run `keras-efgsm evaluate "),
        ({"evaluation": "[]"}, "evaluation.json is damaged; run `keras-efgsm evaluate "),
        ({"evaluation": {"schema": 99}}, "a schema of"),
        ({"evaluation": {"attacks": []}}, "one attack or more"),
        ({"evaluation": {"natural_accuracy": 95}}, "natural_accuracy in [0, 1]"),
        ({"evaluation": {"worst_case_accuracy": 0.44}}, "no higher than that of an attack"),
        ({"evaluation": {"attacks": [{**ATTACK, "name": "x"}]}}, "robust_accuracy in [0, 1] of"),
        ({"history": "epoch,loss\n1,high\n"}, "history.csv must hold"),
        ({"diagnosis": "{"}, "diagnosis.json is damaged; run `keras-efgsm diagnose "),
    ],
)
def test_a_run_that_cannot_be_reported_is_refused_in_one_line(
    tmp_path, capsys, new_run, calls, changes, message
):
    folder, out = new_run(**changes), tmp_path / "report.html"
    assert main(["report", str(new_run("good")), str(folder), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert error.rstrip().endswith(f"Received: path={str(folder)!r}")
    # Not even the good run was measured, as no page can come of it.
    assert not out.exists() and not calls


def test_a_path_that_is_missing_or_given_twice_is_refused(tmp_path, new_run, calls):
    folder = new_run()
    with pytest.raises(ValueError, match="made of run folders"):
        write_report(tmp_path / "nothing", tmp_path / "report.html")
    with pytest.raises(ValueError, match="may be given once"):
        write_report([folder, tmp_path / "x" / ".." / "run"], tmp_path / "report.html")
    with pytest.raises(ValueError, match="needs a run folder"):
        write_report([], tmp_path / "report.html")
    with pytest.raises(ValueError, match="`num_images` must be a whole number >= 1"):
        write_report(folder, tmp_path / "report.html", num_images=0)


def test_a_damaged_reconstructor_is_refused(tmp_path, new_run, new_reconstructor, calls):
    folder = new_run()
    (folder / "reconstructor.keras").write_text("nothing")
    with pytest.raises(ValueError, match="re-constructor cannot be loaded"):
        write_report(folder, tmp_path / "report.html")
    new_reconstructor(classes=3).save(folder / "reconstructor.keras")
    with pytest.raises(ValueError, match="must map 10 probabilities"):
        write_report(folder, tmp_path / "report.html")


def test_only_a_report_is_replaced_unasked(tmp_path, capsys, new_run, calls):
    folder, out = str(new_run()), tmp_path / "page.html"
    out.write_text("my thesis")
    assert main(["report", folder, "--out", str(out)]) == 2
    assert "`--overwrite`" in capsys.readouterr().err
    assert out.read_text() == "my thesis" and not calls
    assert main(["report", folder, "--out", str(out), "--overwrite"]) == 0
    assert f"report: {out}" in capsys.readouterr().out
    first = out.read_text()
    assert main(["report", folder, "--out", str(out)]) == 0
    assert out.read_text() == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page.html", "run"]
    for bad, message in ((tmp_path, "is a folder"), (tmp_path / "no" / "p.html", "must exist")):
        assert main(["report", folder, "--out", str(bad)]) == 2
        assert message in capsys.readouterr().err


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path, new_run, report, monkeypatch):
    folder = new_run()
    report(folder)
    old = (tmp_path / "report.html").read_text()

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr("os.replace", fail)
    (folder / "evaluation.json").write_text(json.dumps(EVALUATION | {"natural_accuracy": 0.5}))
    with pytest.raises(OSError, match="disk is full"):
        report(folder)
    assert (tmp_path / "report.html").read_text() == old
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "run"]


# What is kept.


def test_what_was_measured_is_kept_and_measured_anew_where_something_differs(
    report, new_run, calls, classifier_file, new_reconstructor, new_classifier
):
    folder = new_run()
    first = report(folder, num_images=50)
    assert report(folder, num_images=50).html == first.html
    assert calls == [(50, 0.1, 0, False)]
    report(folder, num_images=40)
    report(folder, num_images=40, seed=1)
    (folder / "evaluation.json").write_text(
        json.dumps(EVALUATION | {"attacks": [{**a, "epsilon": 0.2} for a in EVALUATION["attacks"]]})
    )
    report(folder, num_images=40, seed=1)
    new_reconstructor().save(folder / "reconstructor.keras")
    report(folder, num_images=40, seed=1)
    new_classifier(seed=4).save(folder / "classifier.keras")
    report(folder, num_images=40, seed=1)
    report(folder, num_images=40, seed=1)
    assert (
        calls[1:]
        == [(40, 0.1, 0, False), (40, 0.1, 1, False), (40, 0.2, 1, False)]
        + [(40, 0.2, 1, True)] * 2
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-20],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace('"num_images": 60', '"num_images": 61'),
        lambda text: text.replace('"checksum"', '"check"'),
    ],
    ids=["cut", "empty", "other", "edited", "unchecked"],
)
def test_a_damaged_file_of_measurements_is_measured_anew(report, new_run, calls, damage):
    folder = new_run()
    page = report(folder)
    kept = folder / "report-curves.json"
    whole = kept.read_text()
    assert damage(whole) != whole
    kept.write_text(damage(whole))
    assert report(folder).html == page.html
    assert len(calls) == 2
    assert kept.read_text() == whole


def test_a_run_folder_that_cannot_be_written_is_reported_all_the_same(
    report, new_run, calls, monkeypatch
):
    def refuse(path, content):
        raise PermissionError("read-only")

    monkeypatch.setattr("keras_efgsm.records.record.write_atomically", refuse)
    with pytest.warns(UserWarning, match="cannot be kept"):
        page = report(new_run())
    assert page.all("div", "headline")


# What is measured.


def test_the_curves_examples_and_confusion_are_of_one_measurement(measured, classifier, digits):
    _, (x, y) = digits
    x, y = x[:60], y[:60]
    predicted = classifier.predict(x, verbose=0).argmax(axis=1)
    assert measured["natural_accuracy"] == pytest.approx((predicted == y).mean())
    by_radius, by_steps = measured["epsilon_curve"], measured["steps_curve"]
    assert [p["epsilon"] for p in by_radius] == [0.0, 0.05, 0.1, 1.0]
    assert by_radius[0]["pgd-ce"] == by_radius[0]["pgd-cw"] == measured["natural_accuracy"]
    for loss in ("pgd-ce", "pgd-cw"):
        falling = [p[loss] for p in by_radius]
        assert falling == sorted(falling, reverse=True) and falling[-1] == 0.0
    assert [p["steps"] for p in by_steps] == [1, 100]
    counts = np.array(measured["confusion"])
    np.testing.assert_array_equal(counts.sum(axis=1), np.bincount(y, minlength=10))
    # Two ways to the same figure: the evaluation's, and that of the images shown.
    assert np.trace(counts) / 60 == pytest.approx(by_steps[-1]["pgd-cw"])
    assert 0 < np.trace(counts) < (predicted == y).sum()
    for example in measured["examples"]:
        clean, attacked = (decoded(example[k]["png"]) for k in ("clean", "adversarial"))
        (index,) = [i for i in range(60) if np.abs(x[i] - clean).max() < 0.01][:1]
        assert example["label"] == y[index]
        assert example["clean"]["predicted"] == predicted[index]
        assert 0 < np.abs(attacked - clean).max() <= 0.1 + 1.01 / 255
        assert example["largest_change"] == pytest.approx(0.1, abs=1e-6)
        logits = classifier.predict(attacked[None], verbose=0)[0].astype("float64")
        probability = (np.exp(logits) / np.exp(logits).sum()).max()
        # The picture has 8 bits of the image.
        assert example["adversarial"]["probability"] == pytest.approx(probability, abs=0.1)
    outcomes = [e["adversarial"]["predicted"] == e["label"] for e in measured["examples"]]
    assert outcomes == [False] * 4 + [True] * 4


@pytest.mark.slow(reason="traces eleven attacks")
@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.2), ("l2", 1.0)])
def test_the_curve_of_a_linear_classifier_is_the_exact_one(few_attacks, digits, norm, epsilon):
    (x, y), _ = digits
    chosen = np.flatnonzero(y < 2)[:80]
    x, y = x[chosen], y[chosen]
    flat = x.reshape(len(x), -1).astype("float64")
    design = np.c_[flat, np.ones(len(x))]
    solution = np.linalg.solve(design.T @ design + np.eye(65), design.T @ (2.0 * y - 1))
    weights, bias = solution[:64], solution[64]
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    model.layers[-1].set_weights([np.c_[-weights, weights] / 2, np.array([-bias, bias]) / 2])
    images = (x * 255).round().astype("uint8")
    data = ImageData(images, y, ("zero", "one"))
    found = measure_model(load_classifier(model), data, epsilon, norm=norm)
    sign = (2.0 * y - 1)[:, None]
    for point in found["epsilon_curve"]:
        # Against a linear classifier the best attack is the corner that its weights point at, in
        # L2 the furthest point along them that is epsilon away once it is cut at [0, 1].
        away = sign * (np.sign(weights) if norm == "linf" else weights)
        step = np.full((len(x), 1), point["epsilon"])
        if norm == "l2":
            low, high = np.zeros_like(step), np.full_like(step, 1e6)
            for _ in range(80):
                step = (low + high) / 2
                change = np.clip(flat - step * away, 0, 1) - flat
                short = np.linalg.norm(change, axis=1, keepdims=True) < point["epsilon"]
                low, high = np.where(short, step, low), np.where(short, high, step)
        corner = np.clip(flat - step * away, 0, 1)
        exact = (sign[:, 0] * (corner @ weights + bias) > 0).mean()
        if norm == "linf":
            assert point["pgd-cw"] == pytest.approx(exact), point["epsilon"]
        else:
            # The projection of the published attacks comes near that point and not upon it.
            assert exact - 1e-6 <= point["pgd-cw"] <= exact + 6 / 80, point["epsilon"]
    assert 0 < found["epsilon_curve"][2]["pgd-cw"] < 1


def test_examples_are_half_turned_and_half_withstanding_where_there_are_enough():
    right = np.array([True] * 11 + [False])
    held = np.array([False] * 6 + [True] * 5 + [False])
    assert choose_examples(right, held).tolist() == [0, 1, 2, 3, 6, 7, 8, 9]
    assert choose_examples(right, right).tolist() == list(range(8))
    none = np.zeros(12, bool)
    assert choose_examples(right, none).tolist() == list(range(8))
    assert choose_examples(none, none).tolist() == []


# Its parts.


def decoded(png):
    """Pixels `(H, W, C)` in [0, 1], read by another library."""
    pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(png)), format="png")
    return pixels[..., None] if pixels.ndim == 2 else pixels


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_holds_its_pixels(channels):
    pixels = np.random.default_rng(0).uniform(-0.1, 1.1, (5, 7, channels))
    exact = np.round(np.clip(pixels, 0, 1) * 255) / 255
    np.testing.assert_allclose(decoded(png_text(pixels)), exact, atol=1e-6)
    with pytest.raises(ValueError, match="Received: pixels.shape=\\(5, 7, 2\\)"):
        png_text(np.zeros((5, 7, 2)))


def test_a_perturbation_is_red_where_it_brightens_and_blue_where_it_darkens():
    change = np.array([[[0.2], [-0.2], [0.0], [0.1]]])
    red, blue, white, half = signed_colours(change, 0.2)[0]
    np.testing.assert_allclose(red, [0.75, 0.05, 0.10])
    np.testing.assert_allclose(blue, [0.05, 0.25, 0.75])
    np.testing.assert_allclose(white, 1.0)
    np.testing.assert_allclose(half, (red + 1) / 2)
    colour = signed_colours(np.array([[[0.2, -0.2, 0.1]]]), 0.2)[0, 0]
    np.testing.assert_allclose(colour, [1.0, 0.0, 0.75])


def test_a_chart_places_its_points_by_its_axes():
    def drawn(**options):
        points = [(1, 0.0), (10, 0.5), (100, 1.0), (7, float("nan"))]
        labels = {"caption": "c", "x_label": "x", "y_label": "y"}
        return Page(line_chart("a", [Line("a", points)], is_share=True, **labels, **options).svg)

    def points(page):
        (path,) = [
            p for p in page.all("path") if "--c0" in p["style"] and "fill: none" in p["style"]
        ]
        return [tuple(map(float, p.split())) for p in path["d"][1:].split("L")]

    page = drawn(log_x=True)
    (left, bottom), (middle, half), (right, top) = points(page)
    assert 0 < left < right < 420 and 0 < top < bottom < 280
    assert middle == pytest.approx((left + right) / 2, abs=0.02)
    assert half == pytest.approx((bottom + top) / 2, abs=0.02)
    heights = {
        t["text"].rstrip("\u00a0%"): float(t["y"]) for t in page.all("text") if "%" in t["text"]
    }
    assert heights["0"] - heights["100"] == pytest.approx(bottom - top, abs=0.02)
    (left, _), (middle, _), (right, _) = points(drawn())
    assert middle == pytest.approx(left + (right - left) * 9 / 99, abs=0.02)


def test_the_colours_of_a_chart_are_those_of_the_page():
    lines = [Line(str(i), [(1, 0.1 * i), (2, 0.2)]) for i in range(6)]
    chart = line_chart("a", lines, caption="", x_label="epoch", y_label="y", mark=(1, "m"))
    assert "#" not in re.sub(r'(href="|url\()#', "", chart.svg)
    assert all(f"var(--c{i})" in chart.svg for i in range(6))
    assert "font" not in chart.svg and "<style" not in chart.svg
    # Lines are told apart without their colours as well.
    assert len({dashes for dashes, _ in chart.legend}) == 6
    labels = {t["text"] for t in Page(chart.svg).all("text")}
    assert {"1", "2"} <= labels and "1.2" not in labels


def test_a_chart_without_a_point_is_none():
    empty = [Line("a", []), Line("b", [(1, float("nan"))])]
    assert line_chart("a", empty, caption="", x_label="", y_label="") is None
    one = [*empty, Line("c", [(3, 0.25)])]
    chart = line_chart("a", one, caption="", x_label="", y_label="", log_y=True)
    assert [name for _, name in chart.legend] == ["c"] and chart.rows == [["3", "0.25"]]


def test_many_classes_are_shown_by_their_most_frequent_confusions(measured):
    counts = np.zeros((30, 30), int)
    counts[1, 2], counts[3, 4], counts[5, 5] = 7, 9, 44
    names = [f"class {i}" for i in range(30)]
    about = {"dataset": "d", "split": "test", "epsilon": 0.1, "seed": 0}
    about |= {"hardware": "a CPU", "versions": {}, "class_names": names, "examples": []}
    part = MeasuredPart.from_dict(measured | about | {"confusion": counts.tolist()})
    run = ReportedRun(
        "a",
        Path("a"),
        CONFIG,
        MetricsRecord.from_dict(METRICS),
        EvaluationRecord.from_dict(EVALUATION),
        (),
        measured=part,
    )
    page = Page(render_page([run]))
    (table,) = [t for t in page.all("table") if "most frequent confusions of 30" in t["text"]]
    assert table["text"].index("class 3") < table["text"].index("class 1")
    assert not page.all("table", "confusion")


# What is claimed.


def test_the_claim_is_a_sentence_with_counts_and_says_how_sure_it_is(report, new_run):
    page = report(new_run())
    (sentence,) = page.all("p", "sentence")
    # 342 of 360 are right clean, 153 of them withstand.
    assert sentence["text"].replace("\u00a0", " ") == (
        "Changing each pixel by at most 0.1 of its range fools it on 189 of the 342 images that "
        "it classifies correctly; of all 360, 153 (42.4 %) stay right."
    )
    (headline,) = page.all("div", "headline")
    text = headline["text"].replace("\u00a0", " ")
    assert "With 95 % confidence, between 37.5 and 47.7 % of such images" in text
    # One figure is called robust; the others say what they are.
    assert len(page.all("p", "robust")) == 1
    (others,) = page.all("dl", "others")
    assert "not the claim" in others["text"] and "PGD probe" in others["text"]


APGD = {"steps": 100, "step_size": None, "rounds": 1, "num_images": 360, "robust_accuracy": 0.4242}


@pytest.mark.parametrize(
    ("attacks", "level"),
    [
        ([{"name": "pgd-ce"}], "first"),
        ([{"name": "apgd-t", "rounds": 1, "steps": 50}, {"name": "square"}], "first"),
        ([{"name": "apgd-ce"}, {"name": "apgd-t", "rounds": 9}], "gradients"),
        (
            [
                {"name": "apgd-ce"},
                {"name": "apgd-t", "rounds": 9},
                {"name": "fab-t", "rounds": 9},
                {"name": "square", "queries": 5000, "steps": None},
            ],
            "standard",
        ),
    ],
)
def test_quick_attacks_are_said_to_be_a_first_look(report, new_run, attacks, level):
    attacks = [{**ATTACK, **APGD, **attack} for attack in attacks]
    page = report(new_run(evaluation={"schema": 2, "attacks": attacks}))
    (shown,) = page.all("p", "level")
    assert level in shown["class"].split()
    assert ("first look only" in shown["text"]) == (level == "first")


def test_what_stands_between_backticks_is_set_as_code(report, new_run):
    found = [{"name": "random_wins", "flagged": True, "evidence": "seen `so`"}]
    advice = "Run `keras-efgsm evaluate` in full & again."
    page = report(new_run(diagnosis={"verdict": "masked", "advice": advice, "findings": found}))
    assert "`" not in page.html
    assert {"keras-efgsm evaluate", "so"} <= {code["text"] for code in page.all("code")}
    assert "in full &amp; again" in page.html


@pytest.mark.parametrize("is_found", [False, True])
def test_signs_of_masking_are_folded_where_none_was_found(report, new_run, is_found):
    findings = [{"name": "random_wins", "flagged": is_found, "evidence": "Looked at."}]
    verdict = "mild signs of masking" if is_found else "no sign of masking"
    page = report(new_run(diagnosis={"verdict": verdict, "findings": findings}))
    folded = [d for d in page.all("details", "folded") if "random wins" in d["text"]]
    assert bool(folded) != is_found
    assert "random wins" in page.html


def test_an_evaluation_at_several_radii_is_drawn_with_its_interval(report, new_run):
    folder = new_run()
    attack = {**ATTACK, "name": "pgd-ce", "robust_accuracy": 0.5}
    points = [
        {"epsilon": 0.0, "robust_accuracy": 0.95, "robust_interval": [0.92, 0.97], "attacks": []},
        {
            "epsilon": 0.1,
            "robust_accuracy": 0.5,
            "robust_interval": [0.45, 0.55],
            "attacks": [attack],
        },
    ]
    curve = {
        **{"schema": 1, "model": "run", "dataset": "digits:test", "split": "test"},
        **{"num_images": 360, "selection": "first", "images": "i", "cascade": True},
        **{"points": points, "versions": {}, "hardware": "a CPU", "seconds": 1.0},
    }
    (folder / "robustness_curve.json").write_text(json.dumps(curve))
    page = report(folder)
    (chart,) = [c for c in page.all("figure", "chart") if "several epsilons" in c["text"]]
    assert "pgd-ce (20 steps of 0.01)" in chart["text"]
    (svg,) = [s for s in page.all("svg") if "worst case: " in s.get("aria-label", "")]
    assert f"{show(0.95)} at 0, {show(0.5)} at 0.1" in svg["aria-label"]
    (folder / "robustness_curve.json").write_text("{")
    with pytest.raises(ValueError, match="robustness_curve.json is damaged; run `keras-efgsm eval"):
        report(folder)


def test_a_film_ends_where_the_image_is_taken_for_another_class(measured):
    found = measured["films"]
    assert len({film["label"] for film in found}) == len(found) == 4
    for film in found:
        *before, last = film["frames"]
        assert [frame["predicted"] for frame in before] == [film["label"]] * len(before)
        assert before[0]["epsilon"] == 0.0
        radii = [frame["epsilon"] for frame in film["frames"]]
        assert radii == [0.0, 0.1, 0.4][: len(radii)]
        # At four times epsilon these are lost.
        assert last["predicted"] != film["label"]
        clean, attacked = decoded(before[0]["png"]), decoded(last["png"])
        assert np.abs(attacked - clean).max() <= last["epsilon"] + 1.01 / 255


# An ordinary model beside it.


def test_a_baseline_is_shown_beside_the_run(report, new_run):
    run = new_run()
    ordinary = new_run("ordinary", evaluation=_reaching(0.01))
    attacks = [{**a, "robust_accuracy": 0.01} for a in EVALUATION["attacks"]]
    lost = EVALUATION | {"attacks": attacks, "worst_case_accuracy": 0.01}
    (ordinary / "evaluation.json").write_text(json.dumps(lost))
    page = report(run, baseline=ordinary)
    assert "Beside ordinary" in page.headings()
    # It has no section of its own.
    assert [h["text"] for h in page.all("h2")] == ["run"]
    (sentence,) = page.all("p", "beside")
    assert sentence["text"].replace("\u00a0", " ") == (
        "Under the same attacks 4 of 360 (1.0 %) stay right with ordinary."
    )
    (table,) = [t for t in page.all("table") if "Both under the same" in t["text"]]
    assert show(0.4242) in table["text"] and show(0.01) in table["text"]
    with pytest.raises(ValueError, match="beside one run"):
        report(run, new_run("other"), baseline=ordinary)
    with pytest.raises(ValueError, match="finished run folder, or a .keras"):
        report(run, baseline=run / "nothing")


def test_a_baseline_that_was_not_evaluated_alike_is_attacked_as_the_run_was(
    report, new_run, classifier_file, tmp_path, capsys
):
    attacks = [{**ATTACK, "name": "pgd-ce", "steps": 2, "num_images": 30, "robust_accuracy": 0.5}]
    evaluation = {"attacks": attacks, "num_images": 30, "worst_case_accuracy": 0.5}
    evaluation["dataset"] = load_digits("test").name
    run = new_run(evaluation=evaluation)
    file = tmp_path / "ordinary.keras"
    shutil.copy(classifier_file, file)
    page = report(run, baseline=file)
    assert "attacking ordinary.keras by pgd-ce" in capsys.readouterr().out
    there = EvaluationRecord.read(tmp_path / "ordinary.report" / "evaluation.json")
    (made,) = there.attacks
    assert (made.name, made.steps, made.step_size, made.epsilon) == ("pgd-ce", 2, 0.01, 0.1)
    assert there.num_images == 30
    assert "Beside ordinary.keras" in page.headings()
    # Kept, and not attacked again.
    report(run, baseline=file)
    assert "attacking" not in capsys.readouterr().out
