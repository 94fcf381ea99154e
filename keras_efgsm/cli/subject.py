"""The subject of a measurement: a classifier, images and a radius."""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

from keras_efgsm.atomic_file import try_to_write
from keras_efgsm.checks import NORMS, check_epsilon
from keras_efgsm.cli.trust import say_without_digests
from keras_efgsm.cli.values import number, numbers
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records.wording import norm_name
from keras_efgsm.runs.folder import RunFolder


class Subject(NamedTuple):
    """A classifier and what it is measured with.

    Attributes:
        model: the `EvaluatedModel`.
        config: the run's configuration; None for a model that is no run folder.
        epsilon: radius of the ball in pixels of [0, 1]; the largest of several.
        dataset: name of the data set.
        split: which part of it.
        data_dir: where prepared data sets lie, or None.
        image_size: to which images are resized, or None.
        channels: to which they are brought, or None.
        seed: that test images are drawn with, where the data set has none.
        folder: of the run; None for a model that is no run folder.
        norm: of the ball, see `checks.NORMS`.
        epsilons: all radii above 0 that were given, rising.
    """

    model: Any
    config: TrainingConfig | None
    epsilon: float
    dataset: str
    split: str
    data_dir: str | None
    image_size: tuple[int, int] | None = None
    channels: int | None = None
    seed: int = 0
    folder: RunFolder | None = None
    norm: str = "linf"
    epsilons: tuple[float, ...] = ()

    @property
    def is_other_norm(self) -> bool:
        """Whether the ball is of another norm than that of the run's training."""
        return self.config is not None and self.norm != self.config.norm

    def file_of(self, path: Path) -> Path:
        """Where a result of a run goes: what was measured in another norm lies beside its own.

        Args:
            path: where that of the training's norm goes, such as `evaluation.json`.
        """
        return RunFolder.of_norm(path, self.norm) if self.is_other_norm else path

    def load_data(self) -> Any:
        """The images and labels.

        Raises:
            ValueError: if they cannot be read, or the classifier takes others or has their classes
                in another order.
        """
        from keras_efgsm.data import load_data

        data = load_data(
            self.dataset,
            self.split,
            data_dir=self.data_dir,
            image_size=self.image_size,
            channels=self.channels,
            seed=self.seed,
        )
        check_images_fit(data, self.model.image_shape)
        if self.folder is not None and self.config is not None:
            from keras_efgsm.runs.same_data import changed_since, check_classes

            check_classes(self.folder, data)
            if self.dataset == self.config.dataset:
                changed = changed_since(self.folder, data, self.split)
                if changed:
                    print(f"warning: {changed}", flush=True)
        return data


def check_images_fit(data: Any, image_shape: tuple[int, ...]) -> None:
    """Checks that images have the shape that a classifier takes.

    Raises:
        ValueError: if they have not; it names the options that resize them.
    """
    from keras_efgsm.recipes.building import size_options

    if tuple(data.image_shape) != tuple(image_shape):
        raise ValueError(
            f"The classifier takes images of shape {tuple(image_shape)}; "
            f"{size_options(image_shape)} brings them to it. "
            f"Received: dataset={data.name!r} with images of shape {tuple(data.image_shape)}"
        )


def add_subject(parser: argparse.ArgumentParser, *, several_epsilons: bool = False) -> None:
    """Adds the arguments that `read_subject` reads.

    Args:
        parser: takes them.
        several_epsilons: whether several radii may be given. Defaults to `False`.
    """
    parser.add_argument("path")
    add_model_options(parser)
    add_images(parser)
    parser.add_argument("--split", default="test")
    several = ", or 0,2/255,4/255,8/255 for a curve" if several_epsilons else ""
    parser.add_argument(
        "--epsilon",
        type=numbers if several_epsilons else number,
        help=f"such as 8/255{several}; default: that of the run",
    )
    add_norm(parser)


def add_norm(parser: Any, default: str = "that of the run, else linf") -> None:
    """Adds the option that says by which norm `--epsilon` is measured."""
    parser.add_argument(
        "--norm",
        choices=NORMS,
        help="of the ball: linf, the largest change of a pixel, or l2, the Euclidean length of the "
        f"change of all pixels of [0, 1]; default: {default}",
    )


