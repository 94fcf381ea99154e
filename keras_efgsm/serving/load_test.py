"""Measures a served classifier under load: latency percentiles, throughput and errors.

    python -m keras_efgsm.serving.load_test --model mnist [--protocol rest|grpc] [--server ADDRESS]
        [--signature serving_uint8] [--batch-size 8] [--clients 4] [--requests 200 | --seconds 10]

Each client is a thread with its own connection that sends a request when it has the last answer.
Without `--images` the images are random. The clients run in one Python process: where its cores are
busy, the figures are those of client and server together.
"""

import argparse
import io
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.progress_bar import progress_bar
from keras_efgsm.serving.answers import ServerError, byte_vector
from keras_efgsm.serving.asking import PROTOCOLS, Client, make_client
from keras_efgsm.serving.load import LoadReport, put_load

SIGNATURES = ("serving_default", "serving_uint8", "serving_bytes")


def make_inputs(
    signature: str, shape: tuple[int, ...], batch_size: int, images: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Returns the input of a request of `batch_size` images.

    Args:
        signature: one of `SIGNATURES`.
        shape: `(height, width, channels)` of one image.
        batch_size: images in the request.
        images: uint8 images to take, from the first on and around. Defaults to random
            ones.

    Raises:
        ValueError: if the images have another shape or type.
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}")
    if images is None:
        images = np.random.default_rng(0).integers(0, 256, (batch_size, *shape), "uint8")
    if images.dtype != np.uint8 or images.shape[1:] != shape or not len(images):
        raise ValueError(
            f"`images` must be uint8 and of shape (n, {', '.join(map(str, shape))}). "
            f"Received: images.dtype={images.dtype}, images.shape={images.shape}"
        )
    images = images[np.arange(batch_size) % len(images)]
    if signature == "serving_bytes":
        return {"image_bytes": byte_vector([_png(image) for image in images])}
    if signature == "serving_uint8":
        return {"image": images}
    return {"image": (images / 255).astype("float32")}


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "png")
    return file.getvalue()


def print_report(report: LoadReport, title: str, console: Console) -> None:
    """Prints the figures as a table, and what went wrong below it."""
    table = Table(title=title)
    figures = report.figures()
    for heading in figures:
        table.add_column(heading.replace("_", " "), justify="right")
    table.add_row(*(f"{v:.1f}" if isinstance(v, float) else str(v) for v in figures.values()))
    console.print(table)
    for message, count in report.errors.items():
        console.print(f"{count} x {message}", markup=False)


def main(words: list[str] | None = None) -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--protocol", choices=sorted(PROTOCOLS), default="rest")
    parser.add_argument("--server", help="default: http://localhost:8501 or localhost:8500")
    parser.add_argument("--signature", choices=SIGNATURES, default="serving_default")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--requests", type=int, help="default: 200, or no limit with --seconds")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--warmup", type=int, default=5, help="requests of each client before")
    parser.add_argument("--images", type=Path, help="an .npy of uint8 images")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args(words)
    requests = options.requests
    if requests is None and options.seconds is None:
        requests = 200
    console = Console()
    try:
        report = _run(options, requests, console)
    except (ServerError, ValueError, OSError) as error:
        print(f"load_test: {error}", file=sys.stderr)
        sys.exit(1)
    about = {
        "model": options.model,
        "protocol": options.protocol,
        "signature": options.signature,
        "batch_size": options.batch_size,
        "clients": options.clients,
    }
    print_report(report, ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in about.items()), console)
    if options.json:
        measured = {**about, **report.figures(), "error_messages": report.errors}
        write_atomically(options.json, json.dumps(measured, indent=2) + "\n")
    sys.exit(1 if report.errors else 0)


def _run(options: argparse.Namespace, requests: int | None, console: Console) -> LoadReport:
    def make() -> Client:
        return make_client(options.model, options.protocol, options.server, timeout=options.timeout)

    client = make()
    shape = client.input_shape()[1:]
    client.close()
    images = np.load(options.images, allow_pickle=False) if options.images else None
    inputs = make_inputs(options.signature, shape, options.batch_size, images)
    with progress_bar() as progress:
        task = progress.add_task("load", total=requests, unit="requests")
        return put_load(
            make,
            inputs,
            options.signature,
            clients=options.clients,
            requests=requests,
            seconds=options.seconds,
            warmup=options.warmup,
            on_answer=lambda: progress.advance(task),
        )


if __name__ == "__main__":
    main()
