"""The table on fine-tuning a pretrained network."""

from reporting.result_table import ResultTable
from reporting.written.figures import load
from reporting.written.table import percent, table


@table
def fine_tuned() -> ResultTable:
    """EfficientNet-Lite0 on CIFAR-10 images, after ordinary and after adversarial fine-tuning."""
    found = load("pretrained/cifar10_jpeg75.json")
    words = {"before": "ordinary", "after": "then eFGSM, its defaults"}
    return ResultTable(
        ("fine-tuning", "natural", "`adp`", "training"),
        [
            [
                f"{what}, {found['epochs']} epochs",
                percent(found[name]["natural_accuracy"], 1),
                percent(found[name]["worst_case_accuracy"], 1),
                f"{found['training_seconds'][name]:.0f} s",
            ]
            for name, what in words.items()
        ],
    )
