"""A disk that can be filled without harm."""

import ctypes
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def on_small_disk(disk: Path, out: Path, ballast: Path, megabytes: int = 8) -> Callable:
    """Runs a job in a child with a tmpfs of its own, which needs no rights (Linux).

    Args:
        disk: empty folder; in the child the tmpfs lies there.
        out: where `disk/run` is copied to when the job has ended and the ballast is gone.
        ballast: the file that fills the disk.
        megabytes: size of the disk. Defaults to 8.

    Returns:
        function that calls a job and returns what it returns; for a child with one thread.
    """
    user, group = os.getuid(), os.getgid()

    def around(job: Callable) -> int:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(0x10000000 | 0x00020000):  # CLONE_NEWUSER | CLONE_NEWNS
            raise OSError(ctypes.get_errno(), "unshare is not allowed here")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        if libc.mount(b"tmpfs", str(disk).encode(), b"tmpfs", 0, f"size={megabytes}m".encode()):
            raise OSError(ctypes.get_errno(), "mounting a tmpfs is not allowed here")
        code = job()
        ballast.unlink()
        shutil.copytree(disk / "run", out)
        return code

    return around


def fill(ballast: Path, room: int) -> None:
    """Fills the disk that `ballast` lies on until `room` bytes are left."""
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        os.truncate(ballast, file.tell() - room)
