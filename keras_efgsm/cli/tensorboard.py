"""`keras-efgsm tensorboard RUN`."""

import argparse
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from keras_efgsm.typing import Commands

HOST = "127.0.0.1"
"""The loopback address: what a run has logged is for nobody else on the network."""


def add_command(commands: Commands) -> None:
    """Adds `tensorboard` to the parser."""
    parser = commands.add_parser(
        "tensorboard",
        help="show what trainings logged in a browser on this machine",
        description="Start TensorBoard on the loopback address, with what `train --tensorboard` "
        "wrote: losses and accuracies, attacked images, histograms of margins. It answers this "
        "machine alone; Ctrl-C ends it.",
    )
    parser.add_argument(
        "path", metavar="RUN", help="a run folder, or any folder with TensorBoard's logs below it"
    )
    parser.add_argument(
        "--port", type=int, help="default 6006, or the next that is free; 0 takes any free one"
    )
    parser.set_defaults(run=run, light=True)


def run(options: argparse.Namespace) -> None:
    """Starts it, says where it is, and waits."""
    url = start(options.path, options.port)
    Console().print(
        f"TensorBoard: {url} (this machine alone; Ctrl-C ends it)", soft_wrap=True, highlight=False
    )
    while True:
        time.sleep(3600)


def start(path: str | Path, port: int | None = 0) -> str:
    """Starts TensorBoard in a thread of this process.

    Args:
        path: a run folder, or a folder with logs.
        port: of the loopback address; 0 for any that is free, None for 6006 or the next that is.
            Defaults to `0`.

    Returns:
        Its address.

    Raises:
        FileNotFoundError: if there are no logs.
        ImportError: if its package is missing.
        ValueError: if the port is taken.
    """
    logs = find_logs(Path(path))
    program, errors = _import()
    board = program.TensorBoard()
    board.configure(logdir=str(logs), host=HOST, port=port, reload_interval=5.0)
    try:
        url: str = board.launch()
    except errors as error:
        raise ValueError(
            f"TensorBoard must have a free port: {' '.join(str(error).split())} Try another "
            f"`--port`; 0 takes a free one. Received: port={port}"
        ) from error
    return url


def find_logs(path: Path) -> Path:
    """The folder of a run's logs, or the given one if logs lie anywhere below it.

    Args:
        path: a run folder, or a folder with logs.

    Raises:
        FileNotFoundError: if there are none.
    """
    of_run = path / "tensorboard"
    folder = of_run if of_run.is_dir() else path
    if not folder.is_dir() or next(folder.rglob("events.out.tfevents.*"), None) is None:
        raise FileNotFoundError(
            "There are no logs of TensorBoard here; `keras-efgsm train DATA --tensorboard` writes "
            f"some. Received: path={str(path)!r}"
        )
    return folder


def _import() -> tuple[Any, type[Exception]]:
    try:
        from tensorboard import program
    except ImportError as error:
        raise ImportError(
            "TensorBoard needs an optional dependency: pip install 'keras-efgsm[tensorboard]' "
            f"(no module named {error.name!r})"
        ) from error
    return program, program.TensorBoardServerException
