"""The model card with what was measured on each file."""

import re

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.export.figures import headline_accuracy
from keras_efgsm.export.markdown import MEASURED, replace_section
from keras_efgsm.export.measuring.card_section import card_section
from keras_efgsm.export.measuring.exported_forms import Export
from keras_efgsm.export.measuring.measurements import Measurements
from keras_efgsm.export.model_card import render_card
from keras_efgsm.records.export import ExportRecord

_HEADLINE = re.compile(r"^\*\*Robust accuracy (\d+(?:\.\d+)?) %", re.MULTILINE)


def write_measured_card(export: Export, found: Measurements) -> None:
    """Writes the card of an export anew, from its record and what was measured.

    In a card that was edited by hand, or of a version that kept no record, only the section on the
    measurements is replaced: everything else stays as it is.

    Args:
        export: the exported version, which has a card.
        found: its figures.

    Raises:
        ValueError: if the record is damaged.
        OSError: if the card cannot be written.

    Example:

    ```python
    from keras_efgsm.export.measuring import Measurements, find_export

    export = find_export("exported_models/mnist/1")
    write_measured_card(export, Measurements.read("exported_models/mnist/mnist-1.measured.json"))
    ```
    """
    text = export.card.read_text(encoding="utf-8")
    record = ExportRecord.read(export.record) if export.record.is_file() else None
    if record is None:
        # Such an export is of before there were other norms.
        headline = None if "norm" in found.settings else _headline_of(text)
        body = card_section(found, headline)
        write_atomically(export.card, replace_section(text, MEASURED, body))
        return
    norm = found.settings.get("norm", "linf")
    body = card_section(found, headline_accuracy(record.figures, norm))
    if not record.describes(text):
        write_atomically(export.card, replace_section(text, MEASURED, body))
        return
    text = render_card(record, body)
    write_atomically(export.card, text)
    record.with_card(text).write(export.record)


def _headline_of(card: str) -> float | None:
    """The share in a card's headline, of an export that kept no record of it."""
    match = _HEADLINE.search(card)
    return float(match[1]) / 100.0 if match else None
