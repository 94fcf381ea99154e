"""The curves that trained networks see pixels through."""

import dataclasses

import pytest

from experiments import tone_curves
from keras_efgsm.recipes import PRESETS
from keras_efgsm.runs.training import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder of the digits whose classifier begins with a tone curve."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    config = dataclasses.replace(
        PRESETS["digits"].with_method("efgsm"), classifier="tone-curve", epochs=1, seed=3
    )
    train(config, folder, verbose=0)
    return folder


def test_the_curves_are_written_and_drawn(run, tmp_path):
    found = tone_curves.measure([run])
    assert found["epsilon"] == 0.2 and found["curves"][0]["seed"] == 3
    start, trained = found["start"], found["curves"][0]["seen"]
    assert len(start) == len(trained) == len(found["pixels"]) == 101
    assert start != trained and trained == sorted(trained)


def test_a_run_without_a_curve_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["tone_curves", str(tmp_path), "--out", str(tmp_path)])
    assert tone_curves.main() == 2
    assert str(tmp_path) in capsys.readouterr().err
