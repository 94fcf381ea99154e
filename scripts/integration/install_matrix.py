"""Installs the wheel in clean environments and uses it: each extra, each Python, the lower bounds.

    python scripts/integration/install_matrix.py [--pythons PATH ...] [--extras NAME ...]
        [--lowest none,test] [--quickstart] [--out results/install_matrix.json]

A row is a Python, an extra alone (`none` for none) and whether the dependencies are the newest or
the lowest that `pyproject.toml` allows. For each an environment is made, the wheel of this checkout
installed by uv (https://docs.astral.sh/uv), `keras-efgsm --version` and `installed.py` run away
from the checkout, with `--quickstart` the command of this name as well where there is no extra, and
the environment removed. Pythons are those of 3.11 to 3.13 that are found. Rows that are in the file
and passed are not run again for the same wheel. Exit status 1 if one failed.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# As if run from `scripts/`, whose folders are packages.
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from rich.console import Console

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.records.environment import hardware
from reporting.result_table import ResultTable

PYTHONS = ("3.11", "3.12", "3.13")
USE = ROOT / "scripts" / "integration" / "installed.py"
NONE = "none"
NEWEST, LOWEST = "newest", "lowest"
_SHOWN = ("tensorflow", "keras", "numpy")
_SECONDS = 1200
_MOST_WORDS = 300


def extras() -> list[str]:
    """The extras that `pyproject.toml` declares."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return list(project["optional-dependencies"])


def find_pythons() -> list[str]:
    """A working interpreter of each version that is found, by uv and on the path."""
    found = {}
    for version in PYTHONS:
        listed = subprocess.run(
            ["uv", "python", "find", "--no-python-downloads", "--system", version],
            capture_output=True,
            text=True,
        )
        if listed.returncode == 0:
            found[version] = listed.stdout.strip()
    return list(found.values())


@contextlib.contextmanager
def built_wheel() -> Iterator[Path]:
    """The wheel of this checkout, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        # setuptools builds beside the sources; a copy keeps the checkout as it is.
        source = Path(folder) / "source"
        source.mkdir()
        for name in ("pyproject.toml", "README.md", "LICENSE", "keras_efgsm"):
            (source / name).symlink_to(ROOT / name)
        _run("uv", "build", "--quiet", "--wheel", "--out-dir", folder, str(source))
        (wheel,) = Path(folder).glob("*.whl")
        yield wheel


def digest_of_wheel(wheel: Path) -> str:
    """SHA-256 of what a wheel holds, as the archive itself has times in it."""
    import zipfile

    archive = zipfile.ZipFile(wheel)
    digest = hashlib.sha256()
    for name in sorted(archive.namelist()):
        digest.update(name.encode() + b"\0" + archive.read(name))
    return digest.hexdigest()


def try_row(row: dict[str, Any], wheel: Path, quickstart: bool) -> dict[str, Any]:
    """Installs and uses one row; what failed is its `failure`.

    Args:
        row: `python`, `interpreter`, `extra`, `dependencies`.
        wheel: to install.
        quickstart: whether the command of this name is run as well, where there is no extra.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment, work = Path(folder) / "environment", Path(folder) / "work"
        work.mkdir()
        python, command = environment / "bin" / "python", environment / "bin" / "keras-efgsm"
        began = time.perf_counter()
        try:
            _run("uv", "venv", "--quiet", "--python", row["interpreter"], str(environment))
            for words in _installs(row, wheel):
                pip = ("uv", "pip", "install", "--quiet", "--python", str(python))
                _run(*pip, *words, cwd=ROOT)
            row["install_seconds"] = round(time.perf_counter() - began, 1)
            row["versions"] = _versions(python)
            row["megabytes"] = round(_size(environment) / 1e6)
            began = time.perf_counter()
            _run(str(command), "--version", cwd=work)
            extra = [] if row["extra"] == NONE else [row["extra"]]
            _run(str(python), "-P", str(USE), *extra, cwd=work)
            if quickstart and not extra:
                _run(str(command), "quickstart", "--out", "quickstart", cwd=work)
            row["use_seconds"] = round(time.perf_counter() - began, 1)
            row["failure"] = None
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            row["failure"] = _last_words(error)
    return row


def _installs(row: dict[str, Any], wheel: Path) -> list[list[str]]:
    """What is installed, in turn: only requirements that uv is given itself have their lowest."""
    extra = [] if row["extra"] == NONE else [row["extra"]]
    if row["dependencies"] == NEWEST:
        return [[f"{wheel}[{extra[0]}]" if extra else str(wheel)]]
    of_extra = ["--extra", *extra] if extra else []
    lowest = ["--resolution", "lowest-direct", "-r", "pyproject.toml", *of_extra]
    return [lowest, ["--no-deps", str(wheel)]]


