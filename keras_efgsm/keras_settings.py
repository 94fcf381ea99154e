"""The settings of Keras that everything here is written for."""

import os
from pathlib import Path
from typing import Any

WANTED = {"floatx": "float32", "image_data_format": "channels_last"}


def import_keras() -> Any:
    """Imports Keras, whose settings may not let it.

    Raises:
        ImportError: if it cannot be imported; it says where the settings are.
    """
    try:
        import keras
    # Whatever a file of settings that is no such file makes of its reader.
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise ImportError(
            f"Keras cannot be imported ({reason}). keras_efgsm runs on its backends tensorflow and "
            f"jax, which the variable KERAS_BACKEND or {settings_file()} names. "
            f"Received: KERAS_BACKEND={os.environ.get('KERAS_BACKEND')!r}"
        ) from error
    return keras


def check_keras_settings() -> None:
    """Checks that Keras computes in float32 and takes images with their channels last.

    Layers and constants would silently be of another kind. Half precision is a matter of the
    networks, `--dtype-policy`.

    Raises:
        ValueError: if it does not; it says where that is set.

    Example:

    ```python
    check_keras_settings()
    ```
    """
    config = import_keras().config
    for name, wanted in WANTED.items():
        found = getattr(config, name)()
        if found != wanted:
            raise ValueError(
                f"`{name}` of Keras must be {wanted!r}: set it in {settings_file()}, or by "
                f"`keras.config.set_{name}({wanted!r})` before anything is built. "
                f"Received: {name}={found!r}"
            )


def settings_file() -> Path:
    """The file that Keras reads its settings from."""
    home = Path.home() if os.access(Path.home(), os.W_OK) else Path("/tmp")
    return Path(os.environ.get("KERAS_HOME") or home / ".keras") / "keras.json"
