"""The choice of the forms that an export writes."""

from collections.abc import Mapping, Sequence
from typing import Any

from keras_efgsm.checks import check_choice
from keras_efgsm.form_table import FORMS


def choose_forms(
    forms: Sequence[str] | None, has_representative_images: bool
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Returns the forms that will be written, and for each that cannot be why and what would help.

    Args:
        forms: what was asked for, or `None` for every form that can be written.
        has_representative_images: whether forms of integers can be calibrated.

    Raises:
        ValueError: if a form asked for is unknown or cannot be written for
            lack of images.
        ImportError: if one asked for needs a package that is not installed.
    """
    obstacles = {name: form.how_to_install() for name, form in FORMS.items() if form.missing()}
    errors: dict[str, type[Exception]] = dict.fromkeys(obstacles, ImportError)
    for name, form in FORMS.items():
        if form.needs_images and not has_representative_images and name not in obstacles:
            obstacles[name] = "it needs `representative_images` to be calibrated with"
            errors[name] = ValueError
    if forms is None:
        return tuple(f for f in FORMS if f not in obstacles), obstacles
    # A string is a sequence of strings too.
    if isinstance(forms, str) or not forms:
        raise ValueError(
            f"`forms` must be a list of at least one of {', '.join(FORMS)}. "
            f"Received: forms={forms!r}"
        )
    for name in forms:
        check_choice(name, "forms", tuple(FORMS))
        if name in obstacles:
            raise errors[name](
                f"The form {name!r} cannot be written: {obstacles[name]}. Received: forms={forms!r}"
            )
    return tuple(name for name in FORMS if name in forms), {}


def choose_options(forms: Sequence[str], options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns for each form its own options, those not given at their defaults.

    Args:
        forms: names of those that will be written.
        options: what was given, for any of `FORMS`.

    Raises:
        ValueError: if no form has an option of that name, or a form cannot use
            a value.
    """
    known = {option for form in FORMS.values() for option in form.options}
    for name, value in options.items():
        if name not in known:
            raise ValueError(
                f"An option of a form must be one of {', '.join(sorted(known))}. "
                f"Received: {name}={value!r}"
            )
    chosen = {}
    for name in forms:
        form = FORMS[name]
        chosen[name] = {k: options.get(k, default) for k, default in form.options.items()}
        form.check_options(chosen[name])
    return chosen
