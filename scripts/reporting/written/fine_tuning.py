"""The table on fine-tuning a pretrained network."""

from reporting.result_table import ResultTable
from reporting.written.figures import load
from reporting.written.table import percent, table


@table
def fine_tuned() -> ResultTable:
    """EfficientNet-Lite0 on CIFAR-10 images, after ordinary and after adversarial fine-tuning."""
    found = load("pretrained/cifar10_jpeg75.json")
    words = {"before": "ordinary", "after": "then eFGSM, at 4/255"}
    radii = [point["epsilon"] for point in found["before"]["points"]]
    headings = ["natural" if radius == 0.0 else f"`adp` {255 * radius:.0f}/255" for radius in radii]
    return ResultTable(
        ("fine-tuning", *headings, "training"),
        [
            [
                f"{what}, {found['epochs'][name]} epochs",
                *(percent(point["robust_accuracy"], 1) for point in found[name]["points"]),
                f"{found['training_seconds'][name]:.0f} s",
            ]
            for name, what in words.items()
        ],
    )
