"""Everything a training run depends on, as one value that is written beside its result."""

import dataclasses
from typing import Any

from keras_efgsm.attacks import Attack
from keras_efgsm.checks import check_choice, check_count, check_epsilon, check_number
from keras_efgsm.methods import find_method
from keras_efgsm.momentum import STORAGE_DTYPES
from keras_efgsm.networks import CLASSIFIERS, RECONSTRUCTORS
from keras_efgsm.objectives import Objective
from keras_efgsm.precision import DTYPE_POLICIES


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Options of a training run; the same values on the same machine give the same classifier.

    Args:
        dataset: `"digits"`, the name of a tfds data set or a folder of class sub-folders.
        classifier: name in `keras_efgsm.networks.CLASSIFIERS`.
        reconstructor: name in `keras_efgsm.networks.RECONSTRUCTORS`, for methods that train one;
            None for none.
        epsilon: L-infinity radius in pixels of [0, 1].
        data_dir: where prepared tfds data sets lie. Defaults to the environment's
            `TFDS_DATA_DIR`, else to tfds' own folder.
        method: name in `keras_efgsm.methods.METHODS`. Defaults to `"combined"`, the paper's method:
            eFGSM with a re-constructor.
        method_options: options of that method, see there; those not given are filled in. Defaults
            to none given.
        momentum_dtype: storage of the momentum. Defaults to `"int8"`.
        label_smoothing: share of each label spread over the classes. Defaults to that of the
            method.
        epochs: passes over the training data. Defaults to 30.
        batch_size: images per step. Defaults to 128.
        learning_rate: peak of the cosine schedule of Adam. Defaults to `2e-3`.
        warmup_epochs: linear rise of the learning rate from zero. Defaults to `0.5`.
        epsilon_warmup_epochs: linear rise of epsilon from zero. Defaults to `0.0`.
        weight_averaging: momentum of the running average of the weights; 0 for none. Defaults to
            `0.999`.
        overfitting_stop: whether to end training when it overfits to its own attack. Defaults to
            `True`.
        probe_images: how many training images, at most a tenth, are held out for the PGD probe
            that confirms the stop; 0 to stop by the margins alone. Defaults to 256.
        dtype_policy: what the networks compute in: `"float32"`, `"mixed_bfloat16"` or
            `"mixed_float16"`; weights, margins, losses and momentum stay float32. Defaults to
            `"float32"`.
        seed: of weights, order and noise. Defaults to 0.

    Raises:
        ValueError: if an option is out of range or unknown.

    Example:

    ```python
    config = dataclasses.replace(PRESETS["mnist"], epochs=10)
    ```
    """

    dataset: str
    classifier: str
    reconstructor: str | None
    epsilon: float
    data_dir: str | None = None
    method: str = "combined"
    method_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    momentum_dtype: str = "int8"
    label_smoothing: float | None = None
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 2e-3
    warmup_epochs: float = 0.5
    epsilon_warmup_epochs: float = 0.0
    weight_averaging: float = 0.999
    overfitting_stop: bool = True
    probe_images: int = 256
    dtype_policy: str = "float32"
    seed: int = 0

    def __post_init__(self):
        check_choice(self.classifier, "classifier", tuple(CLASSIFIERS))
        check_choice(self.reconstructor, "reconstructor", (None, *RECONSTRUCTORS))
        check_epsilon(self.epsilon)
        check_choice(self.momentum_dtype, "momentum_dtype", STORAGE_DTYPES)
        method = find_method(self.method)
        object.__setattr__(self, "method_options", method.complete(self.method_options))
        if self.label_smoothing is None:
            object.__setattr__(self, "label_smoothing", method.label_smoothing)
        if method.has_reconstructor and self.reconstructor is None:
            raise ValueError(
                f"The method {self.method!r} trains a re-constructor and needs a network for it. "
                "Received: reconstructor=None"
            )
        check_count(self.epochs, "epochs")
        check_count(self.batch_size, "batch_size")
        check_number(self.learning_rate, "learning_rate", minimum=0.0, strict=True)
        check_number(self.warmup_epochs, "warmup_epochs", minimum=0.0)
        check_number(self.epsilon_warmup_epochs, "epsilon_warmup_epochs", minimum=0.0)
        check_number(self.weight_averaging, "weight_averaging", minimum=0.0, maximum=0.99999)
        check_count(self.probe_images, "probe_images", minimum=0)
        check_choice(self.dtype_policy, "dtype_policy", DTYPE_POLICIES)
        check_count(self.seed, "seed", minimum=0)
        # Their own checks, before any data is read.
        self.attack()
        self.objective()

    def attack(self) -> Attack:
        """The attack of the training."""
        return find_method(self.method).attack(self.epsilon, self.method_options)

    def objective(self) -> Objective:
        """What the training minimises."""
        return find_method(self.method).objective(self.label_smoothing, self.method_options)

    def with_method(self, method: str, **options: Any) -> "TrainingConfig":
        """The same run with another method, at that method's own options and label smoothing.

        Args:
            method: name in `keras_efgsm.methods.METHODS`.
            **options: options of that method.
        """
        return dataclasses.replace(
            self, method=method, method_options=options, label_smoothing=None
        )

    def to_dict(self) -> dict[str, Any]:
        """The options as plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainingConfig":
        """Reads what `to_dict` wrote.

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


PRESETS: dict[str, TrainingConfig] = {
    "digits": TrainingConfig(
        dataset="digits",
        classifier="digits",
        reconstructor="digits",
        epsilon=0.2,
        epochs=60,
        batch_size=64,
        weight_averaging=0.99,
    ),
    "mnist": TrainingConfig(
        dataset="mnist", classifier="mnist", reconstructor="mnist", epsilon=0.3, epochs=40
    ),
}
