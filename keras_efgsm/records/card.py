"""`NAME-N.card.json`: the contents of a model card, so that nobody has to parse its Markdown."""

from dataclasses import dataclass, replace
from typing import ClassVar

from keras_efgsm.records.evaluation import EvaluationRecord
from keras_efgsm.records.record import Part, Record, RecordError


@dataclass(frozen=True, kw_only=True)
class CardSection(Part):
    """A part of a card.

    Args:
        heading: in one line.
        body: Markdown below it.
    """

    heading: str
    body: str

    def check(self) -> None:
        """Checks that the heading is one line."""
        heading = self.heading
        if not heading or heading.strip() != heading or len(heading.splitlines()) != 1:
            raise RecordError("it must have a heading of one line", f"heading={heading!r}")


@dataclass(frozen=True, kw_only=True)
class CardRecord(Record):
    """The parts of a model card, from which its Markdown is written.

    Args:
        name: of the model.
        version: of the export.
        lead: Markdown before the first section, the headline in it.
        sections: in their order.
        evaluation: the figures of the headline; None if there are none.

    Example:

    ```python
    card = CardRecord(name="cats", version=1, lead="# cats, version 1", sections=())
    card.with_section("Measured on each file", "Nothing yet.", before="Limits").markdown()
    ```
    """

    NAME: ClassVar[str] = "The record of a model card"

    name: str
    version: int
    lead: str
    sections: tuple[CardSection, ...]
    evaluation: EvaluationRecord | None = None

    def with_section(self, heading: str, body: str, before: str | None = None) -> "CardRecord":
        """A card with a section replaced, or added where there is none of this heading.

        Args:
            heading: of the section.
            body: what comes below it.
            before: heading of the section that a new one precedes. Defaults to the end.
        """
        new = CardSection.from_dict({"heading": heading, "body": body.strip()})
        sections, titles = list(self.sections), [section.heading for section in self.sections]
        if heading in titles:
            sections[titles.index(heading)] = new
        else:
            sections.insert(titles.index(before) if before in titles else len(titles), new)
        return replace(self, sections=tuple(sections))

    def markdown(self) -> str:
        """The text of the card."""
        parts = [self.lead, *(f"## {part.heading}\n\n{part.body}" for part in self.sections)]
        return "\n\n".join(parts) + "\n"
