"""The tables on export forms."""

from keras_efgsm.records import MeasurementsRecord
from reporting.result_table import ResultTable
from reporting.written.figures import ROOT, load
from reporting.written.table import percent, table


@table
def every_network_in_every_form() -> ResultTable:
    """Of each form the network whose logits differ most from those of Keras."""
    rows = load("export_matrix.json")["rows"]
    lines = []
    for form in rows[0]["forms"]:
        found = [(row["forms"][form], row) for row in rows]
        written = [(cell, row) for cell, row in found if "difference" in cell]
        cell, row = max(written, key=lambda pair: pair[0]["difference"])
        same = min(cell["same_class"] for cell, _ in written)
        lines.append(
            [
                f"`{form}`",
                f"{len(written)} of {len(found)}",
                f"{cell['difference']:.1e}",
                f"`{row['network']}`",
                percent(same, 0),
            ]
        )
    headings = ("form", "networks", "largest difference", "of", "same class at least")
    return ResultTable(headings, lines)


@table
def every_form_of_mnist_joint() -> ResultTable:
    """Size, latency and accuracies of each form of the export of `mnist-joint`."""
    path = ROOT / "exported_models" / "mnist" / "mnist-1.measured.json"
    found = MeasurementsRecord.read(path)
    times = (found.latency or {})["forms"]
    rows = []
    for form, measured in found.forms.items():
        said = measured.evaluation
        rows.append(
            [
                "Keras" if form == "keras" else f"`{form}`",
                f"{measured.size / 1000:.0f} kB",
                f"{times[form]['median_ms'] / times['keras']['median_ms']:.2f}",
                percent(said.natural_accuracy, 1),
                percent(said.robust_accuracy, 1),
            ]
        )
    return ResultTable(("form", "size", "latency", "natural", "robust, worst case"), rows)