def _run(*words: str, cwd: Path | None = None) -> None:
    # Without what this process has for its own checkout.
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    subprocess.run(
        words, cwd=cwd, env=kept, capture_output=True, text=True, check=True, timeout=_SECONDS
    )


def _last_words(error: Any) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"not done after {_SECONDS} s: {' '.join(map(str, error.cmd))[:_MOST_WORDS]}"
    lines = [line for line in (error.stderr or error.stdout or "").splitlines() if line.strip()]
    # An exception stands last, what uv says of a conflict first.
    told = " ".join(lines[:6] if str(error.cmd[0]) == "uv" else lines[-1:])
    return re.sub(r"\s+", " ", told).strip()[:_MOST_WORDS] or f"exit status {error.returncode}"


def _versions(python: Path) -> dict[str, str]:
    listed = subprocess.run(
        ["uv", "pip", "list", "--quiet", "--format", "json", "--python", str(python)],
        capture_output=True,
        text=True,
        check=True,
    )
    return {entry["name"]: entry["version"] for entry in json.loads(listed.stdout)}


def _size(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and not f.is_symlink())


def table(rows: Sequence[dict[str, Any]]) -> ResultTable:
    """The rows as a table.

    Args:
        rows: as `try_row` returns them.
    """
    headings = ("Python", "extra", "dependencies", *_SHOWN, "MB", "install, s", "use, s", "outcome")
    lines = [
        [
            row["python"],
            row["extra"],
            row["dependencies"],
            *(row.get("versions", {}).get(name, "") for name in _SHOWN),
            *(str(row.get(name, "")) for name in ("megabytes", "install_seconds", "use_seconds")),
            row["failure"] or "works",
        ]
        for row in rows
    ]
    return ResultTable(headings, lines, "the wheel in clean environments", words=3)


def _rows(options: argparse.Namespace, pythons: Sequence[str]) -> list[dict[str, Any]]:
    chosen = options.extras.split(",") if options.extras else [NONE, *extras()]
    lowest = options.lowest.split(",") if options.lowest else []
    rows = []
    for interpreter in pythons:
        code = "import platform; print(platform.python_version())"
        asked = subprocess.run([interpreter, "-c", code], capture_output=True, text=True)
        if asked.returncode:
            raise SystemExit(f"install_matrix: no Python. Received: {interpreter}")
        version = asked.stdout.strip()
        for dependencies, names in ((NEWEST, chosen), (LOWEST, lowest)):
            for extra in names:
                row = {"python": version, "extra": extra, "dependencies": dependencies}
                rows.append({**row, "interpreter": interpreter})
    return rows


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pythons", help="interpreters, comma-separated; default: all found")
    parser.add_argument("--extras", help="comma-separated; default: none and each alone")
    parser.add_argument("--lowest", default=f"{NONE},test", help="extras at the lower bounds")
    parser.add_argument("--quickstart", action="store_true", help="run that too, without extras")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "install_matrix.json")
    options = parser.parse_args()
    if shutil.which("uv") is None:
        raise SystemExit("install_matrix: it needs uv (pip install uv)")
    pythons = options.pythons.split(",") if options.pythons else find_pythons()
    known = json.loads(options.out.read_text())["rows"] if options.out.exists() else []
    console, machine = Console(), hardware()
    with built_wheel() as wheel:
        digest = digest_of_wheel(wheel)
        for row in _rows(options, pythons):
            same = [r for r in known if _key(r) == _key(row)]
            if same and same[0]["wheel"] == digest and not same[0]["failure"]:
                continue
            tried = try_row({**row, "wheel": digest}, wheel, options.quickstart)
            del tried["interpreter"]
            known = sorted([*(r for r in known if _key(r) != _key(row)), tried], key=_key)
            content = {"schema": 1, "hardware": machine, "rows": known}
            write_atomically(options.out, json.dumps(content, indent=1) + "\n")
            told = tried["failure"] or f"works, {tried['use_seconds']} s"
            console.print(*_key(row), told, markup=False, soft_wrap=True)
    console.print(table(known).rich())
    if any(row["failure"] for row in known):
        raise SystemExit(1)


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["python"], row["dependencies"], row["extra"]


if __name__ == "__main__":
    main()
