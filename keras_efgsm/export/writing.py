"""One form of an export: written, run and compared, or an error that says in one line why not."""

from pathlib import Path

import keras

from keras_efgsm.checks import raise_interrupt_behind
from keras_efgsm.export.operations import plain
from keras_efgsm.export.verification import check_agreement, measure_agreement
from keras_efgsm.form import ExportError, Given
from keras_efgsm.form_table import FORMS
from keras_efgsm.records.export import Agreement


def write_form(form: str, classifier: keras.Model, path: Path, given: Given) -> Agreement:
    """Writes a form of a classifier, and checks that it answers like it.

    Args:
        form: one of `FORMS`.
        classifier: in float32, see `float32_twin`.
        path: its file or folder, which does not exist yet. What an error leaves there is the
            caller's to remove.
        given: what else there is to write it with.

    Raises:
        ExportError: if the classifier has no such form, or what was written answers otherwise.
        OSError: if the disk refuses it, which is no matter of the form.
    """
    try:
        FORMS[form].write(classifier, path, given)
    except (ExportError, OSError, MemoryError):
        raise
    # Tracing raises whatever a layer does, and the errors of the converters have no common base.
    except Exception as error:
        raise_interrupt_behind(error)
        raise ExportError(
            f"The form {form!r} cannot be written: {type(error).__name__}: {plain(error)}. "
            f"Received: classifier={classifier.name!r}"
        ) from error
    images = given.representative_images if FORMS[form].compared_on_images else None
    agreement = measure_agreement(form, path, classifier, images)
    check_agreement(form, agreement)
    return agreement
