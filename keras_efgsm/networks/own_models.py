"""A user's own classifier, from a `.keras` file or a Python function."""

import importlib
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras

from keras_efgsm.archives import check_archive
from keras_efgsm.limits import TooLarge
from keras_efgsm.networks.random_barrage import RandomBarrage

# A layer of this package, which a file may name: Keras knows it from here on.
_OWN_LAYERS = (RandomBarrage,)


def read_keras_file(path: str | os.PathLike[str]) -> keras.Model:
    """Loads a model from a `.keras` file, without code that is stored in it.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged, or holds a custom object that was not imported.

    Example:

    ```python
    model = read_keras_file("classifier.keras")
    ```
    """
    received = f"Received: path={str(path)!r}"
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no `.keras` file here. {received}")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"The `.keras` file is damaged: it is no zip archive. {received}")
    try:
        with zipfile.ZipFile(path) as archive:
            check_archive(archive, Path(path).stat().st_size, f"path={str(path)!r}")
            # Keras reads parts of some members, and leaves others: none is checked whole by it.
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"{damaged!r} is not as it was written")
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except TooLarge:
        raise
    # Keras lets through whatever the archive, h5py or a layer's constructor raises.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            "The `.keras` file cannot be loaded: it is damaged, or holds a custom object that was "
            f"not imported. {type(error).__name__}: {reason} {received}"
        ) from error


def from_file(path: str) -> keras.Model:
    """The classifier in a `.keras` file; of a training wrapper, the classifier that it trains.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it cannot be loaded.
    """
    model = read_keras_file(path)
    inner = getattr(model, "classifier", None)
    return inner if isinstance(inner, keras.Model) else model


def from_function(spec: str, image_shape: tuple[int, int, int], num_classes: int) -> Any:
    """The classifier that a user's function makes; modules of the working directory are found, too.

    Args:
        spec: `package.module:function`.
        image_shape: `(H, W, C)`, its first argument.
        num_classes: number of classes K, its second argument.

    Raises:
        ValueError: if there is no such module or function. What the function itself raises goes
            through.
    """
    module_name, _, names = spec.partition(":")
    received = f"Received: classifier={spec!r}"
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ValueError(
            f"There is no module {error.name!r}, here or among the installed packages. {received}"
        ) from error
    finally:
        sys.path.remove(os.getcwd())
    for name in names.split("."):
        if not hasattr(found, name):
            raise ValueError(f"{module_name!r} has no function {names!r}. {received}")
        found = getattr(found, name)
    if not callable(found):
        raise ValueError(
            f"{names!r} of {module_name!r} must be a function of image_shape and num_classes. "
            f"{received}"
        )
    return found(image_shape, num_classes)
