import os
import signal
import threading
import time

import pytest

from keras_efgsm.atomic_file import (
    atomic_file,
    copy_atomically,
    try_to_make,
    try_to_write,
    write_atomically,
)
from keras_efgsm.file_lock import HeldLock, folder_lock, lock_file, locks_work

HOLDER = """
    import os, sys, time
    from pathlib import Path
    from keras_efgsm.file_lock import lock_file
    with lock_file(Path(sys.argv[1])):
        (Path(sys.argv[1]).parent / "held").touch()
        time.sleep(60)
"""


def wait_for(path):
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_lock_is_held_by_one_and_leaves_nothing(tmp_path):
    path = tmp_path / ".lock"
    with lock_file(path):
        assert locks_work(path)
        with (
            pytest.raises(HeldLock, match=f"process {os.getpid()} on .*, since 2"),
            lock_file(path),
        ):
            pytest.fail("held twice")
    assert list(tmp_path.iterdir()) == []
    with lock_file(path):
        pass


def test_a_second_process_is_told_who_holds_it_and_takes_over_when_that_is_killed(fresh, tmp_path):
    path = tmp_path / ".lock"
    other = fresh.start(path, code=HOLDER)
    wait_for(tmp_path / "held")
    words = rf"Another process is at work in this folder: process {other.pid} on .*Received: out="
    with pytest.raises(ValueError, match=words), folder_lock(tmp_path, "this folder", "out='x'"):
        pytest.fail("held twice")
    other.send_signal(signal.SIGKILL)
    assert other.wait().returncode == -signal.SIGKILL
    # What it wrote lies there, and is no lock.
    assert path.read_text().startswith(f"process {other.pid} on ")
    with folder_lock(tmp_path, "this folder", "out='x'"):
        assert path.read_text().startswith(f"process {os.getpid()} on ")
    assert {file.name for file in tmp_path.iterdir()} == {"held"}


def test_who_waits_for_a_lock_gets_the_file_that_is_there_then(tmp_path):
    path, order = tmp_path / ".lock", []

    def work(number):
        with lock_file(path, wait=True):
            order.append(number)
            time.sleep(0.002)
            order.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order[::2] == order[1::2] and sorted(order[::2]) == list(range(12))
    assert list(tmp_path.iterdir()) == []


def test_what_a_holder_wrote_cannot_play_with_the_terminal(tmp_path):
    path = tmp_path / ".lock"
    with lock_file(path):
        path.write_bytes(b"\x1b[31mred\n" + b"x" * 1000)
        with pytest.raises(HeldLock) as caught, lock_file(path):
            pytest.fail("held twice")
    assert caught.value.holder.isprintable() and len(caught.value.holder) < 400


def test_writers_of_one_file_come_one_after_the_other(tmp_path):
    path, failed = tmp_path / "file.json", []

    def work(number):
        try:
            for _ in range(20):
                write_atomically(path, str(number) * 5000)
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            text = path.read_text()
            assert text == text[0] * 5000
    assert failed == []
    assert [file.name for file in tmp_path.iterdir()] == ["file.json"]


def test_what_a_kill_left_half_written_is_taken_over(tmp_path):
    (tmp_path / ".file.json.partial").write_text("half of something that was longer")
    write_atomically(tmp_path / "file.json", "whole")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"file.json": "whole"}
    source = tmp_path / "source"
    source.write_bytes(bytes(3 * 2**20))
    copy_atomically(source, tmp_path / "file.json")
    assert (tmp_path / "file.json").read_bytes() == source.read_bytes()


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "file.json"
    write_atomically(path, "old")
    with pytest.raises(KeyboardInterrupt), atomic_file(path) as file:
        file.write(b"new")
        raise KeyboardInterrupt
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"file.json": "old"}


def test_what_cannot_be_written_is_known_before(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    try_to_write(tmp_path / "new.json", "json")
    try_to_write(tmp_path / "file", "json")
    try_to_make(tmp_path / "a" / "b", "out")
    for path in (tmp_path, tmp_path / "missing" / "x.json", tmp_path / "file" / "x.json"):
        with pytest.raises(ValueError, match="a file in a folder that exists. Received: json="):
            try_to_write(path, "json")
    for path in (tmp_path / "file", tmp_path / "file" / "a"):
        with pytest.raises(
            PermissionError, match=r"`out` must be writable \(Not a directory.*Received: out="
        ):
            try_to_make(path, "out")

    def read_only(**options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("keras_efgsm.atomic_file.tempfile.TemporaryFile", read_only)
    with pytest.raises(PermissionError, match=r"can be written \(Read-only.*Received: json="):
        try_to_write(tmp_path / "new.json", "json")
    with pytest.raises(PermissionError, match=r"be writable \(Read-only.*Received: out="):
        try_to_make(tmp_path / "a", "out")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
