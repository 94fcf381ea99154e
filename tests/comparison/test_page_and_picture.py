import html
import re
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest

from keras_efgsm.comparison import Comparison, draw_comparison, render_page
from keras_efgsm.comparison.drawing import picture
from keras_efgsm.records import (
    AskedAttackPart,
    AttackRecord,
    ComparedPart,
    ComparisonRecord,
    EvaluationRecord,
    wording,
)
from keras_efgsm.records.comparison import ranked
from keras_efgsm.records.intervals import interval_of
from keras_efgsm.records.wording import unbroken

ROBUST, NATURAL = "var(--c1)", "var(--c0)"


def part(name, natural, worst, access="white-box", **options):
    figures = EvaluationRecord(
        num_images=100,
        images="i",
        natural_accuracy=natural,
        worst_case_accuracy=worst,
        attacks=(AttackRecord(name="square", robust_accuracy=worst),),
        twin="the twin" if access == "twin" else None,
        seconds=1.5,
    )
    values = {
        "name": name,
        "digest": name,
        "access": access,
        "worst_case_interval": interval_of(worst, 100),
        "natural_interval": interval_of(natural, 100),
        "accuracies": (None if access == "black-box" else worst, worst),
        "command": f"keras-efgsm evaluate {name}",
        "evaluation": figures,
    }
    return ComparedPart(**{**values, **options})


def record(*models, **options):
    values = {
        "dataset": "digits:test",
        "split": "test",
        "num_images": 100,
        "selection": "first",
        "images": "i",
        "epsilon": 8 / 255,
        "cascade": False,
        "seed": 0,
        "eot": 1,
        "attacks": (
            AskedAttackPart(name="pgd-ce", budget="9 steps"),
            AskedAttackPart(name="square", budget=""),
        ),
        "models": ranked(models),
        "versions": {"keras": "3"},
        "hardware": "a processor",
    }
    return ComparisonRecord(**{**values, **options})


@pytest.fixture(scope="module")
def several():
    return record(
        part("a <b>model</b> & more", 0.9, 0.6),
        part("weak", 1.0, 0.0, parameters=1234),
        part("doubtful", 0.8, 0.7, doubts=("It draws.",)),
        part("quantised.tflite", 0.9, 0.6, "twin", size=2_000_000),
        part("of somebody.onnx", 0.9, 0.8, "black-box"),
    )


def test_the_page_shows_everything_and_escapes_names(several):
    page = render_page(several)
    text = html.unescape(re.sub(r"<[^>]+>", " ", page)).replace("\u00a0", " ")
    assert "a <b>model</b> & more" in text and "<b>model" not in page
    assert "5 models under the same attacks" in text and "epsilon = 0.03137 (8/255)" in text
    for words in (
        "60.00 %",
        wording.interval(interval_of(0.6, 100)),
        "not run",
        "of the twin",
        "2.0 MB",
        "1,234",
    ):
        assert words in text
    assert "doubtful has no rank. It draws." in text
    assert "of somebody.onnx: no gradients and no twin, so only square was run" in text
    commands = [html.unescape(code) for code in re.findall(r"<code>(.*?)</code>", page)]
    assert commands == [unbroken(model.command) for model in several.models]
    # Complete in itself, and nothing runs.
    assert not re.search(r"<script|<link|src=|https?:(?!//www\.w3\.org)|url\((?!#)", page)
    without = record(*(replace(m, command=None) for m in several.models))
    assert "<code>" not in render_page(without)


def marks(svg, colour):
    """How far from the left the markers of a colour are, in drawing units."""
    uses = [use for use in re.findall(r"<use [^>]*>", svg) if f"fill: {colour}" in use]
    return [float(re.search(r' x="([-\d.]+)"', use)[1]) for use in uses]


def test_the_picture_is_true_to_figures_and_intervals_from_0_to_100(several):
    svg = str(picture(several).svg)
    models = several.models
    robust = [(m.worst_case_accuracy, m.worst_case_interval) for m in models]
    natural = [(m.natural_accuracy, m.natural_interval) for m in models]
    # The axis has 276 units, between room for a label at 0 and one at 100 %.
    for colour, figures in ((ROBUST, robust), (NATURAL, natural)):
        *ends, dots = np.split(np.array(marks(svg, colour)), [2 * len(models)])
        assert dots == pytest.approx([62 + 276 * share for share, _ in figures], abs=0.1)
        bounds = [62 + 276 * bound for _, bounds in figures for bound in bounds]
        assert ends[0] == pytest.approx(bounds, abs=0.1)
    labels = re.findall(r">(\d+\.\d) %<", svg.replace("\u00a0", " "))
    shares = [share for share, _ in (*robust, *natural)]
    assert sorted(map(float, labels)) == pytest.approx(sorted(100 * share for share in shares))
    assert "legend" not in svg and svg.count(">robust<") == svg.count(">natural<") == 1


def test_the_picture_tells_differently_attacked_models_apart(several):
    svg = str(picture(several).svg)
    for words in (
        "quantised.tflite (twin",
        "of somebody.onnx (no gradients)",
        "doubtful (not to be",
    ):
        assert words in svg
    alike = str(picture(record(part("a", 0.9, 0.5), part("b", 0.9, 0.4))).svg)
    assert ">1. a<" in alike and "gradients" not in alike


def test_colours_are_those_of_the_page_and_a_png_has_its_own_ground(several, tmp_path):
    svg = re.sub(r'(href="|url\()#', "", str(picture(several).svg))
    assert "#" not in svg
    draw_comparison(several, tmp_path / "c.png")
    assert np.all(matplotlib.image.imread(tmp_path / "c.png")[0, 0] == 1.0)


def test_a_long_name_is_cut_and_stays_whole_in_the_table():
    name = "a/name/of/more/than/forty/letters/of/a/model.keras"
    several = record(part(name, 0.9, 0.5), part("b", 0.9, 0.4))
    assert f">1. {name[:38]}\u2026<" in str(picture(several).svg)
    assert name in render_page(several)


def test_a_page_replaces_a_page_and_nothing_else(several, tmp_path):
    comparison, path = Comparison(several), tmp_path / "c.html"
    comparison.write_page(path)
    comparison.write_page(path)
    path.write_text("notes")
    with pytest.raises(ValueError, match="is no report of keras_efgsm"):
        comparison.write_page(path)
    comparison.write_page(path, overwrite=True)
    assert path.read_text().startswith("<!DOCTYPE html>")
