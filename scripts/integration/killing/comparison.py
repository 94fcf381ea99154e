"""All bits that two runs must share."""

import io
import json
import re
import zipfile
from pathlib import Path

import h5py
import numpy as np


def state(out: Path) -> dict[str, np.ndarray | str]:
    """All bits of a finished run that are not times or dates."""
    with np.load(out / "checkpoint.npz") as file:
        found = {f"checkpoint {name}": file[name] for name in file.files}
    del found["checkpoint sha256"]
    header = json.loads(found.pop("checkpoint header").tobytes())
    for row in header["meta"]["rows"]:
        del row["seconds"]
    found["header"] = json.dumps(header, sort_keys=True)
    lines = [line.split(",") for line in (out / "history.csv").read_text().splitlines()]
    time_column = lines[0].index("seconds")
    found["history"] = str([line[:time_column] + line[time_column + 1 :] for line in lines])
    metrics = json.loads((out / "metrics.json").read_text())
    del metrics["training_seconds"]
    found["metrics"] = json.dumps(metrics)
    for path in sorted(out.glob("*.keras")):
        with zipfile.ZipFile(path) as archive:
            # Numbers of objects in memory, which differ between any two processes.
            text = re.sub(r'"shared_object_id": \d+', "", archive.read("config.json").decode())
            found[f"{path.name} config"] = text
            weights = h5py.File(io.BytesIO(archive.read("model.weights.h5")))

        def keep(name, item, prefix=path.name):
            if isinstance(item, h5py.Dataset):
                found[f"{prefix} {name}"] = item[()]

        weights.visititems(keep)
    return found


def differences(one: dict, other: dict) -> list[str]:
    """Names of what is not the same to the bit."""
    return sorted(
        name
        for name in one.keys() | other.keys()
        if name not in one
        or name not in other
        or type(one[name]) is not type(other[name])
        or (one[name] != other[name] if isinstance(one[name], str) else _differ(one, other, name))
    )


def _differ(one: dict, other: dict, name: str) -> bool:
    a, b = one[name], other[name]
    return a.dtype != b.dtype or a.shape != b.shape or a.tobytes() != b.tobytes()
