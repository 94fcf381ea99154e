"""The table of forms of an exported classifier, and which form a file is by its name.

The forms themselves lie in `keras_efgsm/export/forms`, one file each. This table lies below them,
so that whatever loads a file finds its form without importing the export.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from keras_efgsm.form import Form

MAX_VERSION = 2**63 - 1
"""The highest version that TensorFlow Serving, whose versions are int64, finds."""

# What lies beside the files of a version and is of no form.
_BESIDE = (".md", ".json", ".measured.json")


FORMS: dict[str, Form] = {}
"""Every form by its name, in the order in which exports list them."""


def register_form(form: Form) -> Form:
    """Adds a form to `FORMS`, and returns it.

    Args:
        form: one whose name and endings no other form has.

    Raises:
        ValueError: if it is not a form, or its name or one of its endings is taken.

    Example:

    ```python
    import copy

    form = copy.copy(FORMS["onnx"])
    form.name, form.ending = "onnx-again", ".again"
    register_form(form).file_name("cats", 1)  # "cats-1.again"
    ```
    """
    if not isinstance(form, Form):
        raise ValueError(f"`form` must be a `Form`. Received: form={form!r}")
    endings = {form.ending, *form.companions}
    taken = {ending for other in FORMS.values() for ending in (other.ending, *other.companions)}
    if form.name in FORMS or endings & {*taken, *_BESIDE}:
        raise ValueError(
            "`form` must have a name and endings of its own. Received: "
            f"form.name={form.name!r}, endings={sorted(endings)}"
        )
    FORMS[form.name] = form
    return form


def form_of(path: Path) -> Form | None:
    """The form of the file or folder at `path`; None if it is of none.

    Args:
        path: what exists.
    """
    return next((form for form in FORMS.values() if form.is_form_of(path)), None)


@dataclass(frozen=True)
class NamedFile:
    """Model, version and form, read from the name of a file in a model's folder.

    Args:
        name: the model's name; empty for a folder.
        version: the integer version.
        form: its form, of a card or of figures None.
    """

    name: str
    version: int
    form: Form | None


def parse_name(file: str) -> NamedFile | None:
    """Reads name, version and form off the name of a file or folder of an export.

    Args:
        file: such as `"mnist-3-int8.tflite"` or `"3"`.

    Returns:
        None for another name, also for one with a version above `MAX_VERSION`: TensorFlow Serving
        passes over such a folder.
    """
    if re.fullmatch(r"[0-9]+", file):
        folders = (form for form in FORMS.values() if not form.ending)
        return _named("", file, next(folders, None))
    forms = [(e, f) for f in FORMS.values() if f.ending for e in (f.ending, *f.companions)]
    for ending, form in [*forms, *((ending, None) for ending in _BESIDE)]:
        match = re.fullmatch(rf"(.+)-([0-9]+){re.escape(ending)}", file)
        if match:
            return _named(match[1], match[2], form)
    return None


def _named(name: str, digits: str, form: Form | None) -> NamedFile | None:
    # A thousand digits are not even read.
    is_version = len(digits) < 1000 and int(digits) <= MAX_VERSION
    return NamedFile(name, int(digits), form) if is_version else None
