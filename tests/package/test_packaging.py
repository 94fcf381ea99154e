"""The package as a stranger installs it: the built wheel, away from the checkout."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from keras_efgsm import __version__

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run(*command, cwd, **environment):
    outcome = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        capture_output=True,
        text=True,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # setuptools builds beside the sources; a copy keeps the checkout as it is.
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "keras_efgsm", "tests"):
        (source / name).symlink_to(ROOT / name)
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist")
    run(sys.executable, *build, cwd=source)
    (built,) = (folder / "dist").glob("*.whl")
    return built


def test_the_wheel_holds_the_whole_package_and_no_tests(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / "keras_efgsm").rglob("*.py")}
    assert modules <= names
    models = (ROOT / "keras_efgsm" / "pretrained" / "models").glob("*/*")
    assert {p.relative_to(ROOT).as_posix() for p in models} <= names
    # What a user of an export needs, on the machine of the server or of its clients.
    assert {f"keras_efgsm/serving/{m}.py" for m in ("rest_client", "grpc_client", "load")} <= names
    assert {"keras_efgsm/cli/serve_config.py", "keras_efgsm/cli/serve_request.py"} <= names
    assert not [n for n in names if any(p.startswith(("test", "conftest")) for p in Path(n).parts)]
    top = {name.split("/")[0] for name in names}
    assert top == {"keras_efgsm", f"keras_efgsm-{__version__}.dist-info"}


def test_the_wheel_names_its_licence_and_its_command(wheel):
    files = zipfile.ZipFile(wheel)
    texts = {Path(n).name: files.read(n).decode() for n in files.namelist() if "dist-info" in n}
    assert "License-Expression: Apache-2.0" in texts["METADATA"]
    assert "the keras_efgsm authors" in texts["LICENSE"]
    assert "keras-efgsm = keras_efgsm.cli:main" in texts["entry_points.txt"]


def test_the_installed_wheel_imports_from_where_it_was_installed(wheel, fresh, tmp_path):
    target = tmp_path / "installed"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, "--target", target, wheel, cwd=tmp_path)
    code = "import keras_efgsm as k; print(k.__file__); print(k.__version__)"
    done = fresh.run(code=code, cwd=tmp_path, env={"PYTHONPATH": str(target)})
    assert done.returncode == 0, done.stderr
    file, version = done.stdout.split("\n")[:2]
    assert Path(file).is_relative_to(target)
    assert version == __version__


def test_every_requirement_but_that_of_the_benchmark_is_in_the_lock():
    lock = (ROOT / "requirements.lock").read_text().lower().replace("_", "-").splitlines()
    assert all(line.count("==") == 1 for line in lock)
    locked = {line.split("==")[0] for line in lock}
    extras = dict(PROJECT["optional-dependencies"])
    assert extras.pop("benchmark") == ["torch>=2.13"]
    groups = [PROJECT["dependencies"], *extras.values()]
    wanted = {r.split(">")[0].split("[")[0].lower().replace("_", "-") for g in groups for r in g}
    assert wanted - {"keras-efgsm"} <= locked
    assert "torch" not in locked


@pytest.mark.slow(reason="packs the sources, which copies all of them")
def test_the_sources_that_are_released_hold_what_a_packager_needs(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    ignored = {".git", ".venv", "build", "dist", "runs", "searches", "results", "exported_models"}
    for path in ROOT.iterdir():
        if path.name not in ignored and not path.name.endswith(".egg-info"):
            (source / path.name).symlink_to(path)
    build = ("-m", "build", "--sdist", "--no-isolation", "--outdir", tmp_path / "dist")
    run(sys.executable, *build, cwd=source)
    (built,) = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(built) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    beside = {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "Containerfile", "Makefile"}
    assert beside <= names
    modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / "keras_efgsm").rglob("*.py")}
    assert modules <= names
    assert {"tests/conftest.py", "tests/support/networks.py", "scripts/benchmark.py"} <= names
    assert not [n for n in names if n.startswith(("results/", "exported_models/", "runs/"))]


@pytest.mark.slow(reason="trains as long as the README does")
def test_the_first_code_of_the_readme_runs_where_the_wheel_is_installed(wheel, tmp_path):
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    install, (language, code), quickstart = blocks[:3]
    assert [name for name, _ in blocks].count("python") == 1
    assert install == ("sh", "pip install keras-efgsm\n")
    assert quickstart == ("sh", "keras-efgsm quickstart\n")  # tests/cli/test_cli.py runs it
    target = tmp_path / "installed"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, "--target", target, wheel, cwd=tmp_path)
    assert language == "python"
    printed = run(sys.executable, "-P", "-c", code, cwd=tmp_path, PYTHONPATH=str(target))
    assert "apgd-t" in printed and "square" in printed
