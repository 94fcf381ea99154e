import json
import socket
import urllib.parse
import urllib.request

import pytest
import tensorflow as tf

from keras_efgsm.cli import main
from keras_efgsm.cli.tensorboard import find_logs, start

pytestmark = pytest.mark.tensorflow(reason="TensorBoard's logs are TensorFlow's")


@pytest.fixture
def run(tmp_path):
    with tf.summary.create_file_writer(
        str(tmp_path / "run" / "tensorboard" / "train")
    ).as_default():
        tf.summary.scalar("loss", 0.5, step=1)
    return tmp_path / "run"


def test_the_logs_of_a_run_are_shown_to_this_machine_alone(run):
    url = start(run)
    address = urllib.parse.urlsplit(url)
    assert address.hostname == "127.0.0.1"
    with urllib.request.urlopen(f"{url}data/runs", timeout=30) as answer:
        assert json.load(answer) == ["train"]
    # From outside there is nobody to answer.
    other = socket.socket()
    other.settimeout(5.0)
    assert other.connect_ex(("127.0.0.2", address.port)) != 0
    other.close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=rf"free port.*Received: port={port}"):
            start(run, port)


def test_a_folder_with_logs_anywhere_below_it_is_one(run):
    assert find_logs(run) == run / "tensorboard"
    assert find_logs(run.parent) == run.parent


def test_where_nothing_was_logged_the_option_that_logs_is_named(tmp_path, capsys):
    assert main(["tensorboard", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "`keras-efgsm train DATA --tensorboard`" in told


def test_without_its_package_it_is_said_what_to_install(run, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "tensorboard", None)
    assert main(["tensorboard", str(run)]) == 2
    assert "pip install 'keras-efgsm[tensorboard]'" in capsys.readouterr().err
