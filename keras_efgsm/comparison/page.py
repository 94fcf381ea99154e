"""The page of a comparison."""

from keras_efgsm.comparison.drawing import picture
from keras_efgsm.comparison.tables import ball, meaning, page_table, warnings
from keras_efgsm.records import ComparisonRecord, wording
from keras_efgsm.report.tables import Table
from keras_efgsm.report.templates import fill_in


def render_page(record: ComparisonRecord) -> str:
    """The HTML of the page.

    Args:
        record: the comparison.

    Example:

    ```python
    render_page(ComparisonRecord.read("comparison.json"))[:15]  # "<!DOCTYPE html>"
    ```
    """
    return fill_in(
        "comparison/page.html",
        "compare",
        count=wording.count(len(record.models), "model"),
        names=[model.name for model in record.models],
        ball=ball(record),
        warnings=warnings(record),
        table=page_table(record),
        meaning=meaning(record),
        picture=picture(record),
        commands=[(model.name, model.command) for model in record.models if model.command],
        environment=_environment(record),
    )


def _environment(record: ComparisonRecord) -> Table:
    rows = [[package, version] for package, version in record.versions.items()]
    rows.append(["hardware", record.hardware])
    return Table("What the figures were made with.", ["package", "version"], rows, is_narrow=True)
