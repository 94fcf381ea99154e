"""What an HDF5 file of weights holds, by its headers: no array is read to find out."""

import math
from pathlib import Path
from typing import Any

import h5py

from keras_efgsm.limits import check_unpacked
from keras_efgsm.records.json_text import parse_json

# More than any network has layers and weights.
_MOST_MEMBERS = 10**6


def check_hdf5_model(path: Path) -> None:
    """Refuses a whole-model HDF5 file that reads other files, or asks for more than it holds.

    An HDF5 file may name another one in place of a group, or of the numbers of an array, and may
    say that an array of a few bytes has billions of zeros.

    Args:
        path: of the file.

    Raises:
        TooLarge: a `ValueError`, if it unpacks to too much.
        ValueError: if it holds no model, or what is no model's. What a damaged file makes of its
            reader goes through.
    """
    with h5py.File(path, "r") as file:
        config = file.attrs.get("model_config")
        if config is None:
            raise ValueError(
                "it holds weights without a model: make the model, call "
                "`model.load_weights(path)`, and save it with `model.save('NAME.keras')`"
            )
        # Strictly, so that it is not nested without end.
        text = config.encode() if isinstance(config, str) else bytes(config)
        parse_json(text, any_number=True)
        check_unpacked(_bytes_of(file), path.stat().st_size, f"path={str(path)!r}")


def _bytes_of(file: Any) -> int:
    """Bytes of all arrays, each counted wherever it is named."""
    total = members = 0
    pending, seen = [file], set()
    while pending:
        group = pending.pop()
        for name in group:
            members += 1
            if members > _MOST_MEMBERS:
                raise ValueError(f"it has more than {_MOST_MEMBERS} members")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"its member {name!r} is a link, which may lead to another file")
            item = group[name]
            if isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise ValueError(f"the numbers of its array {name!r} lie in another file")
                total += math.prod(item.shape or ()) * item.dtype.itemsize
            elif isinstance(item, h5py.Group):
                # A group may hold itself.
                place = h5py.h5o.get_info(item.id).addr
                if place not in seen:
                    seen.add(place)
                    pending.append(item)
    return total
