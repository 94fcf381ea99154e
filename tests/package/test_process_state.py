"""What a test changes of the process is put back after it, and named."""

import os
import signal
import sys

import keras
import numpy as np
import pytest

from keras_efgsm.attacks import ATTACKS
from keras_efgsm.backend import enable_determinism
from support.process_state import PARTS, put_back

CHANGES = {
    "the working directory": lambda: os.chdir("/"),
    "environment variables": lambda: os.environ.update(KERAS_HOME="/nowhere"),
    "handlers of signals": lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
    "`sys.argv`": lambda: sys.argv.append("--more"),
    "NumPy's handling of errors": lambda: np.seterr(over="raise"),
    "Keras's dtype policy": lambda: keras.config.set_dtype_policy("mixed_bfloat16"),
    "`floatx`": lambda: keras.config.set_floatx("float64"),
    "`image_data_format`": lambda: keras.config.set_image_data_format("channels_first"),
    "determinism of operations": enable_determinism,
    "attacks": lambda: ATTACKS.update(mine=ATTACKS["pgd"]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_is_named_and_as_it_was(name):
    before = PARTS[name].read()
    with put_back() as changed:
        CHANGES[name]()
        assert PARTS[name].read() != before
    assert name in changed and PARTS[name].read() == before


def test_what_stays_the_same_is_not_named():
    with put_back() as changed:
        np.seterr(over="raise")
        np.seterr(over="warn")
    assert changed == []
