"""The processes that tests fork, see `support/fresh_process.py`, are as good as started ones."""

import signal
import sys

import pytest

pytestmark = pytest.mark.tensorflow("on another backend they are started")


def test_how_a_process_ends_is_told(fresh):
    assert fresh.run(code="print('out')") == (0, "out\n", "")
    assert fresh.run(code="import sys; sys.exit(3)").returncode == 3
    ended = fresh.run(code="import sys; sys.exit('no such file')")
    assert (ended.returncode, ended.stderr) == (1, "no such file\n")
    killed = fresh.run(code="import os; print('so far'); os.kill(os.getpid(), 9)")
    assert killed[:2] == (-signal.SIGKILL, "so far\n")
    failed = fresh.run(code="assert 1 == 2, 'not so'")
    assert failed.returncode == 1 and "AssertionError: not so" in failed.stderr


def test_nothing_has_run_in_it_but_imports(fresh, tmp_path):
    script = """
        import os, random, sys
        import keras, numpy as np, tensorflow as tf
        print("keras_efgsm" in sys.modules, tf.config.experimental.get_synchronous_execution())
        print(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).layers[0].name)
        print(random.random(), np.random.random(), keras.random.randint((1,), 0, 10**9)[0].numpy())
        print(os.getcwd(), os.environ.get("SAID"), sys.argv[1:])
        random.seed(0); np.random.seed(0); keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy("mixed_bfloat16")
        tf.config.experimental.enable_op_determinism()
    """
    first, second = (
        fresh.run("a", 2, code=script, cwd=tmp_path, env={"SAID": "yes"}).stdout.splitlines()
        for _ in range(2)
    )
    assert first[:2] == second[:2] == ["False True", "dense"]
    assert all(a != b for a, b in zip(first[2].split(), second[2].split(), strict=True))
    assert first[3] == f"{tmp_path} yes ['a', '2']"


def test_modules_and_scripts_are_run_as_python_runs_them(fresh, tmp_path):
    (tmp_path / "beside.py").write_text("NAME = 'beside'\n")
    script = tmp_path / "script.py"
    script.write_text("import sys, beside\nprint(__name__, beside.NAME, sys.argv)\n")
    done = fresh.run(script, "x")
    assert done.stdout == f"__main__ beside {[str(script), 'x']}\n"
    done = fresh.run("--version", module="keras_efgsm")
    assert done.returncode == 0 and done.stdout.startswith("keras-efgsm ")
    assert "beside" not in sys.modules
