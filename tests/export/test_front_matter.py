"""The head of a card, which model hubs read."""

import pytest

from keras_efgsm.export.front_matter import front_matter, without_front_matter
from keras_efgsm.export.model_card import write_model_card

FIGURES = {
    "schema": 2,
    "dataset": "mnist/3.0.1:test",
    "split": "test",
    "num_images": 20,
    "natural_accuracy": 0.95,
    "worst_case_accuracy": 0.85,
    "attacks": [{"name": "square", "num_images": 20, "epsilon": 0.1, "robust_accuracy": 0.85}],
}


def read(text):
    yaml = pytest.importorskip("yaml")
    first, content, rest = text.partition("\n---")
    assert first.startswith("---\n") and content
    return yaml.safe_load(first.removeprefix("---\n")), rest


def test_it_says_licence_library_data_and_figures():
    head, rest = read(front_matter("m", license="apache-2.0", figures=FIGURES))
    assert rest == ""
    assert head["license"] == "apache-2.0" and head["library_name"] == "keras"
    assert head["pipeline_tag"] == "image-classification" and head["datasets"] == ["mnist"]
    (result,) = head["model-index"][0]["results"]
    assert [metric["value"] for metric in result["metrics"]] == [0.95, 0.85]
    assert "radius 0.1, under square" in result["metrics"][1]["name"]
    assert result["dataset"] == {"name": "mnist/3.0.1:test", "type": "mnist", "split": "test"}


def test_a_model_of_which_nothing_is_known_has_a_head_as_well():
    head, _ = read(front_matter("m"))
    assert head["license"] == "unknown"
    assert not {"datasets", "metrics", "model-index"} & set(head)


def test_a_path_of_a_machine_stays_there():
    assert "home" not in front_matter("m", dataset="/home/someone/photographs")
    assert read(front_matter("m", dataset="/home/someone/photographs"))[0]["datasets"] == [
        "photographs"
    ]


@pytest.mark.parametrize("name", ["a: b", "yes", "- x", "größer", 'q"', "# no", "1.5", "null"])
def test_a_name_that_yaml_would_read_otherwise_comes_back_as_it_is(name):
    head, _ = read(front_matter(name, figures=FIGURES))
    assert head["model-index"][0]["name"] == name


def test_the_card_of_an_export_begins_with_it(tmp_path):
    path = tmp_path / "m-1.md"
    options = {"name": "m", "version": 1, "image_shape": (4, 4, 1), "class_names": ["a", "b"]}
    record = write_model_card(path, **options, figures=FIGURES, license="mit")
    head, _ = read(path.read_text("utf-8"))
    assert head["license"] == "mit" and record.license == "mit"
    assert without_front_matter(path.read_text("utf-8")).startswith("# m, version 1\n")
    assert without_front_matter("# m\n") == "# m\n"


@pytest.mark.parametrize("license", ["", "two words", "a\nb", 3])
def test_a_licence_that_is_no_identifier_is_refused(license, tmp_path):
    options = {"name": "m", "version": 1, "image_shape": (4, 4, 1), "class_names": ["a", "b"]}
    with pytest.raises(ValueError, match=r"`license` must be an identifier.* Received: license="):
        write_model_card(tmp_path / "m-1.md", **options, license=license)
    assert not (tmp_path / "m-1.md").exists()
