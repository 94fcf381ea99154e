"""What the documents tell a reader to run is there, and begins in the one way that scripts have."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"scripts/[\w/]+\.py")
MAIN = '__name__ == "__main__"'
SCRIPTS = [path for path in (ROOT / "scripts").rglob("*.py") if MAIN in path.read_text()]


def texts():
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "*.md", "*.py", "*.toml", "Makefile"],
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("this is no checkout of git")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_every_script_that_is_named_anywhere_is_there():
    missing = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in texts()
        for name in NAMED.findall(path.read_text(encoding="utf-8"))
        if not (ROOT / name).is_file()
    }
    assert missing == set()


def test_every_script_names_its_own_command():
    assert len(SCRIPTS) > 15
    for path in SCRIPTS:
        assert path.relative_to(ROOT).as_posix() in path.read_text().split('"""')[1], path


def test_no_module_of_a_script_is_above_300_lines():
    long = [p for p in (ROOT / "scripts").rglob("*.py") if len(p.read_text().splitlines()) > 300]
    assert long == []


def test_the_hooks_before_a_commit_run_the_checks_of_make_test():
    makefile = (ROOT / "Makefile").read_text()
    hooks = re.findall(r"entry: make (\S+)", (ROOT / ".pre-commit-config.yaml").read_text())
    assert set(hooks) <= set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    (before,) = re.findall(r"^test: (.*)$", makefile, re.MULTILINE)
    assert set(before.split()) <= set(hooks)
