"""The tables of a report as plain values, which the template writes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keras_efgsm.records import DiagnosisRecord
from keras_efgsm.records.wording import (
    INTERVAL,
    INTERVAL_MEANS,
    data_name,
    in_words,
    interval,
    number,
    percent,
    radius,
    seconds,
    size,
    with_interval,
)
from keras_efgsm.report.run_files import ReportedRun


@dataclass(frozen=True)
class Table:
    """A table; the first cell of each row is its heading.

    Args:
        caption: what it shows.
        header: names of the columns.
        rows: cells as text.
        numeric: numbers of the right-aligned columns. Defaults to none.
        strong: number of a row to be set in bold. Defaults to none.
        long: numbers of the columns of sentences. Defaults to none.
        links: target of the first cell of each row. Defaults to none.
        is_narrow: whether it is as wide as its content only. Defaults to `False`.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int] = frozenset()
    strong: int | None = None
    long: frozenset[int] = frozenset()
    links: Sequence[str] = ()
    is_narrow: bool = False


def comparison_table(runs: Sequence[ReportedRun]) -> Table:
    """All runs, a row each.

    Args:
        runs: two or more.
    """
    header = [
        "run",
        "robust accuracy",
        INTERVAL,
        "natural accuracy",
        "method",
        "under",
        "epsilon",
        "images",
        "seed",
        "data",
        "training",
        "classifier parameters",
    ]
    return Table(
        "All runs. Robust accuracy is the lowest figure found, under the attacks named. "
        f"{INTERVAL}: {INTERVAL_MEANS}.",
        header,
        [_comparison_row(run) for run in runs],
        numeric=frozenset({1, 2, 3, 6, 7, 8, 10, 11}),
        long=frozenset({5}),
        links=[f"run-{index}" for index in range(1, len(runs) + 1)],
    )


def _comparison_row(run: ReportedRun) -> list[str]:
    figures = run.evaluation
    images = figures.strongest.num_images if figures.worst_is_one_attack else figures.num_images
    return [
        run.name,
        percent(figures.robust_accuracy),
        interval(figures.interval_of_robust),
        percent(figures.natural_accuracy),
        run.method,
        figures.attacks_in_words(),
        radius(run.epsilon, run.norm),
        number(images),
        run.seeds,
        run.data,
        seconds(run.metrics.training_seconds),
        number((run.metrics.parameters or {}).get("classifier")),
    ]


def attacks_table(run: ReportedRun) -> Table:
    """Every attack of the evaluation with its budget, and the worst case over all."""
    figures = run.evaluation
    # Columns of schema 2, shown where an attack has them.
    extra = [
        (title, field)
        for title, field in (("attacked", "num_attacked"), ("turned", "num_turned"))
        if any(getattr(attack, field) is not None for attack in figures.attacks)
    ]
    # The accuracy first: a phone shows the first columns.
    header = ["attack", "accuracy so far" if figures.cascade else "accuracy", INTERVAL, "by"]
    header += ["budget for an image", "epsilon", "seed", "images"]
    header += [*(title for title, _ in extra), "time"]
    blank, fill, total = [""] * 4, [""] * len(extra), number(figures.num_images)
    natural = [percent(figures.natural_accuracy), interval(figures.interval_of_natural)]
    rows = [["none (clean)", *natural, *blank, total, *fill, ""]]
    rows += [
        [
            attack.name,
            percent(attack.robust_accuracy),
            interval(attack.interval),
            attack.engine or "",
            attack.budget,
            radius(attack.epsilon, attack.norm),
            number(attack.seed),
            number(figures.num_images if attack.num_images is None else attack.num_images),
            *(number(getattr(attack, field)) for _, field in extra),
            seconds(attack.seconds),
        ]
        for attack in figures.attacks
    ]
    worst = [percent(figures.worst_case_accuracy), interval(figures.interval)]
    label = "worst case, image by image"
    rows.append([label, *worst, *blank, total, *fill, seconds(figures.seconds)])
    strongest = figures.attacks.index(figures.strongest) + 1
    caption = f"Accuracy on {run.data} under each attack. {INTERVAL}: {INTERVAL_MEANS}."
    if figures.cascade:
        caption += " Each attack saw only the images that withstood those above it."
    return Table(
        caption,
        header,
        rows,
        numeric=frozenset({1, 2, *range(5, len(header))}),
        strong=strongest if figures.worst_is_one_attack else len(rows) - 1,
    )


