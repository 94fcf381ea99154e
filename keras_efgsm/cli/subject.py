"""What a command measures: a classifier, the images it is tried on, and the radius."""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

from keras_efgsm.checks import check_epsilon
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.runs.folder import RunFolder


class Subject(NamedTuple):
    """A classifier and what it is measured with.

    Attributes:
        model: the `EvaluatedModel`.
        config: the run's configuration; None for a model that is no run folder.
        epsilon: L-infinity radius in pixels of [0, 1].
        dataset: name of the data set.
        split: which part of it.
        data_dir: where prepared data sets lie, or None.
    """

    model: Any
    config: TrainingConfig | None
    epsilon: float
    dataset: str
    split: str
    data_dir: str | None

    def load_data(self) -> Any:
        """The images and labels."""
        from keras_efgsm.data import load_data

        return load_data(self.dataset, self.split, self.data_dir)


def add_subject(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that `read_subject` reads."""
    parser.add_argument("path")
    parser.add_argument("--dataset", help="as for train; default: that of the run")
    parser.add_argument("--data-dir", help="where prepared tfds data sets lie")
    parser.add_argument("--split", default="test")
    parser.add_argument("--epsilon", type=float, help="default: that of the run")


def read_subject(options: argparse.Namespace) -> Subject:
    """Loads the classifier; what was not given is that of the run.

    Raises:
        FileNotFoundError: if there is no model.
        ValueError: if it cannot be measured, or something is neither given nor known.
    """
    from keras_efgsm.evaluation import load_classifier

    path = Path(options.path)
    # First, so that a missing path is what is complained of.
    model = load_classifier(path)
    folder = RunFolder(path)
    config = folder.read_config() if folder.config.exists() else None

    def given(name: str) -> Any:
        value = getattr(options, name)
        if value is None and config is None:
            raise ValueError(
                f"`--{name}` must be given for a model that is no run folder. "
                f"Received: {name}=None, path={options.path!r}"
            )
        return getattr(config, name) if value is None else value

    return Subject(
        model,
        config,
        dataset=given("dataset"),
        epsilon=check_epsilon(given("epsilon")),
        split=options.split,
        data_dir=options.data_dir or (config.data_dir if config else None),
    )


def target_file(name: str, given: str | None, default: Path | None) -> Path | None:
    """Where a result goes; refused before the attacks, which take minutes.

    Raises:
        ValueError: if it is a folder or lies in none.
    """
    path = Path(given) if given else default
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise ValueError(
            f"`--{name}` must be a file in a folder that exists. Received: {name}={str(path)!r}"
        )
    return path