def add_model_options(parser: Any) -> None:
    """Adds the options that `model_options` reads: what a model returns, whether to trust it."""
    parser.add_argument(
        "--output",
        choices=("auto", "logits", "probabilities"),
        default="auto",
        help="what the model returns: probabilities have their softmax or sigmoid taken off; "
        "logits are taken whatever they look like; default auto: logits, and what looks like "
        "probabilities is refused",
    )
    parser.add_argument(
        "--output-name",
        metavar="NAME",
        help="of several outputs the one that holds the logits; default: the one named logits",
    )
    parser.add_argument(
        "--unsafe",
        action="store_true",
        help="run the code that a .keras or .h5 file stores in Lambda layers, with your rights: "
        "only if you trust whoever made it",
    )


def model_options(options: argparse.Namespace) -> dict[str, Any]:
    """What `load_classifier` is told of a model, as it was given."""
    names = ("output", "output_name", "unsafe")
    return {name: getattr(options, name) for name in names}


def load_other(path: str | Path, options: argparse.Namespace) -> Any:
    """Another model of the same command: of logits, or of what the options say.

    Args:
        path: where it lies.
        options: with those of `add_model_options`.

    Raises:
        FileNotFoundError: if there is no model.
        ValueError: if it cannot be measured.
    """
    from keras_efgsm.evaluation import load_classifier

    said = model_options(options)
    try:
        return load_classifier(path, unsafe=options.unsafe)
    except ValueError:
        if said["output"] == "auto" and said["output_name"] is None:
            raise
        return load_classifier(path, **said)


def add_images(parser: Any) -> None:
    """Adds the options that say which images, and how large; as `train` has them."""
    parser.add_argument("--dataset", help="as for train; default: that of the run")
    parser.add_argument("--data-dir", help="where prepared tfds data sets lie")
    parser.add_argument(
        "--image-size",
        nargs=2,
        type=int,
        metavar=("H", "W"),
        help="resize the images; default: as the run did",
    )
    parser.add_argument(
        "--channels", type=int, choices=(1, 3, 4), help="default: as the run had them"
    )


def read_subject(options: argparse.Namespace) -> Subject:
    """Loads the classifier; what was not given is that of the run.

    Raises:
        FileNotFoundError: if there is no model.
        ValueError: if it cannot be measured, or something is neither given nor known.
    """
    from keras_efgsm.evaluation import load_classifier

    path = Path(options.path)
    # First, so that a missing path is what is complained of.
    model = load_classifier(path, **model_options(options))
    say_without_digests(path)
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

    dataset, norm = given("dataset"), chosen_norm(options, config)
    epsilons = _epsilons(given("epsilon"), norm)
    return Subject(
        model,
        config,
        dataset=dataset,
        epsilon=epsilons[-1],
        epsilons=epsilons,
        norm=norm,
        split=options.split,
        folder=folder if config is not None else None,
        **image_options(options, config),
    )


def chosen_norm(options: argparse.Namespace, config: TrainingConfig | None) -> str:
    """The norm as given, else that of the run.

    Raises:
        ValueError: if it is another than that of the run, and no epsilon is given: a radius of one
            norm means nothing in the other.
    """
    own = "linf" if config is None else config.norm
    norm: str = options.norm or own
    if norm != own and options.epsilon is None:
        raise ValueError(
            f"`--epsilon` must be given with `--norm {norm}`, as that of the run is a radius of "
            f"{norm_name(own)}. Received: epsilon=None, norm={norm!r}"
        )
    return norm


def _epsilons(value: float | tuple[float, ...], norm: str) -> tuple[float, ...]:
    """The radii above 0, rising: at radius 0 there are the clean images, measured anyhow."""
    several = value if isinstance(value, tuple) else (value,)
    # A single 0 is refused as such.
    given = [epsilon for epsilon in several if epsilon or len(several) == 1]
    above = sorted({check_epsilon(epsilon, norm=norm) for epsilon in given})
    if not above:
        raise ValueError(f"`--epsilon` must hold a radius above 0. Received: epsilon={value}")
    return tuple(above)


def image_options(options: argparse.Namespace, config: TrainingConfig | None) -> dict[str, Any]:
    """Where the images lie and how they are brought to size: as given, else as the run did."""
    size = options.image_size or (config.image_size if config else None)
    return {
        "data_dir": options.data_dir or (config.data_dir if config else None),
        "image_size": tuple(size) if size else None,
        "channels": options.channels or (config.channels if config else None),
        "seed": config.seed if config else 0,
    }


def target_file(name: str, given: str | None, default: Path | None) -> Path | None:
    """Where a result goes; refused before the attacks, which take minutes.

    Raises:
        ValueError: if it is a folder or lies in none.
        PermissionError: if it cannot be written.
    """
    path = Path(given) if given else default
    if path is not None:
        try_to_write(path, f"--{name}")
    return path
