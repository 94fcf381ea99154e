import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_efgsm.export import FORMS, export_classifier, replace_section
from keras_efgsm.export.tflite import tensor_scales

SHAPE = (8, 8, 1)
NAMES = ["zero", "one", "zwei drei"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    keras.utils.set_random_seed(8)
    layers = [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(3)]
    classifier = keras.Sequential(layers)
    classifier.layers[-1].bias.assign([0.1, -0.2, 0.3])
    images = np.random.default_rng(0).random((20, *SHAPE)).astype("float32")
    result = export_classifier(
        classifier,
        tmp_path_factory.mktemp("exported_models") / "m",
        class_names=NAMES,
        representative_images=images,
        representative_source="images of noise",
    )
    return classifier, result


@pytest.fixture(scope="module")
def card(exported):
    return exported[1].model_card.read_text()


def section(card, heading):
    return re.split(r"^## ", card.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]


@pytest.mark.slow(reason="imports five libraries in a process of its own")
def test_the_code_of_the_card_runs_from_its_folder_and_answers_like_keras(exported, card):
    classifier, result = exported
    blocks = re.findall(r"```python\n(.*?)```", section(card, "Loading"), re.DOTALL)
    assert [b.count("m-1") + b.count('"1"') for b in blocks] == [1, 1, 1, 1, 1]
    saved_model, litert, int8, onnx, openvino = blocks
    # Without its telemetry, which a test has no business to send.
    openvino = f"import sys\nsys.modules['openvino_telemetry'] = None\n{openvino}"
    script = "\nprint(';')\n".join([litert, int8, onnx, openvino])
    script += "\nimport sys\nassert 'tensorflow' not in sys.modules\nprint(';')\n" + saved_model
    script += "\nassert 'keras_efgsm' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=result.model_card.parent,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    expected = classifier(np.zeros((1, *SHAPE), "float32")).numpy()[0]
    number = r"-?\d+\.\d*(?:e-?\d+)?"
    printed = [np.array(re.findall(number, part), "float32") for part in done.stdout.split(";")]
    for logits, tolerance in zip(printed[:4], (1e-4, 0.05, 1e-4, 1e-4), strict=True):
        assert np.allclose(logits, expected, atol=tolerance)
    assert np.allclose(printed[4], keras.ops.softmax(expected).numpy(), atol=1e-4)
    assert "[b'zwei drei'] [2]" in done.stdout


def test_the_card_lists_each_file_with_its_size_and_each_signature(exported, card):
    _, result = exported
    listed = section(card, "Input and output")
    for form, path in result.files.items():
        if form != "saved-model":
            (row,) = [
                r
                for r in listed.splitlines()
                if r.startswith(f"| `{path.name}` | {FORMS[form].what.split(',')[0]},")
            ]
            weight = sum(file.stat().st_size for file in FORMS[form].files(path))
            assert f"| {weight} |" in row
    weight = sum(p.stat().st_size for p in result.saved_model.rglob("*") if p.is_file())
    assert (
        f"| `1/` | SavedModel for TensorFlow and TensorFlow Serving, float32 | {weight} |" in listed
    )
    for name in ("serving_default", "serving_uint8", "serving_bytes"):
        assert f"| `{name}` |" in listed
    assert "`m-1-int8.tflite` was calibrated with 20 images of noise." in listed
    assert "| `m-1-int8.tflite` |" in listed and "| 20 representative |" in listed
    (_, zero), (scale, shift) = tensor_scales(result.files["tflite-int8"])
    assert "round(pixel / 0.0039" in listed and f" {zero:+d} |" in listed
    written = re.search(r"\(value ([+-]\d+)\) x ([0-9.e-]+)", listed)
    assert (int(written[1]), float(written[2])) == (-shift, pytest.approx(scale))


def test_the_card_says_who_checks_the_pixels_and_that_nothing_was_measured(card):
    limits = section(card, "Limits")
    assert "A `.tflite` file answers pixels outside [0, 1] as well" in limits
    assert "The `.onnx` file answers pixels outside [0, 1] as well" in limits
    assert "A file of fewer bits is another one" in limits
    assert "refused: another size" in section(card, "Input and output").replace("\n", " ")
    assert "keras-efgsm measure 1 --run RUN" in section(card, "Measured on each file")


CARD = "# m\n\nIntro.\n\n## A\n\nold\n\n```sh\n## no heading\n```\n\n## Limits\n\nNone.\n"


def test_a_section_is_replaced_and_the_others_stay():
    new = replace_section(CARD, "A", "new\n\n| a |\n")
    assert new == "# m\n\nIntro.\n\n## A\n\nnew\n\n| a |\n\n## Limits\n\nNone.\n"
    assert replace_section(new, "A", "new\n\n| a |") == new


def test_a_new_section_comes_before_the_limits_or_else_last():
    new = replace_section(CARD, "B", "text")
    assert new == CARD.replace("## Limits", "## B\n\ntext\n\n## Limits")
    assert replace_section("# m\n", "B", "text") == "# m\n\n## B\n\ntext\n"
    # What looks like a heading in code is none.
    new = replace_section(CARD, "no heading", "text")
    assert new.count("## no heading") == 2 and "```sh\n## no heading\n```" in new


def test_a_section_of_an_exported_card_is_replaced_alone(card):
    new = replace_section(card, "Measured on each file", "measured")
    assert section(new, "Measured on each file").strip() == "measured"
    old = section(card, "Measured on each file").strip()
    assert new.replace("\nmeasured\n", f"\n{old}\n") == card


@pytest.mark.parametrize("heading", ["", "two\nlines", " padded"])
def test_a_heading_that_is_not_one_line_is_refused(heading):
    with pytest.raises(ValueError, match="one line. Received: heading="):
        replace_section(CARD, heading, "text")
