"""The bar of everything that takes long: in a terminal, in a notebook, and nowhere else."""

import os
import pty
import sys
import threading
import types

import pytest
from rich.console import Console

from keras_efgsm.evaluation import evaluate_robustness
from keras_efgsm.progress_bar import progress_bar, titled
from support.channels import EPSILON, LABELS, PIXELS, Raise, channel_classifier

pytestmark = pytest.mark.usefixtures("uncompiled")


class Reader:
    """What comes out at the other end of a pipe or terminal."""

    def __init__(self, end):
        self._end, self._seen = end, b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        # A terminal whose other side is closed is an error on Linux.
        try:
            while piece := os.read(self._end, 4096):
                self._seen += piece
        except OSError:
            pass

    def text(self):
        self._thread.join(10.0)
        os.close(self._end)
        return self._seen.decode()


def evaluated_with_stderr(monkeypatch, end):
    """Evaluates with a file as stderr, and gives the report."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    attacks = [Raise(epsilon=EPSILON, channel=channel) for channel in (1, 2)]
    with monkeypatch.context() as patch, os.fdopen(end, "w") as stream:
        patch.setattr(sys, "stderr", stream)
        with titled("model 2/3"):
            return evaluate_robustness(channel_classifier(), (PIXELS, LABELS), attacks)


def test_in_a_terminal_each_attack_shows_its_images_and_what_is_left(monkeypatch, capsys):
    outside, inside = pty.openpty()
    reader = Reader(outside)
    evaluated_with_stderr(monkeypatch, inside)
    shown = reader.text()
    assert "model 2/3, raise-1 1/1" in shown and "model 2/3, raise-2 1/1" in shown
    assert "5/5 images" in shown and "robust so far" in shown
    # Time left, and the cursor is there again.
    assert ":00" in shown and shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")
    assert capsys.readouterr().out == ""


def test_in_a_pipe_nothing_is_shown(monkeypatch, capsys):
    outside, inside = os.pipe()
    reader = Reader(outside)
    evaluated_with_stderr(monkeypatch, inside)
    assert reader.text() == ""
    assert capsys.readouterr().out == ""


class Handle:
    def __init__(self, shown):
        self.shown = shown

    def update(self, content):
        self.shown.append(content)


@pytest.fixture
def notebook(monkeypatch):
    """What a notebook was asked to show: IPython's part of it, without the package."""
    shown = []
    display = types.ModuleType("IPython.display")
    display.HTML = str
    display.display = lambda content, display_id: shown.append(content) or Handle(shown)
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr("keras_efgsm.progress_bar._SECONDS_BETWEEN", 0.0)
    return shown


def test_in_a_notebook_the_bar_is_html_without_widgets_and_gone_at_the_end(notebook):
    console = Console(force_jupyter=True)
    with pytest.raises(KeyboardInterrupt), progress_bar(console=console) as bar:
        task = bar.add_task("<b>", total=4, unit="images")
        bar.update(task, advance=1, said="robust so far 50 %")
        raise KeyboardInterrupt
    assert notebook[0] == "" and notebook[-1] == ""
    assert '<progress value="25.0" max="100">' in notebook[-2]
    assert "&lt;b&gt;" in notebook[-2] and "1/4 images" in notebook[-2]
    assert "robust so far 50 %" in notebook[-2]


def test_a_bar_that_is_not_wanted_shows_nothing_in_a_notebook_either(notebook):
    with progress_bar(False, console=Console(force_jupyter=True)) as bar:
        bar.advance(bar.add_task("nothing", total=1))
    assert notebook == []


def test_a_notebook_is_not_drawn_at_every_batch(notebook, monkeypatch):
    monkeypatch.setattr("keras_efgsm.progress_bar._SECONDS_BETWEEN", 1000.0)
    with progress_bar(console=Console(force_jupyter=True)) as bar:
        task = bar.add_task("attack", total=100)
        for _ in range(100):
            bar.advance(task)
        bar.refresh()
    assert len(notebook) <= 4
