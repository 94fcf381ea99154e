"""Everything a training run depends on, as one value that is written beside its result."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from keras_efgsm.checks import check_number
from keras_efgsm.recipes.config_checks import (
    check_activation,
    check_classifier,
    check_image_shape,
    check_together,
)
from keras_efgsm.recipes.how_to_train import HowToTrain
from keras_efgsm.recipes.methods import compose_name, find_method, parts_of_name
from keras_efgsm.recipes.option import (
    check_fields,
    count,
    one_of,
    option,
    text,
    with_documented_fields,
)
from keras_efgsm.recipes.parts import find_part
from keras_efgsm.records.wording import norm_name

if TYPE_CHECKING:
    from keras_efgsm.attacks import Attack
    from keras_efgsm.objectives import Objective
    from keras_efgsm.sample_memory import Augmentation


def _radius(value: Any, name: str) -> Any:
    # What is too large for its norm is told by `check_together`, which knows that.
    check_number(value, name, minimum=0.0, strict=True)
    return value


@with_documented_fields
@dataclasses.dataclass(frozen=True)
class TrainingConfig(HowToTrain):
    """Options of a training run; the same values on the same machine give the same classifier.

    Args:
        {fields}

    Raises:
        ValueError: if an option is out of range or unknown.

    Example:

    ```python
    config = dataclasses.replace(PRESETS["mnist"], epochs=10)
    ```
    """

    dataset: str = option(
        "data",
        "'digits', a folder with a sub-folder of images for each class, an .npz file, or the name "
        "of a tfds data set",
        metavar="DATA",
    )
    classifier: str = option(
        "network",
        "name of a network, a .keras file, package.module:function, or keras.applications:NAME",
        check=check_classifier,
        metavar="NETWORK",
    )
    reconstructor: str | None = option(
        "network",
        "name of the re-constructor, for methods that train one; none for the others",
        check=one_of("keras_efgsm.networks:RECONSTRUCTORS"),
        metavar="NETWORK",
    )
    epsilon: float = option(
        "method",
        "radius in pixels of [0, 1]: the most that an attack may change a pixel by, such as 8/255; "
        "in L2, which PGD may train, the length of its change",
        check=_radius,
        metavar="RADIUS",
    )
    data_dir: str | None = option(
        "data",
        "where prepared tfds data sets lie; None for TFDS_DATA_DIR, else tfds' own folder",
        None,
        metavar="FOLDER",
        place=True,
    )
    method: str = option(
        "method",
        "name of a method, see `keras-efgsm methods`, or ATTACK+OBJECTIVE",
        "combined",
        metavar="METHOD",
    )
    method_options: dict[str, Any] = option(  # noqa: RUF009 (a field, whose default is a factory)
        "method",
        "options of the method; those not given are filled in",
        factory=dict,
        flag=False,
    )
    label_smoothing: float | None = option(
        "method",
        "share of each label spread evenly over the classes; None for that of the method",
        None,
    )
    train_images: int | None = option(
        "data",
        "trains on so many images, the same share of each class, drawn with the seed; None for all",
        None,
        check=count(),
    )
    activation: str = option(
        "network",
        "nonlinearity of the classifier, by its name in keras.activations; a smooth one such as "
        "silu has a smoother loss",
        "relu",
        check=check_activation,
    )
    crop_padding: int = option(
        "data",
        "black pixels around each image before a window of its size is cut out at random",
        0,
        check=count(0),
    )
    flip: bool = option("data", "mirror images at random", False)
    cutout: int = option(
        "data",
        "side in pixels of a grey square put into each image at random; 0 for none",
        0,
        check=count(0),
    )
    image_size: tuple[int, int] | None = option(
        "data",
        "resize every image to this height and width; None for the size that they have",
        None,
        check=check_image_shape,
        metavar=("H", "W"),
    )
    channels: int | None = option(
        "data",
        "1 for grey, 3 for colour, 4 with alpha; None for what the images have",
        None,
        check=one_of(1, 3, 4),
    )
    freeze_until: str | None = option(
        "network",
        "name of the last layer of the classifier that is not trained; None to train all",
        None,
        check=text("the name of a layer, or None"),
        metavar="LAYER",
    )
    attack: str | None = option(
        "method",
        "what makes the training images, in place of that of the method: a name, or "
        "package.module:Class",
        None,
        metavar="ATTACK",
    )
    objective: str | None = option(
        "method",
        "what is minimised, in place of that of the method: a name, or package.module:Class",
        None,
        metavar="OBJECTIVE",
    )

    def __post_init__(self) -> None:
        self._set_parts()
        method = find_method(self.method)
        check_fields(self)
        object.__setattr__(self, "method_options", method.complete(self.method_options))
        if self.label_smoothing is None:
            object.__setattr__(self, "label_smoothing", method.label_smoothing)
        check_together(self)

    def _set_parts(self) -> None:
        """Makes the method of a given attack or objective their pair, and names both of a pair."""
        attack, objective = parts_of_name(self.method)
        is_pair = "+" in self.method
        if self.attack or self.objective or is_pair:
            parts = self.attack or attack, self.objective or objective
            for name, value in zip(("attack", "objective"), parts, strict=True):
                object.__setattr__(self, name, value)
            object.__setattr__(self, "method", compose_name(*parts))

    def make_attack(self) -> "Attack":
        """The attack of the training."""
        radius = self.epsilon * self.epsilon_factor
        return find_method(self.method).attack(radius, self.method_options)

    @property
    def norm(self) -> str:
        """The norm of the ball that the training attacks in, see `checks.NORMS`."""
        return self.make_attack().norm

    @property
    def epsilon_in_words(self) -> str:
        """Its radius, with the norm if that is not L-infinity, such as `"2 (L2)"`."""
        of = "" if self.norm == "linf" else f" ({norm_name(self.norm)})"
        return f"{self.epsilon:g}{of}"

    def method_option(self, name: str) -> Any:
        """An option of the method; in place of None, what follows from epsilon.

        Args:
            name: its name in `method_options`.
        """
        value = self.method_options[name]
        return getattr(self.make_attack(), name) if value is None else value

    def make_objective(self) -> "Objective":
        """What the training minimises."""
        assert self.label_smoothing is not None  # that of the method, since `__post_init__`
        return find_method(self.method).objective(self.label_smoothing, self.method_options)

    def augmentation(self) -> "Augmentation | None":
        """The random views of the training images; None where all of them are off."""
        from keras_efgsm.sample_memory.augmentation import Augmentation

        if not (self.crop_padding or self.flip or self.cutout):
            return None
        return Augmentation(
            padding=self.crop_padding,
            flip=self.flip,
            cutout=self.cutout,
            aligned=self.align_momentum,
        )

    def with_method(self, method: str, **options: Any) -> "TrainingConfig":
        """The same run with another method, at that method's own options and label smoothing.

        A reset of the momentum and a warm-up of the regulariser stay where the method has these.

        Args:
            method: name in `keras_efgsm.recipes.METHODS`, or `"ATTACK+OBJECTIVE"`.
            **options: options of that method.
        """
        return dataclasses.replace(self, **self.method_changes(method, options))

    def method_changes(self, method: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """What another method changes, see `with_method`.

        Raises:
            ValueError: if there is no such method, or it has no such option.
        """
        other = find_method(method)
        complete = other.complete(options)
        has_momentum = other.attack(self.epsilon, complete).uses_momentum
        has_regularizer = other.objective(0.0, complete).regularizer_weight is not None
        return {
            "method": method,
            "attack": None,
            "objective": None,
            "method_options": complete,
            "label_smoothing": None,
            "momentum_reset_epochs": self.momentum_reset_epochs if has_momentum else 0,
            "regularizer_warmup_epochs": self.regularizer_warmup_epochs if has_regularizer else 0.0,
        }

    def part_changes(
        self, attack: str | None, objective: str | None, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What another attack or objective changes: the options of the other part stay.

        Args:
            attack: its name, None for that of now.
            objective: likewise; with another the label smoothing is its own default.
            options: options of the pair.

        Raises:
            ValueError: if there is no such part, or no such option.
        """
        now = parts_of_name(self.method)
        pair = attack or now[0], objective or now[1]
        kept: set[str] = set()
        for given, name, what in zip(
            (attack, objective), now, ("attack", "objective"), strict=True
        ):
            if given in (None, name):
                kept |= set(find_part(name, what).arguments())
        name = compose_name(*pair)
        known = find_method(name).options
        own = {k: v for k, v in self.method_options.items() if k in kept and k in known}
        changes = self.method_changes(name, {**own, **options})
        if pair[1] == now[1]:
            changes["label_smoothing"] = self.label_smoothing
        return changes

    def to_dict(self) -> dict[str, Any]:
        """The options as plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainingConfig":
        """Reads what `to_dict` wrote, now or in an earlier version, which had fewer options.

        Raises:
            ValueError: if an option is unknown or missing.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        required = {"dataset", "classifier", "reconstructor", "epsilon", "method"}
        if not required <= set(values) <= known:
            raise ValueError(
                f"A training configuration must have {sorted(required)} and no options but "
                f"{sorted(known)}. Received: options={sorted(values)}"
            )
        return cls(**values)