def findings_table(diagnosis: DiagnosisRecord) -> Table:
    """The signs of gradient masking that were looked for."""
    about = {
        name: getattr(diagnosis, name)
        for name in ("dataset", "epsilon", "num_images", "num_correct", "seed")
    }
    about["epsilon"] = radius(diagnosis.epsilon, diagnosis.norm)
    rows = []
    for finding in diagnosis.findings:
        # How strong a sign would have been is of no interest where there is none.
        known = {"severity": finding.severity if finding.flagged else None} | finding.extra
        rest = in_words({key: value for key, value in known.items() if value is not None})
        rows.append(
            [
                finding.name.replace("_", " "),
                "found" if finding.flagged else "not found",
                " ".join(filter(None, [finding.evidence, rest])),
            ]
        )
    caption = f"Signs of gradient masking that were looked for. {in_words(about)}"
    return Table(caption, ["sign", "outcome", "evidence"], rows, long=frozenset({2}))


def cost_table(run: ReportedRun) -> Table:
    """What a training took, and the size and speed of what it gave."""
    metrics = run.metrics
    parameters = metrics.parameters or {}
    memory = metrics.momentum_bytes
    rows: list[tuple[str, Any, Callable[[Any], str]]] = [
        ("training time", metrics.training_seconds, seconds),
        (
            "time of an image, classified in a batch",
            run.measured.milliseconds_per_image if run.measured else None,
            lambda value: f"{value:.2g} ms",
        ),
        ("epochs", metrics.epochs, number),
        ("training images", metrics.train_images, number),
        *((f"parameters, {name}", count or None, number) for name, count in parameters.items()),
        ("momentum memory", memory or None, size),
        (
            "natural accuracy at the end",
            metrics.natural_accuracy,
            lambda share: with_interval(share, metrics.interval_of_natural),
        ),
        ("images of that", metrics.test_images, number),
    ]
    told = [[name, say(value)] for name, value, say in rows if value is not None]
    return _pairs("What training and use take.", ["figure", "value"], told)


def configuration_table(run: ReportedRun) -> Table:
    """The options of a run."""
    # A page travels; where the data lay on one machine means nothing elsewhere.
    shown: dict[str, Any] = {key: v for key, v in run.config.items() if key != "data_dir"}
    shown["dataset"] = data_name(shown["dataset"])
    if not run.has_reconstructor:
        shown.pop("reconstructor", None)
    options = shown.pop("method_options", None)
    for key, value in options.items() if isinstance(options, dict) else ():
        shown[f"method's {key}"] = value
    rows = [[key.replace("_", " "), in_words(value)] for key, value in shown.items()]
    return _pairs("Options of the training.", ["option", "value"], rows)


def environment_table(run: ReportedRun) -> Table:
    """Versions and hardware of training, evaluation and the curves."""
    sources: dict[str, Any] = {"trained with": run.metrics, "evaluated with": run.evaluation}
    if run.measured:
        sources["curves measured with"] = run.measured
    packages = dict.fromkeys(p for source in sources.values() for p in source.versions or {})
    rows = [
        [package, *((source.versions or {}).get(package, "") for source in sources.values())]
        for package in packages
    ]
    rows.append(["hardware", *(source.hardware or "" for source in sources.values())])
    return Table("What the figures were made with.", ["package", *sources], rows)


def _pairs(caption: str, header: list[str], rows: list[list[str]]) -> Table:
    return Table(caption, header, rows, numeric=frozenset({1}), is_narrow=True)
