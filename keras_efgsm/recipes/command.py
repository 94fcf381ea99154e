"""The line that makes a run again, from its configuration."""

import dataclasses
import shlex
from typing import Any

from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.option import flag_of, kind_of
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.recipes.request import at_epsilon

# Where the data lie differs between machines, and is no part of a run.
_LEFT_OUT = ("data_dir",)
# Said by other words than their own option.
_ELSEWHERE = ("dataset", "method", "attack", "objective", "method_options")


def command_line(config: TrainingConfig) -> str:
    """The `keras-efgsm train` command of a configuration, from the preset nearest to it.

    Read again it gives the same configuration, but for where the data lie.

    Args:
        config: the configuration.

    Example:

    ```python
    assert command_line(PRESETS["mnist"]) == "keras-efgsm train mnist"
    ```
    """
    preset = min(PRESETS, key=lambda name: _distance(config, PRESETS[name]))
    # What is given for another radius keeps its share of epsilon.
    base = at_epsilon(PRESETS[preset], config.epsilon)
    words = ["keras-efgsm", "train", *_data_words(config.dataset, preset)]
    if config.method != base.method:
        if "+" in config.method:
            words += _option("attack", config.attack) + _option("objective", config.objective)
            base = dataclasses.replace(
                base, **base.part_changes(config.attack, config.objective, {}), **_networks(config)
            )
        else:
            words += _option("method", config.method)
            base = dataclasses.replace(
                base, **base.method_changes(config.method, {}), **_networks(config)
            )
    for name, value in config.method_options.items():
        if value != base.method_options[name] or type(value) is not type(base.method_options[name]):
            words += _option(name, value)
    first = PRESETS[preset]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in _LEFT_OUT + _ELSEWHERE:
            continue
        of_preset = field.name in ("reconstructor", "epsilon")
        if value != getattr(first if of_preset else base, field.name):
            words += _option(field.name, value, is_flag=kind_of(field.type)[0] is bool)
    return shlex.join(words)


def written(value: Any) -> str:
    """The text that the command line reads as this value.

    Example:

    ```python
    assert written(8 / 255) == "8/255"
    ```
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        of_255 = round(value * 255)
        if 0 < of_255 < 255 and of_255 / 255 == value and len(repr(value)) > 8:
            return f"{of_255}/255"
        return repr(value)
    return str(value)


def _distance(config: TrainingConfig, preset: TrainingConfig) -> int:
    names = [field.name for field in dataclasses.fields(config)]
    return sum(getattr(config, name) != getattr(preset, name) for name in names)


def _networks(config: TrainingConfig) -> dict[str, Any]:
    # A method that trains a re-constructor is none without its network.
    return {"reconstructor": config.reconstructor}


def _data_words(dataset: str, preset: str) -> list[str]:
    if dataset == PRESETS[preset].dataset:
        return [preset]
    if dataset.startswith("-"):
        return [preset, f"--dataset={dataset}"]
    if dataset in PRESETS and PRESETS[dataset].dataset != dataset:
        return [preset, "--dataset", dataset]
    return [dataset, "--recipe", preset]


def _option(name: str, value: Any, *, is_flag: bool = False) -> list[str]:
    flag = flag_of(name)
    if is_flag:
        return [flag if value else flag.replace("--", "--no-", 1)]
    if isinstance(value, tuple | list):
        return [flag, *map(written, value)]
    text = written(value)
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]
