"""The table of a comparison: for the terminal, and as the page shows it."""

from rich.table import Table
from rich.text import Text

from keras_efgsm.printing import ResultTable
from keras_efgsm.records import ComparedPart, ComparisonRecord, wording
from keras_efgsm.records.comparison import BLACK_BOX, TWIN, WHITE_BOX
from keras_efgsm.records.wording import DASH, INTERVAL, INTERVAL_MEANS, percent
from keras_efgsm.report import tables

_GRADIENTS = {WHITE_BOX: "its own", TWIN: "of its twin", BLACK_BOX: "none"}


def rich_table(record: ComparisonRecord) -> Table:
    """A `rich` table with a section for each kind of access.

    Args:
        record: the comparison.
    """
    table = ResultTable(
        title=f"{wording.count(len(record.models), 'model')} under the same attacks, epsilon "
        f"{ball(record)}",
        caption=" ".join(
            [
                *measured(record),
                *meaning(record),
                *(f"WARNING: {warning}" for warning in warnings(record)),
            ]
        ),
    )
    table.add_column("", justify="right")
    table.add_column("model", overflow="fold")
    names = [attack.name for attack in record.attacks]
    counted = any(model.parameters is not None for model in record.models)
    for name in ("worst case", "natural", *names, "time", "parameters" if counted else "size"):
        table.add_column(name, justify="right")
    access = None
    for model in record.models:
        if access not in (None, model.access):
            table.add_section()
        access = model.access
        parameters = f"{wording.number(model.parameters)}\n" if counted else ""
        table.add_row(
            rank(model),
            Text.assemble(model.name, "\n", (f"gradients: {_gradients(model)}", "dim")),
            Text.assemble(
                (percent(model.worst_case_accuracy), "bold"),
                "\n",
                wording.interval(model.worst_case_interval),
            ),
            percent(model.natural_accuracy),
            *(share(accuracy) for accuracy in model.accuracies),
            wording.seconds(model.evaluation.seconds),
            f"{parameters}{_size(model)}",
        )
    return table


def page_table(record: ComparisonRecord) -> tables.Table:
    """The same with a column for everything.

    Args:
        record: the comparison.
    """
    names = [attack.name for attack in record.attacks]
    counted = any(model.parameters is not None for model in record.models)
    header = [
        *("model", "robust accuracy (worst case)", INTERVAL, "natural accuracy", *names),
        *("gradients", "time", *(["parameters"] if counted else []), "size"),
    ]
    rows = [
        [
            f"{rank(model)} {model.name}",
            percent(model.worst_case_accuracy),
            wording.interval(model.worst_case_interval),
            percent(model.natural_accuracy),
            *(share(accuracy) for accuracy in model.accuracies),
            _gradients(model),
            wording.seconds(model.evaluation.seconds),
            *([wording.number(model.parameters)] if counted else []),
            _size(model),
        ]
        for model in record.models
    ]
    text = header.index("gradients", 4 + len(names))
    return tables.Table(
        " ".join(measured(record)), header, rows, numeric=frozenset(range(1, len(header))) - {text}
    )


def rank(model: ComparedPart) -> str:
    """The place of a model, such as `"1."`; a dash for one whose figures are not to be trusted."""
    return DASH if model.rank is None else f"{model.rank}."


def share(accuracy: float | None) -> str:
    """The accuracy under an attack, or that the model did not see it."""
    return "not run" if accuracy is None else percent(accuracy)


def ball(record: ComparisonRecord) -> str:
    """The radius, with its norm if that is not L-infinity."""
    return wording.radius(record.epsilon, record.norm)


def measured(record: ComparisonRecord) -> list[str]:
    """Sentences on the images and the attacks."""
    attacks = ", ".join(attack.in_words for attack in record.attacks)
    data = wording.data_name(record.dataset, record.split)
    images = wording.selected(record.num_images, record.selection, first=True)
    found = [f"{images[:1].upper()}{images[1:]} of {data}, seed {record.seed}, under {attacks}."]
    if record.cascade and len(record.attacks) > 1:
        found.append(
            "Each attack saw only the images that withstood those to its left; its accuracy is "
            "that of all so far."
        )
    if record.eot > 1:
        found.append(f"Each answer is the mean over {record.eot} draws.")
    return found


def meaning(record: ComparisonRecord) -> list[str]:
    """Sentences on what the figures say, and what they do not."""
    return [
        *how_attacked(record),
        f"{INTERVAL} is {INTERVAL_MEANS}. Where two intervals overlap, chance may have made their "
        "order.",
        "Robust accuracy is an upper bound: a stronger attack can only lower it.",
    ]


def warnings(record: ComparisonRecord) -> list[str]:
    """Sentences on what is not to be trusted."""
    missing = [f"{record.missing}."] if record.missing else []
    doubts = [
        f"{model.name} has no rank. {doubt}"
        for model in record.models
        for doubt in model.doubts or ()
    ]
    return missing + doubts


def how_attacked(record: ComparisonRecord) -> list[str]:
    """Sentences on which models saw which attacks with what gradients, and what ranks compare."""
    found = []
    for access in record.accesses:
        models = [model for model in record.models if model.access == access]
        every = "All models" if len(record.accesses) == 1 else ", ".join(m.name for m in models)
        several = len(models) > 1
        if access == WHITE_BOX:
            found.append(f"{every}: attacked by {'their' if several else 'its'} own gradients.")
        elif access == TWIN:
            found.append(
                f"{every}: no gradients of {'their' if several else 'its'} own; every attack went "
                "by those of the float model it was made from (straight-through), and once more "
                "transferred from that."
            )
        elif all(model.saw_all for model in models):
            found.append(f"{every}: saw all attacks, none of which needs gradients.")
        else:
            asked = [attack.name for attack in record.attacks]
            pairs = list(zip(asked, models[0].accuracies, strict=True))
            seen = ", ".join(name for name, accuracy in pairs if accuracy is not None)
            left = ", ".join(name for name, accuracy in pairs if accuracy is None)
            found.append(
                f"{every}: no gradients and no twin, so only {seen} was run; under {left} the "
                "accuracy can only be lower."
            )
    if len(record.accesses) > 1:
        found.append(
            "Ranks are among models attacked alike; accuracies of differently attacked ones are "
            "not to be compared."
        )
    return found


def _size(model: ComparedPart) -> str:
    return DASH if model.size is None else wording.size(model.size)


def _gradients(model: ComparedPart) -> str:
    twin = model.evaluation.twin
    return f"of {twin}" if twin else _GRADIENTS[model.access]
