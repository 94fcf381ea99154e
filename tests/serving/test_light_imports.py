"""What asks a server is quick to start: neither Keras nor TensorFlow is imported for it."""

import subprocess
import sys

import keras_efgsm

# The package's own first module aside, which is judged by its own test.
ALONE = """
import sys, types
package = types.ModuleType("keras_efgsm")
package.__path__ = [{path!r}]
sys.modules["keras_efgsm"] = package
import argparse
import {modules}
from keras_efgsm.cli import serve_config, serve_request
commands = argparse.ArgumentParser().add_subparsers()
serve_config.add_command(commands)
serve_request.add_command(commands)
print(sorted({{"keras", "tensorflow", "numpy", "grpc", "urllib3"}} & set(sys.modules)))
"""


def imported(modules):
    code = ALONE.format(path=keras_efgsm.__path__[0], modules=modules)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_help_of_the_commands_needs_nothing_at_all():
    assert imported("argparse") == "[]"


def test_the_clients_and_the_configuration_need_no_network_library_of_a_model():
    assert imported("keras_efgsm.serving") == "['numpy', 'urllib3']"
