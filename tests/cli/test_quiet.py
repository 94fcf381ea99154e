"""What reaches the terminal: errors, and nothing of a library's log that no user need read."""

import contextlib
import io
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from rich.console import Console

from keras_efgsm.cli.epoch_bar import EpochBar
from keras_efgsm.cli.log_lines import is_noise
from keras_efgsm.cli.quiet import without_log_lines

NOISE = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795.776813 6885 port.cc:153] oneDNN custom operations are on.
W0000 00:00:1795.776813 6885 some.cc:1] a warning
2026-11-29 01:02:03.456789: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow.
E0000 00:00:1795.1 1 cuda_blas.cc:1] Unable to register cuBLAS factory: it is registered already
E0000 00:00:1795.1 1 util.cc:131] oneDNN supports DT_UINT8 only on platforms with AVX-512.
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
fully_quantize: 0, inference_type: 6, input_inference_type: INT8, output_inference_type: INT8
""".splitlines()
NEWS = """\
E0000 00:00:1795.776813 6885 other.cc:1] an error
F0000 00:00:1795.776813 6885 other.cc:1] the end
terminate called after throwing an instance of 'std::bad_alloc'
a line of something else
""".splitlines()


@pytest.mark.parametrize("line", NOISE)
def test_information_and_what_is_an_error_in_its_level_alone_are_left_out(line):
    assert is_noise(line.encode() + b"\n")


@pytest.mark.parametrize("line", NEWS)
def test_errors_remain(line):
    assert not is_noise(line.encode() + b"\n")


def test_what_is_written_to_the_file_of_stderr_is_read_by_line(capfd):
    with without_log_lines():
        for line in [*NOISE, *NEWS]:
            os.write(2, line.encode() + b"\n")
        print("of Python", file=sys.stderr)
    os.write(2, NOISE[1].encode() + b" afterwards\n")
    told = capfd.readouterr().err.splitlines()
    assert sorted(told) == sorted([*NEWS, "of Python", NOISE[1] + " afterwards"])


def test_the_last_words_before_a_crash_come_through():
    code = (
        "import os\nfrom keras_efgsm.cli.quiet import without_log_lines\n"
        "with without_log_lines():\n os.write(2, b'INFO: nothing\\nFatal: a crash\\n')\n os.abort()"
    )
    program = [sys.executable, "-c", f"import sys\nsys.argv[0] = 'keras-efgsm'\n{code}"]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode < 0
    assert done.stderr == "Fatal: a crash\n"


def test_the_bar_of_an_epoch_takes_one_line_and_is_gone_afterwards(monkeypatch):
    monkeypatch.setattr("keras_efgsm.cli.epoch_bar._SECONDS_BETWEEN", 0.0)
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    with EpochBar(console) as bar, contextlib.redirect_stdout(console.file):
        model.fit(np.ones((8, 2)), np.ones(8), batch_size=4, epochs=2, verbose=2, callbacks=[bar])
    shown = console.file.getvalue()
    assert "epoch 1/2" in shown
    assert "2/2" in shown
    assert "loss" in shown
    # Gone after each epoch, and the cursor there again.
    assert shown.count("\x1b[?25h") == 2
    # What Keras prints stands on lines of its own.
    for line in shown.splitlines():
        assert not ("Epoch" in line and "epoch" in line)


def test_the_bar_is_gone_when_training_ends_by_an_exception():
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with pytest.raises(KeyboardInterrupt), EpochBar(console) as bar:
        bar.set_params({"epochs": 2, "steps": 3})
        bar.on_epoch_begin(0)
        bar.on_train_batch_begin(0)
        raise KeyboardInterrupt
    # The cursor is there again.
    assert console.file.getvalue().rstrip("\x1b[2K\r\n1A").endswith("\x1b[?25h")


def test_outside_a_terminal_there_is_no_bar():
    console = Console(file=io.StringIO())
    with EpochBar(console) as bar:
        bar.set_params({"epochs": 2, "steps": 3})
        bar.on_epoch_begin(0)
        bar.on_train_batch_begin(0)
        bar.on_train_batch_end(0, {"loss": 1.0})
        bar.on_epoch_end(0)
    assert console.file.getvalue() == ""
