"""The options of a configuration on the command line, made from its fields."""

import argparse
import dataclasses
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_efgsm.checks import visible
from keras_efgsm.cli.values import NO_VALUE, anything, reader_of
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.recipes.option import GROUPS, flag_of, kind_of
from keras_efgsm.recipes.parts import find_part, part_names
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.recipes.request import Request
from keras_efgsm.recipes.signature import Argument


def add_config_options(
    parser: argparse.ArgumentParser, words: Sequence[str] = (), *, only: Sequence[str] = ()
) -> None:
    """Adds data, recipe and the fields of `TrainingConfig`, as `read_request` takes them.

    Args:
        parser: takes them.
        words: what it will parse, where attacks and objectives of other packages may be named.
        only: fields that it has options for. Defaults to all.
    """
    parser.add_argument(
        "data",
        metavar="DATA",
        help="a data set ('digits', a folder with a sub-folder of images for each class, an .npz "
        f"file, a tfds name), or a preset: {', '.join(PRESETS)}",
    )
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        help="how to train: a preset, or automatic, by size and number of the images; default: "
        "that of the preset DATA, else automatic",
    )
    for heading in GROUPS:
        fields = [
            field
            for field in dataclasses.fields(TrainingConfig)
            if field.metadata["group"] == heading
            and field.metadata["flag"]
            and (not only or field.name in only)
        ]
        if fields:
            group = parser.add_argument_group(heading)
            for field in fields:
                _add_field(group, field)
    if not only:
        group = parser.add_argument_group("options of some methods")
        for name, (argument, methods) in _method_options(words).items():
            group.add_argument(
                flag_of(name),
                dest=f"method_{name}",
                type=str if argument.annotation == "str" else anything,
                metavar=name.upper(),
                help=_percent(f"{argument.text} (of {', '.join(methods)})"),
            )


def read_request(options: argparse.Namespace, *, only: Sequence[str] = ()) -> Request:
    """What is asked for by the options that `add_config_options` added.

    Args:
        options: as parsed.
        only: as in `add_config_options`.
    """
    given = vars(options)
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(TrainingConfig):
        if only and field.name not in only:
            continue
        value = given.get(field.name) if field.metadata["flag"] else None
        if value is not None:
            is_pair = kind_of(field.type)[0] == tuple[int, int]
            changes[field.name] = None if value is NO_VALUE else tuple(value) if is_pair else value
    prefix = "method_"
    method_options = {
        name.removeprefix(prefix): value
        for name, value in given.items()
        if name.startswith(prefix) and value is not None
    }
    # `none` stands for a default that follows from epsilon.
    method_options = {k: None if v is NO_VALUE else v for k, v in method_options.items()}
    return Request(options.data, options.recipe, changes, method_options)


def read_config(options: argparse.Namespace) -> TrainingConfig:
    """The configuration that is asked for."""
    from keras_efgsm.recipes.automatic import configuration

    return configuration(read_request(options))


def run_name(request: Request) -> str:
    """A name for the folder of what is asked for: the data's, and the recipe's if it is given."""
    name = request.data
    if "/" in name or name in (".", "..") or Path(name).suffix == ".npz":
        name = Path(name).expanduser().resolve().stem
    return visible(name) + (f"-{request.recipe}" if request.recipe else "")


def _add_field(group: Any, field: dataclasses.Field[Any]) -> None:
    flag, text = flag_of(field.name), _percent(field.metadata["text"])
    if kind_of(field.type)[0] is bool:
        group.add_argument(
            flag, dest=field.name, default=None, action=argparse.BooleanOptionalAction, help=text
        )
        return
    pair = {"nargs": 2} if kind_of(field.type)[0] == tuple[int, int] else {}
    group.add_argument(
        flag,
        dest=field.name,
        type=reader_of(field.type),
        metavar=field.metadata["metavar"] or field.name.upper().rpartition("_")[2],
        help=text,
        **pair,
    )


def _percent(text: str) -> str:
    return textwrap.shorten(text, 400).replace("%", "%%").replace("None", "none")


def _method_options(words: Sequence[str]) -> dict[str, tuple[Argument, list[str]]]:
    """Each option of a method, attack or objective, and which have it."""
    found: dict[str, tuple[Argument, list[str]]] = {}

    def add(name: str, argument: Argument, owner: str) -> None:
        # Of an option that several signatures have, each says what it is to itself.
        owners = found.setdefault(name, (argument, []))[1]
        if owner not in owners:
            owners.append(owner)

    for method, known in METHODS.items():
        for name, argument in known.arguments().items():
            add(name, argument, method)
    for what in ("attack", "objective"):
        named = part_names(what)
        others = _values_of(words, f"--{what}")
        for part in [*named, *(name for name in others if ":" in name and name not in named)]:
            for name, argument in find_part(part, what).arguments().items():
                if name not in found or found[name][1][0] not in METHODS:
                    add(name, argument, part)
    return found


def _values_of(words: Sequence[str], flag: str) -> list[str]:
    after = [words[i + 1] for i, word in enumerate(words[:-1]) if word == flag]
    return after + [w.partition("=")[2] for w in words if w.startswith(f"{flag}=")]
