"""The forms a classifier can leave in, how their files are called, and which can be written."""

import importlib.util
from collections.abc import Sequence

from keras_efgsm.checks import check_choice

SAVED_MODEL = "saved-model"
INT8 = "tflite-int8"
ONNX = "onnx"
# The ending comes after `<name>-<version>`; a SavedModel is the folder `<version>`.
_ENDINGS = {
    "tflite": ".tflite",
    "tflite-float16": "-float16.tflite",
    "tflite-dynamic": "-dynamic.tflite",
    INT8: "-int8.tflite",
    ONNX: ".onnx",
}
FORMS = (SAVED_MODEL, *_ENDINGS)
TFLITE_FORMS = tuple(form for form, ending in _ENDINGS.items() if ending.endswith(".tflite"))
_ONNX_PACKAGES = ("tf2onnx", "onnx", "onnxruntime")


def file_name(form: str, name: str, version: int) -> str:
    """Returns how the file of a form is called.

    Args:
        form: one of `FORMS`.
        name: the model's name.
        version: its integer version.

    Example:

    ```python
    file_name("tflite-int8", "mnist", 3)  # "mnist-3-int8.tflite"
    ```
    """
    return str(version) if form == SAVED_MODEL else f"{name}-{version}{_ENDINGS[form]}"


def choose_forms(
    forms: Sequence[str] | None, has_representative_images: bool
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Returns the forms that will be written, and for each that cannot be why and what would help.

    Args:
        forms: what was asked for, or `None` for every form that can be written.
        has_representative_images: whether full int8 can be calibrated.

    Raises:
        ValueError: if a form asked for is unknown or cannot be written for
            lack of images.
        ImportError: if one asked for needs a package that is not installed.
    """
    obstacles = {}
    if not has_representative_images:
        obstacles[INT8] = "it needs `representative_images` to be calibrated with"
    missing = [p for p in _ONNX_PACKAGES if importlib.util.find_spec(p) is None]
    if missing:
        obstacles[ONNX] = f"it needs {', '.join(missing)}: pip install keras-efgsm[onnx]"
    if forms is None:
        return tuple(f for f in FORMS if f not in obstacles), obstacles
    # A string is a sequence of strings too.
    if isinstance(forms, str) or not forms:
        raise ValueError(
            f"`forms` must be a list of at least one of {', '.join(FORMS)}. "
            f"Received: forms={forms!r}"
        )
    for form in forms:
        check_choice(form, "forms", FORMS)
        if form in obstacles:
            error = ImportError if form == ONNX else ValueError
            raise error(
                f"The form {form!r} cannot be written: {obstacles[form]}. Received: forms={forms!r}"
            )
    return tuple(form for form in FORMS if form in forms), {}
