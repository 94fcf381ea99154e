import subprocess

import pytest
from PIL import Image

from experiments.robustness_curves import picture
from experiments.robustness_curves.summary import summarise
from reporting import redraw


def test_every_committed_picture_is_drawn_by_make_pictures():
    listed = subprocess.run(
        ["git", "ls-files", "*.png"], cwd=redraw.ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is no checkout of git")
    light = {name for name in listed.stdout.splitlines() if not name.endswith("-dark.png")}
    dark = {name.replace("-dark.png", ".png") for name in set(listed.stdout.splitlines()) - light}
    assert light == set(redraw.PICTURES)
    assert dark == set(redraw.IN_DARK)


@pytest.mark.parametrize(
    "name",
    [
        "results/mnist-search/search.png",
        "results/mnist-threshold/time_to_88/time_to_robustness.png",
    ],
)
def test_a_picture_is_drawn_again_in_light_and_dark_without_training(name, tmp_path):
    light, dark = redraw.redraw(name, tmp_path)
    assert light == tmp_path / name and dark.name == light.name.replace(".png", "-dark.png")
    grounds = [Image.open(path).convert("RGB").getpixel((0, 0)) for path in (light, dark)]
    assert min(grounds[0]) == 255 and max(grounds[1]) < 60


def test_a_folder_that_holds_no_picture_is_refused(capsys):
    assert redraw.main(["--only", "results/nothing"]) == 2
    assert "Received: only='results/nothing'" in capsys.readouterr().err


def course(*points):
    return {"points": [{"seconds": s, "robust_accuracy": r, "epochs": 1.0, "natural_accuracy": 0.9}
                       for s, r in points]}  # fmt: skip


def drawn_texts(rows, tmp_path, monkeypatch, target=None):
    """The words of a picture."""
    figures = []
    monkeypatch.setattr(picture, "save_figure", lambda figure, path: figures.append(figure))
    picture.draw(rows, tmp_path / "a.png", "mnist", target)
    (figure,) = figures
    found = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    return [text.get_text() for text in found]


def test_a_spread_is_drawn_and_named_only_where_there_are_several_seeds(tmp_path, monkeypatch):
    one = {"efgsm-seed0": course((1, 0.5), (2, 0.9)), "pgd-seed0": course((10, 0.5), (20, 0.9))}
    several = one | {
        "efgsm-seed1": course((1, 0.6), (2, 0.92)),
        "pgd-seed1": course((10, 0.5), (20, 0.95)),
    }
    alone = " ".join(drawn_texts(summarise(one, 0.8), tmp_path, monkeypatch, 0.8))
    assert "band" not in alone and "±" not in alone
    both = summarise(several, 0.8)
    text = " ".join(drawn_texts(both, tmp_path, monkeypatch, 0.8))
    assert "band: lowest to highest seed" in text
    # The line of the target has its name, and what it says can be read off.
    assert "80 % robust" in text and "times as long" in text
    (ours,) = [row for row in both if row["method"] == "efgsm"]
    assert ours["marks"][1] == pytest.approx(
        {
            "seconds": 2,
            "epochs": 1,
            "natural_accuracy": 0.9,
            "robust_accuracy": 0.91,
            "lowest": 0.9,
            "highest": 0.92,
            "spread": 0.02,
        }
    )
