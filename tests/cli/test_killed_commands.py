"""Every command that is killed leaves nothing half-written, and ends well when called again.

Trainings are killed in `tests/runs/test_resume.py` and `scripts/integration/kill_and_resume.py`.
"""

import os

import pytest

from keras_efgsm.cli import main
from support.killed_commands import Command, Killer

KILLS = int(os.environ.get("KILLS", "20"))
SEED = 0

SEARCH = (
    "--tuner random --trials 2 --epochs 1 --train-images 187 --validation-images 40 --attacks "
    "apgd-ce --steps 2 --finalists 1 --seeds 1 --final-epochs 1 --final-images 20 --final-attacks "
    "apgd-ce --quiet"
)
ATTACKS = "--attacks pgd-ce,square --steps 3 --queries 20 --num-images 60 --batch-size 20"
DATA = "--dataset digits --epsilon 0.2"

COMMANDS = {
    "export": (
        "export {}/run --to {}/exported_models/m --forms saved-model tflite",
        ["**/*-1.json"],
    ),
    "evaluate": (f"evaluate {{}}/run {ATTACKS}", ["run/evaluation.json"]),
    "compare": (
        f"compare {{}}/run {{}}/mine.keras {DATA} {ATTACKS} --json {{}}/compared.json",
        ["compared.json"],
    ),
    "diagnose": (
        "diagnose {}/run --num-images 100 --steps 3 --queries 8 --transfer-from {}/mine.keras",
        ["run/diagnosis.json"],
    ),
    "report": ("report {}/evaluated --num-images 100 --out {}/page.html", ["evaluated/*.json"]),
    "report of a .keras file": (
        f"report {{}}/mine.keras {DATA} --evaluation {{}}/evaluated/evaluation.json "
        "--num-images 100 --out {}/page.html",
        ["mine.report/*.json"],
    ),
    "tune": (f"tune digits --out {{}}/search {SEARCH}", ["search/search.json"]),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A run, one that is evaluated, and a classifier."""
    folder = tmp_path_factory.mktemp("files")
    words = "--epochs 4 --batch-size 64 --probe-images 0 --method efgsm --quiet"
    assert main(["train", "digits", *words.split(), "--out", str(folder / "run")]) == 0
    evaluated = folder / "evaluated"
    evaluated.mkdir()
    for path in (folder / "run").iterdir():
        (evaluated / path.name).write_bytes(path.read_bytes())
    assert main(["evaluate", str(evaluated), *ATTACKS.split()]) == 0
    (folder / "mine.keras").write_bytes((folder / "run" / "classifier.keras").read_bytes())
    return folder


@pytest.mark.exhaustive(reason="runs a command again and again, and kills it")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_is_killed_leaves_nothing_half_written_and_ends_well_afterwards(
    name, files, fresh, tmp_path
):
    words, figures = COMMANDS[name]
    killer = Killer(fresh, Command(tuple(words.split()), files, tuple(figures)), tmp_path, SEED)
    killer.kill(KILLS)
    assert len(killer.landed) == KILLS
    print(f"{name}: {killer.seconds:.0f} s, {killer.changes} changes of files\n", *killer.landed)
