"""The sections on how a run was trained."""

from typing import Any

from keras_efgsm.report.charts import Line, line_chart
from keras_efgsm.report.markup import (
    Html,
    data_name,
    element,
    is_number,
    joined,
    number,
    percent,
    radius,
    table,
)
from keras_efgsm.report.run_files import ReportedRun
from keras_efgsm.report.wording import method, told
from keras_efgsm.sample_memory.room import format_bytes

_CURVES = {
    "accuracy": "under the training attack",
    "margin_robust_accuracy": "margin-robust",
    "probe_accuracy": "PGD probe",
    "val_accuracy": "natural, validation",
}


def training_curves_section(run: ReportedRun) -> Html | None:
    """Losses and accuracies by epoch."""

    def lines(ending: str) -> list[Line]:
        names = dict.fromkeys(name for row in run.history for name in row)
        return [
            Line(
                _CURVES.get(name, name.replace("_", " ")),
                [
                    (row["epoch"], row[name])
                    for row in run.history
                    if "epoch" in row and name in row
                ],
            )
            for name in names
            if name.endswith(ending)
        ]

    on = (
        f"Training by epoch: {method(run)}, epsilon {radius(run.config.get('epsilon'))}, "
        f"{number(run.metrics.get('train_images'))} images, seed {run.config.get('seed', 0)}. "
    )
    charts = [
        line_chart(
            lines("loss"),
            caption=f"{on}Losses on the training's adversarial images.",
            x_label="epoch",
            y_label="loss",
            log_y=True,
        ),
        line_chart(
            lines("accuracy"),
            caption=f"{on}Accuracies on the training's own attack, and by what the overfitting "
            "stop watches: the linearised margin, and PGD on held-out training images (its probe).",
            x_label="epoch",
            y_label="accuracy (%)",
            is_share=True,
        ),
    ]
    return element("div", *charts, class_="charts") if any(charts) else None


def training_section(run: ReportedRun) -> Html:
    """Time, size, and whether the overfitting stop fired."""
    metrics = run.metrics
    parameters = metrics.get("parameters") or {}
    momentum = metrics.get("momentum_bytes")
    rows = [
        ("training time", number(metrics.get("training_seconds"), "s")),
        ("epochs", number(metrics.get("epochs"))),
        ("training images", number(metrics.get("train_images"))),
        *((f"parameters, {name}", number(count)) for name, count in parameters.items() if count),
        (
            "momentum memory",
            format_bytes(momentum) if is_number(momentum) and momentum else None,
        ),
        ("natural accuracy at the end", percent(metrics.get("natural_accuracy"))),
        ("images of that", number(metrics.get("test_images"))),
    ]
    rows = [row for row in rows if row[1]]
    return joined(
        table(
            "What training took.",
            ["figure", "value"],
            rows,
            numeric=[False, True],
            is_narrow=True,
        ),
        element("p", _stop(metrics.get("stop"))),
    )


def _stop(stop: Any) -> str:
    if not isinstance(stop, dict):
        return "Trained without the overfitting stop."
    restored = stop.get("restored_epoch")
    back = "" if restored is None else f"; the weights of epoch {number(restored)} were put back"
    if not stop.get("fired"):
        at_end = f": {stop.get('reason')}{back}" if back else ""
        return f"The overfitting stop watched the training and did not fire{at_end}."
    return (
        f"The overfitting stop ended training in epoch {number(stop.get('epoch'))}: "
        f"{stop.get('reason')}{back}."
    )


def configuration_section(run: ReportedRun) -> Html:
    """The options of the run."""
    # A page travels; where the data lay on one machine means nothing elsewhere.
    shown = {key: value for key, value in run.config.items() if key != "data_dir"}
    shown["dataset"] = data_name(shown["dataset"])
    for key, value in (shown.pop("method_options", None) or {}).items():
        shown[f"method's {key}"] = value
    rows = [(key.replace("_", " "), told(value)) for key, value in shown.items()]
    caption = "Options of the training."
    return table(caption, ["option", "value"], rows, numeric=[False, True], is_narrow=True)


def environment_section(run: ReportedRun) -> Html | None:
    """Versions and hardware of training, evaluation and the curves."""
    sources = {"trained with": run.metrics, "evaluated with": run.evaluation}
    if run.measured:
        sources["curves measured with"] = run.measured
    packages = dict.fromkeys(p for source in sources.values() for p in source.get("versions") or {})
    rows = [
        [package, *((source.get("versions") or {}).get(package, "") for source in sources.values())]
        for package in packages
    ]
    rows.append(["hardware", *(source.get("hardware", "") for source in sources.values())])
    numeric = [False] * (len(sources) + 1)
    return table("What the figures were made with.", ["package", *sources], rows, numeric=numeric)
