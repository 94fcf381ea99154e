"""What a preset withstands, attack by attack."""

from keras_efgsm.evaluation import ATTACK_SETS
from keras_efgsm.records import EvaluationRecord
from reporting.result_table import ResultTable, half_width
from reporting.written.figures import accuracy_after, seeds
from reporting.written.table import means

_SAID = ("APGD-CE", "then targeted APGD: `adp`", "then targeted FAB", "then Square: `standard`")


def attack_by_attack(path: str) -> ResultTable:
    """Means over the seeds of a preset under `standard`, lowest and highest, interval.

    Args:
        path: below `results/`, of what `ablate.py --variants base` wrote.
    """
    found = [EvaluationRecord.from_dict(r) for r in seeds(path, "report")]
    images = f"{found[0].num_images:,}"

    def row(words: str, shares: list[float], bold: bool = False) -> list[str]:
        interval = f"±{100 * half_width(shares):.2f}" if len(shares) > 1 else "-"
        return [words, images, means(shares, bold=bold), interval]

    rows = [row("natural", [one.natural_accuracy for one in found])]
    for name, words in zip(ATTACK_SETS["standard"], _SAID, strict=True):
        left = [accuracy_after(one, name) for one in found]
        rows.append(row(words, left, bold=name == "square"))
    number = f"{len(found)} seed{'s' if len(found) > 1 else ''}"
    return ResultTable((number, "images", "accuracy", "95 %, by the seeds"), rows)
