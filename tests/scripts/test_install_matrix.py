"""The table of installations: what is installed for a row, and what is told of one that failed."""

import subprocess
from pathlib import Path

import pytest

from integration import install_matrix, installed


def row(extra="onnx", dependencies="newest", **more):
    return {"python": "3.11.2", "extra": extra, "dependencies": dependencies, **more}


def test_every_extra_is_used_for_what_it_is_for():
    assert {"", *install_matrix.extras()} == set(installed.CHECKS)


def test_only_what_uv_is_given_itself_has_its_lowest_version():
    wheel = Path("k-1-py3-none-any.whl")
    assert install_matrix._installs(row(), wheel) == [["k-1-py3-none-any.whl[onnx]"]]
    assert install_matrix._installs(row("none"), wheel) == [["k-1-py3-none-any.whl"]]
    lowest, own = install_matrix._installs(row("test", "lowest"), wheel)
    assert lowest == [*("--resolution", "lowest-direct", "-r", "pyproject.toml", "--extra", "test")]
    assert own == ["--no-deps", "k-1-py3-none-any.whl"]


def test_what_fails_is_told_by_its_last_words_and_its_environment_is_gone(monkeypatch):
    folders = []

    def fail(*words, cwd=None):
        folders.append(Path(words[-1]).parent if "venv" in words else cwd)
        if words[0] != "uv":
            error = "Traceback:\n  line\nImportError: no keras\n"
            raise subprocess.CalledProcessError(1, words, stderr=error)

    monkeypatch.setattr(install_matrix, "_run", fail)
    monkeypatch.setattr(install_matrix, "_versions", lambda python: {"keras": "3.15.1"})
    monkeypatch.setattr(install_matrix, "_size", lambda folder: 2_000_000)
    tried = install_matrix.try_row(row(interpreter="python3"), Path("k.whl"), quickstart=False)
    assert tried["failure"] == "ImportError: no keras" and tried["megabytes"] == 2
    assert not any(folder.exists() for folder in folders if folder != install_matrix.ROOT)
    table = install_matrix.table([tried]).markdown()
    assert "| 3.11.2 | onnx | newest |  | 3.15.1 |" in table and "ImportError: no keras |" in table


def test_what_uv_says_of_a_conflict_is_told_from_its_beginning():
    error = subprocess.CalledProcessError(1, ("uv", "pip"), stderr="  x No solution\n  because\n")
    assert install_matrix._last_words(error) == "x No solution because"


def test_an_unknown_interpreter_is_refused(monkeypatch):
    options = type("Options", (), {"extras": "none", "lowest": ""})()
    with pytest.raises(SystemExit, match="no Python"):
        install_matrix._rows(options, ["/bin/false"])
