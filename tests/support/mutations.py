"""Damage to a file, as chance, a bad disk or a stranger does it.

A damage is drawn by Hypothesis as a kind and a few small numbers: draws of large numbers, text and
bytes would take constants from the modules that happen to be imported, and differ from run to run.
"""

import io
import json
import os
import random
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

DEEP = "[" * 100_000

# What stands in a JSON file in place of a value. JSON of Python knows the numbers that are none.
VALUES = (
    None,
    True,
    -1,
    0,
    1.5,
    2**31,
    2**63,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\x1b[2J\x07",
    "\ud800",
    "\u202eevil",
    "../../etc/passwd",
    "a\x00b",
    "x" * 100_000,
    [],
    {},
    [[]],
    [None],
    {"": {}},
)


class Damage(NamedTuple):
    """A damage of one kind.

    Attributes:
        kind: a name of `KINDS`.
        chance: numbers that the rest follows from.
    """

    kind: str
    chance: tuple[int, ...]

    def apply(self, path: Path, others: list[Path]) -> None:
        """Damages a file.

        Args:
            path: the file.
            others: files of other kinds.
        """
        KINDS[self.kind](path, random.Random(f"{self}"), others)


def damages(suffix: str) -> st.SearchStrategy[Damage]:
    """Damages that a file of this ending can have."""
    kinds = [*_OF_ANY_FILE, *_OF_ENDING.get(suffix, ())]
    numbers = st.tuples(*[st.integers(0, 99)] * 3)
    return st.builds(Damage, st.sampled_from(kinds), numbers)


def _rewrite(change: Callable[[bytearray, random.Random], bytes]) -> Callable[..., None]:
    def damage(path: Path, chance: random.Random, others: list[Path]) -> None:
        path.write_bytes(change(bytearray(path.read_bytes()), chance))

    return damage


def _flip(content: bytearray, chance: random.Random) -> bytes:
    for _ in range(chance.choice([1, 1, 3, 50])):
        if content:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return content


def _overwrite(content: bytearray, chance: random.Random) -> bytes:
    at, length = chance.randrange(len(content) + 1), chance.choice([1, 4, 8, 64, 1000])
    byte = chance.choice([b"\x00", b"\xff", b"\x7f", None])
    content[at : at + length] = chance.randbytes(length) if byte is None else byte * length
    return content


def _cut_out(content: bytearray, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    del content[at : at + chance.choice([1, 8, 100, 1000])]
    return content


def _repeat(content: bytearray, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + content[max(0, at - 100) :]


def _swap(path: Path, chance: random.Random, others: list[Path]) -> None:
    shutil.copyfile(chance.choice(others), path)


def _folder(path: Path, chance: random.Random, others: list[Path]) -> None:
    path.unlink()
    path.mkdir()
    if chance.random() < 0.5:
        (path / path.name).write_text("x")


def _link(target: Callable[[Path], str]) -> Callable[..., None]:
    def damage(path: Path, chance: random.Random, others: list[Path]) -> None:
        path.unlink()
        path.symlink_to(target(path))

    return damage


def _change_json(text: str, chance: random.Random) -> str:
    """Changes a place of a JSON document, drawn by depth first so that none is drowned."""
    root = parent = {"": json.loads(text)}
    key = ""
    while isinstance(parent[key], (dict, list)) and parent[key] and chance.random() < 0.8:
        parent = parent[key]
        key = chance.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
    what = chance.choice(["value"] * 6 + ["less", "more", "deep", "twice", "wrapped"])
    if what == "value":
        parent[key] = chance.choice(VALUES)
    elif what == "less" and parent is not root:
        del parent[key]
    elif what == "more" and isinstance(parent[key], dict):
        parent[key] |= {chance.choice(["new", "", "\x1b"]): chance.choice(VALUES)}
    elif what == "wrapped":
        parent[key] = chance.choice([[parent[key]], {"value": parent[key]}, str(parent[key])])
    elif what == "deep":
        parent[key] = "@deep@"
    changed = json.dumps(root[""], indent=2)
    if what == "deep":
        changed = changed.replace('"@deep@"', DEEP)
    if what == "twice" and changed.lstrip().startswith("{"):
        changed = changed.replace("{", '{"schema": 1, "epsilon": 5, ', 1)
    return changed


def _json(path: Path, chance: random.Random, others: list[Path]) -> None:
    path.write_text(_change_json(path.read_text(), chance), encoding="utf-8")


def _encoding(path: Path, chance: random.Random, others: list[Path]) -> None:
    text = path.read_bytes().decode("utf-8", "replace")
    path.write_bytes(text.encode(chance.choice(["utf-16", "utf-32", "utf-8-sig"])))


def _lines(path: Path, chance: random.Random, others: list[Path]) -> None:
    """Changes lines of JSON, or cells of a table."""
    lines = path.read_text().splitlines()
    at = chance.randrange(len(lines))
    word = chance.choice(["", "nan", "inf", "-1", "1e999", "x", '"', "\x00", "9" * 5000, DEEP])
    if path.suffix == ".csv":
        cells = lines[at].split(",")
        cells[chance.randrange(len(cells))] = word
        lines[at] = ",".join(cells[: chance.choice([len(cells), 1])])
    else:
        lines[at] = chance.choice([word, _change_json(lines[at], chance)])
    lines += chance.choice([[], [], [lines[at]], [word]])
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _array(path: Path, chance: random.Random, others: list[Path]) -> None:
    """Replaces an array of an archive by one of another type, shape or range."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    name = chance.choice(sorted(arrays))
    array = arrays.pop(name)
    odd = chance.choice([-1, 2**31, 2**40, float("nan"), float("inf"), 0.5, 300])
    changed = chance.choice(
        [
            lambda: None,
            lambda: array[:0],
            lambda: array[..., None],
            lambda: array[:-1] if array.ndim else array,
            lambda: array.reshape(-1),
            lambda: np.array(5),
            lambda: np.resize(np.array([odd]), array.shape),
            lambda: np.array(["x"] * 3),
            lambda: np.zeros(array.shape, "complex64"),
            lambda: np.zeros(array.shape, "datetime64[s]"),
            lambda: np.zeros(array.shape, [("a", "f4")]),
            lambda: np.zeros((0, *array.shape[1:]), array.dtype),
        ]
    )()
    if changed is not None:
        arrays[name] = changed
    np.savez(path, **arrays)


def _header(path: Path, chance: random.Random, others: list[Path]) -> None:
    """Lets the header of an array say another shape or type than the array has."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    file = io.BytesIO()
    values = {
        "descr": chance.choice(["|u1", "<f4", "|O", "<U99999", "<m8", "x"]),
        "fortran_order": False,
        "shape": chance.choice([(2**40,), (2**31, 2**31), (2**62, 4), (-1,), (0,) * 40, (10**30,)]),
    }
    np.lib.format.write_array_header_1_0(file, values)
    members[chance.choice(sorted(members))] = file.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _member(path: Path, chance: random.Random, others: list[Path]) -> None:
    """Damages one member of an archive, whose checksums are right again."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(sorted(members))
    content = bytearray(members[name])
    change = chance.choice(["flip", "cut", "none", "empty", "json", "extra", "inflating"])
    if name.endswith(".json") and chance.random() < 0.6:
        change = "json"
    if change == "flip":
        members[name] = _flip(content, chance)
    elif change == "cut":
        members[name] = _cut_out(content, chance)
    elif change == "none":
        del members[name]
    elif change == "empty":
        members[name] = b""
    elif change == "json" and name.endswith(".json"):
        members[name] = _change_json(content.decode(), chance).encode("utf-8")
    elif change == "extra":
        members["../../outside"] = b"x"
    elif change == "inflating":
        members[name] = bytes(2**20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, inside in members.items():
            archive.writestr(member, bytes(inside))
    if change == "inflating":
        packed = bytearray(path.read_bytes())
        at = packed.rindex(b"PK\x01\x02") + 24
        packed[at : at + 4] = struct.pack("<I", 2**31)
        path.write_bytes(packed)


def _size(path: Path, chance: random.Random, others: list[Path]) -> None:
    """Lets the header of a PNG say another size, with the right checksum."""
    import zlib

    content = bytearray(path.read_bytes())
    sides = chance.choice([(0, 0), (1, 1), (30_000, 30_000), (2**31 - 1,) * 2, (8, 9)])
    content[16:24] = struct.pack(">II", *sides)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


_OF_ANY_FILE = {
    "truncated": _rewrite(lambda content, chance: content[: chance.randrange(len(content) + 1)]),
    "bits flipped": _rewrite(_flip),
    "overwritten": _rewrite(_overwrite),
    "cut out": _rewrite(_cut_out),
    "repeated": _rewrite(_repeat),
    "empty": _rewrite(lambda content, chance: b""),
    "zeros": _rewrite(lambda content, chance: bytes(len(content))),
    "longer": _rewrite(lambda content, chance: content + chance.randbytes(100)),
    "another file": _swap,
    "a folder": _folder,
    "a link to itself": _link(lambda path: path.name),
    "a link to nothing": _link(lambda path: "nothing"),
    "a link to its folder": _link(lambda path: "."),
    "a link to a device": _link(lambda path: "/dev/zero"),
    "a pipe": lambda path, chance, others: (path.unlink(), os.mkfifo(path)),
    "gone": lambda path, chance, others: path.unlink(),
}
# Of more weight than what any file can have, as each of these is many.
_OF_ENDING = {
    ".json": {"json": _json, "json again": _json, "encoding": _encoding},
    ".jsonl": {"lines": _lines, "encoding": _encoding},
    ".csv": {"lines": _lines, "lines again": _lines, "encoding": _encoding},
    ".npz": {"array": _array, "header": _header, "member": _member},
    ".keras": {"member": _member, "member again": _member},
    ".png": {"size": _size},
    ".md": {"encoding": _encoding},
    ".txt": {"encoding": _encoding},
}
KINDS: dict[str, Callable[..., None]] = dict(_OF_ANY_FILE)
for _kinds in _OF_ENDING.values():
    KINDS |= _kinds
