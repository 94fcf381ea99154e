"""Writes docs/robust_models.md: the robust models of the project, ranked.

    python scripts/reporting/robust_models_page.py [--check]

Its figures are those of the records: `model.json` of the models that come with the package, and the
`NAME-N.json` of exports. `--check` writes nothing and ends with status 1 if the page is another.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path[:0] = [str(Path(__file__).parents[1])]

import argparse
from typing import NamedTuple

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.evaluation import ATTACK_SETS
from keras_efgsm.pretrained import robust_models
from keras_efgsm.records import EvaluationRecord, ExportRecord
from keras_efgsm.records.wording import interval, norm_name, number, percent, radius, seconds
from reporting.result_table import ResultTable

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "robust_models.md"

HEAD = """# Robust models

<!-- Written by `python scripts/reporting/robust_models_page.py`; change that, not this page. -->

Classifiers that were trained with this library. Those with a plain name come with the package:

```python
import keras_efgsm

print(keras_efgsm.robust_models())
classifier = keras_efgsm.load_robust("mnist")
```

`classifier` is an ordinary Keras model from images in [0, 1] to logits: evaluate it, train it on,
export it. Its card lies beside it in `keras_efgsm/pretrained/models`, in the form that model hubs
read.

They are ranked by what withstands `standard`, the worst case over AutoAttack's four attacks with
their published budgets, image by image, on test images; behind it the 95 % Wilson interval. Two of
them compare only on the same data set and in the same ball, and well only on as many images. A
robust accuracy is an upper bound: a stronger attack can lower it.
"""
FEWER = """## Measured with fewer attacks

Not ranked: an evaluation with `adp` alone (APGD-CE and targeted APGD) leaves out targeted FAB and
Square, which find some images more.
"""
TAIL = """## A model more

Train it, measure it with `standard`, and put it into the package:

```sh
keras-efgsm train mnist --out runs/mine
keras-efgsm evaluate runs/mine --attacks standard --num-images 2000
python scripts/reporting/add_robust_model.py mine --run runs/mine --summary "What it is."
python scripts/reporting/robust_models_page.py
```

A model is at most 1 MB large, as it goes into the wheel. What is larger stays an export,
`exported_models/NAME`, which `keras_efgsm.load_classifier` reads.
"""


class Row(NamedTuple):
    """A model as a line of the page.

    Attributes:
        name: in Markdown.
        evaluation: what it withstands.
        data: what it was trained on.
        parameters: number of weights; None if the record does not say.
        training: time and hardware.
        command: which makes and measures it again.
    """

    name: str
    evaluation: EvaluationRecord
    data: str
    parameters: int | None
    training: str
    command: str

    @property
    def is_standard(self) -> bool:
        """Whether it was attacked by all of `standard`."""
        return tuple(a.name for a in self.evaluation.attacks) == ATTACK_SETS["standard"]

    @property
    def ball(self) -> str:
        """Data set, norm and radius."""
        norm = self.evaluation.norm
        epsilon = radius(self.evaluation.attacks[0].epsilon, norm)
        return f"{self.data}, {norm_name(norm)} ball of radius {epsilon}"


def rows() -> list[Row]:
    """Every model with a record, the more robust ones first."""
    found = [
        Row(
            f"`{name}`",
            record.evaluation,
            record.dataset,
            record.parameters,
            _training(record.trained_seconds, record.trained_hardware),
            record.command,
        )
        for name, record in robust_models().items()
    ]
    for path in sorted((ROOT / "exported_models").glob("*/*-*.json")):
        if path.name.endswith(".measured.json"):
            continue
        record = ExportRecord.read(path)
        if not record.figures or not record.figures.get("attacks"):
            continue
        where = f"exported_models/{path.parent.name}/{record.version}"
        found.append(
            Row(
                f"[{record.name} {record.version}](../{where.rpartition('/')[0]}/{path.stem}.md)",
                EvaluationRecord.from_dict(record.figures),
                record.config.get("dataset", "?"),
                None,
                _training(
                    record.config.get("trained_training_seconds"),
                    record.config.get("trained_hardware"),
                ),
                record.command,
            )
        )
    return sorted(found, key=lambda row: (row.ball, -row.evaluation.robust_accuracy))


def page() -> str:
    """The text of the page."""
    found = rows()
    parts = [HEAD]
    standard = [row for row in found if row.is_standard]
    for ball in dict.fromkeys(row.ball for row in standard):
        ranked = [row for row in standard if row.ball == ball]
        parts.append(f"## {ball}\n\n{_table(ranked)}\n{_commands(ranked)}")
    fewer = [row for row in found if not row.is_standard]
    if fewer:
        parts.append(f"{FEWER}\n{_table(fewer, with_ball=True)}\n{_commands(fewer)}")
    return "\n".join([*parts, TAIL])


def _table(found: list[Row], *, with_ball: bool = False) -> str:
    headings = ["", *(["data"] if with_ball else []), "robust", "95 %", "natural", "images"]
    headings += ["attacks"] if with_ball else []
    headings += ["weights", "training"]
    lines = []
    for row in found:
        record = row.evaluation
        cells = [row.name, *([row.ball] if with_ball else [])]
        cells += [f"**{percent(record.robust_accuracy)}**", interval(record.interval_of_robust)]
        cells += [percent(record.natural_accuracy), number(record.num_images)]
        cells += [", ".join(a.name for a in record.attacks)] if with_ball else []
        lines.append([*cells, number(row.parameters), row.training])
    return ResultTable(headings, lines).markdown()


def _commands(found: list[Row]) -> str:
    lines = ["Again:", "", "```sh"]
    for row in found:
        name = row.name.strip("`[").partition("]")[0]
        lines += [f"# {name}", *row.command.split(" && ")]
    return "\n".join([*lines, "```", ""])


def _training(taken: float | None, hardware: str | None) -> str:
    return ", ".join(filter(None, [seconds(taken) if taken is not None else "", hardware]))


def main() -> int:
    """Writes or checks the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    options = parser.parse_args()
    text = page()
    if options.check:
        is_same = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
        print(f"{PAGE.name} is {'up to date' if is_same else 'another; run it without --check'}")
        return 0 if is_same else 1
    write_atomically(PAGE, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
