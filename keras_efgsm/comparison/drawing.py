"""Natural against robust accuracy of several models, as SVG for the page and as PNG."""

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from keras_efgsm.pictures import PAGE, save_figure, styled
from keras_efgsm.pictures.accuracies import AccuracyRow, accuracies_figure
from keras_efgsm.pictures.inline_svg import inline_svg
from keras_efgsm.records import ComparedPart, ComparisonRecord
from keras_efgsm.records.comparison import BLACK_BOX, TWIN, WHITE_BOX
from keras_efgsm.records.wording import INTERVAL, percent, unbroken

_MOST_LETTERS = 42
_HOW = {WHITE_BOX: "", TWIN: "twin's gradients", BLACK_BOX: "no gradients"}


@dataclass(frozen=True)
class Picture:
    """A picture as the template shows it.

    Args:
        svg: the drawing.
        caption: what it shows.
    """

    svg: Markup
    caption: str


def picture(record: ComparisonRecord) -> Picture:
    """The picture of a page, in the colours of its light or dark scheme.

    Args:
        record: the comparison.
    """
    told = "; ".join(
        f"{m.name}: natural {percent(m.natural_accuracy)}, robust {percent(m.worst_case_accuracy)}"
        for m in record.models
    )
    with styled(PAGE) as colours:
        svg = inline_svg(
            accuracies_figure(_rows(record), colours),
            "comparison-picture",
            title="Natural and robust accuracy of each model",
            description=unbroken(f"Natural and robust accuracy of each model. {told}"),
        )
    # Written by an XML writer, which escapes the names in the description.
    return Picture(Markup(svg), _caption(record))


def draw_comparison(record: ComparisonRecord, path: str | Path, *, theme: str = "light") -> None:
    """Draws natural against robust accuracy, a line for each model, with 95 % Wilson intervals.

    Args:
        record: the comparison.
        path: the PNG file, replaced if it exists.
        theme: `"light"` or `"dark"`. Defaults to `"light"`.

    Raises:
        ValueError: if there is no such theme.
        OSError: if the file cannot be written.

    Example:

    ```python
    draw_comparison(ComparisonRecord.read("comparison.json"), "comparison.png")
    ```
    """
    with styled(theme) as colours:
        save_figure(accuracies_figure(_rows(record), colours), path)


def _caption(record: ComparisonRecord) -> str:
    groups = (
        " Of models attacked in different ways the robust accuracies are not to be compared."
        if len(record.accesses) > 1
        else ""
    )
    return (
        "Share of the images that are classified correctly: unattacked (circle), and under all "
        f"attacks that were run (square). Bars: {INTERVAL} intervals.{groups}"
    )


def _rows(record: ComparisonRecord) -> list[AccuracyRow]:
    several = len(record.accesses) > 1
    return [
        AccuracyRow(
            _heading(model, several),
            model.natural_accuracy,
            model.natural_interval,
            model.worst_case_accuracy,
            model.worst_case_interval,
            # Ranks begin anew.
            is_apart=row > 0 and model.access != record.models[row - 1].access,
        )
        for row, model in enumerate(record.models)
    ]


def _heading(model: ComparedPart, several: bool) -> str:
    place = "" if model.rank is None else f"{model.rank}. "
    notes = [_HOW[model.access]] if several and _HOW[model.access] else []
    notes += ["not to be trusted"] if model.doubts else []
    how = f" ({', '.join(notes)})" if notes else ""
    room = _MOST_LETTERS - len(place) - len(how)
    name = model.name if len(model.name) <= room else f"{model.name[: room - 1]}\u2026"
    return f"{place}{name}{how}"
