"""A user's own classifier, from a `.keras` or `.h5` file or a Python function."""

import importlib
import os
import sys
import traceback
import zipfile
from pathlib import Path
from typing import Any

import keras

from keras_efgsm.archives import check_archive
from keras_efgsm.checks import first_words, raise_interrupt_behind
from keras_efgsm.limits import TooLarge
from keras_efgsm.networks.hdf5_files import check_hdf5_model
from keras_efgsm.networks.random_barrage import RandomBarrage

MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")
"""Endings of the files that hold a whole Keras model."""
# A layer of this package, which a file may name: Keras knows it from here on.
_OWN_LAYERS = (RandomBarrage,)


def read_keras_file(path: str | os.PathLike[str], *, unsafe: bool = False) -> keras.Model:
    """Loads a model from a `.keras` file, or an `.h5` file of a whole model.

    Args:
        path: of the file.
        unsafe: whether code that is stored in it, in a `Lambda` layer, may run. It runs with all
            rights of this process: only for files of someone you trust. Defaults to `False`, which
            refuses it.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged, or holds stored code, or a custom object that was not
            imported.

    Example:

    ```python
    model = read_keras_file("classifier.keras")
    ```
    """
    file = Path(path)
    received = f"Received: path={str(path)!r}"
    kind = file.suffix if file.suffix in MODEL_SUFFIXES else ".keras"
    if not file.is_file():
        raise FileNotFoundError(f"There is no `{kind}` file here. {received}")
    if kind == ".keras" and not zipfile.is_zipfile(path):
        raise ValueError(f"The `.keras` file is damaged: it is no zip archive. {received}")
    try:
        if kind == ".keras":
            _check_zip(file)
        else:
            check_hdf5_model(file)
        return keras.models.load_model(path, compile=False, safe_mode=not unsafe)
    except TooLarge:
        raise
    # Keras lets through whatever the archive, h5py or a layer's constructor raises.
    except Exception as error:
        reason = " ".join(str(error).split())
        if "safe_mode" in reason:
            raise ValueError(
                f"The `{kind}` file holds code, in a Lambda layer, which would run with your "
                "rights: if you trust whoever made it, `--unsafe` (in Python `unsafe=True`) runs "
                f"it. {received}"
            ) from error
        raise ValueError(
            f"The `{kind}` file cannot be loaded: it is damaged, or holds a custom object that was "
            f"not imported. {type(error).__name__}: {reason[:300]} {received}"
        ) from error


def _check_zip(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        check_archive(archive, file.stat().st_size, f"path={str(file)!r}")
        # Keras reads parts of some members, and leaves others: none is checked whole by it.
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"{damaged!r} is not as it was written")


def from_file(path: str | os.PathLike[str], *, unsafe: bool = False) -> keras.Model:
    """The classifier in a model file; of a training wrapper, the classifier that it trains.

    Args:
        path: of the file.
        unsafe: as of `read_keras_file`.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it cannot be loaded.
    """
    return trained_classifier(read_keras_file(path, unsafe=unsafe))


def trained_classifier(model: keras.Model) -> keras.Model:
    """The classifier of an `AdversarialTrainer`; any other model as it is.

    Args:
        model: any model; that it has an attribute `classifier`, as many have, says nothing.
    """
    is_trainer = any(base.__name__ == "AdversarialTrainer" for base in type(model).__mro__)
    inner: keras.Model = model.classifier if is_trainer else model
    return inner


def from_function(spec: str, image_shape: tuple[int, int, int], num_classes: int) -> Any:
    """The classifier that a user's function makes; modules of the working directory are found, too.

    Args:
        spec: `package.module:function`.
        image_shape: `(H, W, C)`, its first argument.
        num_classes: number of classes K, its second argument.

    Raises:
        ValueError: if there is no such module or function. Also if the function raises
            anything; that is the cause of the error.
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
    try:
        return found(image_shape, num_classes)
    except MemoryError:
        raise
    # It is the user's own, and may raise anything.
    except Exception as error:
        raise_interrupt_behind(error)
        # The first frame is this one.
        inside = traceback.extract_tb(error.__traceback__)[1:]
        where = f" in line {inside[0].lineno} of {inside[0].filename}" if inside else ""
        raise ValueError(
            f"`{names}` of `{module_name}` must make a model when it is called with "
            f"image_shape={image_shape}, num_classes={num_classes}, but raised "
            f"{type(error).__name__}{where}: {first_words(error)}. {received}"
        ) from error
