"""Figures of an evaluation that was cut off, from the state that it left."""

import json
from pathlib import Path

import numpy as np


def partial_figures(path: Path) -> str:
    """What an evaluation knew after its last batch, as JSON.

    Args:
        path: the state that `evaluate_robustness` kept.

    Raises:
        ValueError: if it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays["header"].tobytes())
        attacks = header["identity"]["attacks"]
    # Whatever a damaged zip makes of its readers.
    except Exception as error:
        raise ValueError(
            f"The state of an evaluation must be readable ({error}). Received: path={str(path)!r}"
        ) from error
    number = header["attack"]
    figures = {
        "cut_off": True,
        "num_images": len(arrays["correct"]),
        "natural_accuracy": float(arrays["correct"].mean()),
        "attacks": [
            {"class": kind, "options": options, "robust_accuracy": float(robust.mean())}
            for (kind, options), robust in zip(
                attacks[: number + 1], arrays["robust"][: number + 1], strict=True
            )
        ],
        "whole_attacks": number,
        "rounds_of_the_next": header["step"],
        "seconds": header["seconds"],
    }
    return json.dumps(figures, indent=2) + "\n"
