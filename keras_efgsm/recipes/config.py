"""Everything a training run depends on, as one value that is written beside its result."""

import dataclasses
from typing import Any

import keras

from keras_efgsm.attacks import Attack
from keras_efgsm.checks import check_choice, check_count, check_epsilon, check_number
from keras_efgsm.networks import CLASSIFIERS, RECONSTRUCTORS
from keras_efgsm.networks.precision import AUTOMATIC, DTYPE_POLICIES
from keras_efgsm.objectives import Objective
from keras_efgsm.recipes.methods import find_method
from keras_efgsm.sample_memory.augmentation import Augmentation
from keras_efgsm.sample_memory.momentum import STORAGE_DTYPES, STORAGES

OPTIMIZERS = ("adam", "sgd")
SCHEDULES = ("cosine", "one-cycle", "piecewise")


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
        method: name in `keras_efgsm.recipes.METHODS`. Defaults to `"combined"`, the paper's
            method: eFGSM with a re-constructor.
        method_options: options of that method, see there; those not given are filled in. Defaults
            to none given.
        momentum_dtype: storage of the momentum. Defaults to `"int8"`.
        momentum_storage: `"memory"`, or `"disk"` where the momentum does not fit. Defaults to
            `"memory"`.
        momentum_directory: folder of the store on disk. Defaults to `/var/tmp`.
        label_smoothing: share of each label spread over the classes. Defaults to that of the
            method.
        epochs: passes over the training data. Defaults to 30.
        train_images: trains on so many images, the same share of each class, drawn with the seed;
            None for all. Defaults to all.
        batch_size: images per step. Defaults to 128.
        activation: nonlinearity of the classifier, by its name in `keras.activations`; a smooth
            one such as `"silu"` has a smoother loss. Defaults to `"relu"`.
        optimizer: `"adam"`, or `"sgd"` with Nesterov momentum. Defaults to `"adam"`.
        optimizer_momentum: momentum of SGD. Defaults to `0.9`.
        weight_decay: of all trainable weights: with SGD it is L2 regularisation, what 5e-4 in the
            literature on CIFAR means, see `L2SGD`; with Adam it is decoupled, as in AdamW.
            Defaults to `0.0`.
        learning_rate: the schedule's peak. Defaults to `2e-3`.
        schedule: how the learning rate changes with each update: `"cosine"`, to zero;
            `"one-cycle"`, linearly up and down, see `OneCycle`; `"piecewise"`, a tenth after half
            of the training and a hundredth after three quarters. Defaults to `"cosine"`.
        warmup_epochs: linear rise of the learning rate from zero before the cosine. Defaults to
            `0.5`.
        peak_share: share of the training after which `"one-cycle"` is at its peak. Defaults to
            `0.4`.
        crop_padding: black pixels around each image before a window of its size is cut out at
            random. Defaults to 0.
        flip: whether images are mirrored at random. Defaults to `False`.
        cutout: side in pixels of a grey square put into each image at random. Defaults to 0, none.
        align_momentum: whether the momentum is seen through the same crop and flip as its image,
            see `Augmentation`; False is for comparison. Defaults to `True`.
        momentum_reset_epochs: epochs after which the momentum is set to zero, again and again; 0
            for never. Defaults to 0.
        attack_in_training_mode: whether the attack sees batch norm as the update does, by the
            statistics of the batch; `False` for evaluation mode. Defaults to `True`.
        epsilon_warmup_epochs: linear rise of epsilon from zero. Defaults to `0.0`.
        regularizer_warmup_epochs: linear rise of the weight of the objective's regulariser, of
            consistency say, from zero. Defaults to `0.0`.
        epsilon_factor: radius of the ball that the training attacks in, over `epsilon`, for which
            the classifier is meant; a little more than 1 makes up for what one step does not find.
            Defaults to `1.0`.
        weight_averaging: momentum of the running average of the weights; 0 for none. Defaults to
            `0.999`.
        overfitting_stop: whether to end training when it overfits to its own attack. Defaults to
            `True`.
        keep_best: whether the weights that are kept are those of the epoch with the best probe;
            otherwise those of the last, unless the probe ended well below its best. Defaults to
            `False`.
        probe_images: how many training images, at most a tenth, are held out for the PGD probe
            that confirms the stop; 0 to stop by the margins alone. Defaults to 256.
        dtype_policy: what the networks compute in: `"float32"`, `"mixed_bfloat16"` or
            `"mixed_float16"`; weights, margins, losses and momentum stay float32. `"auto"` is
            measured once, before training, and what it chose stands in the run's configuration.
            Defaults to `"float32"`.
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
    momentum_storage: str = "memory"
    momentum_directory: str | None = None
    label_smoothing: float | None = None
    epochs: int = 30
    train_images: int | None = None
    batch_size: int = 128
    activation: str = "relu"
    optimizer: str = "adam"
    optimizer_momentum: float = 0.9
    weight_decay: float = 0.0
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    warmup_epochs: float = 0.5
    peak_share: float = 0.4
    crop_padding: int = 0
    flip: bool = False
    cutout: int = 0
    align_momentum: bool = True
    momentum_reset_epochs: int = 0
    attack_in_training_mode: bool = True
    epsilon_warmup_epochs: float = 0.0
    regularizer_warmup_epochs: float = 0.0
    epsilon_factor: float = 1.0
    weight_averaging: float = 0.999
    overfitting_stop: bool = True
    keep_best: bool = False
    probe_images: int = 256
    dtype_policy: str = "float32"
    seed: int = 0

    def __post_init__(self):
        check_choice(self.classifier, "classifier", tuple(CLASSIFIERS))
        check_choice(self.reconstructor, "reconstructor", (None, *RECONSTRUCTORS))
        check_epsilon(self.epsilon)
        check_choice(self.momentum_dtype, "momentum_dtype", STORAGE_DTYPES)
        check_choice(self.momentum_storage, "momentum_storage", STORAGES)
        if not isinstance(self.momentum_directory, (str, type(None))):
            raise ValueError(
                "`momentum_directory` must be the path of a folder as text, or None. "
                f"Received: momentum_directory={self.momentum_directory!r}"
            )
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
        if self.train_images is not None:
            check_count(self.train_images, "train_images")
        check_count(self.batch_size, "batch_size")
        _check_activation(self.activation)
        check_choice(self.optimizer, "optimizer", OPTIMIZERS)
        check_number(self.optimizer_momentum, "optimizer_momentum", minimum=0.0, maximum=0.9999)
        check_number(self.weight_decay, "weight_decay", minimum=0.0)
        check_choice(self.schedule, "schedule", SCHEDULES)
        check_number(self.learning_rate, "learning_rate", minimum=0.0, strict=True)
        check_number(self.warmup_epochs, "warmup_epochs", minimum=0.0)
        check_number(self.peak_share, "peak_share", minimum=0.0, maximum=1.0)
        for name in (
            "flip",
            "align_momentum",
            "attack_in_training_mode",
            "overfitting_stop",
            "keep_best",
        ):
            check_choice(getattr(self, name), name, (False, True))
        if self.keep_best and not (self.overfitting_stop and self.probe_images):
            raise ValueError(
                "`keep_best` needs the probe of the overfitting stop to tell which epoch is best. "
                f"Received: overfitting_stop={self.overfitting_stop}, "
                f"probe_images={self.probe_images}"
            )
        check_count(self.crop_padding, "crop_padding", minimum=0)
        check_count(self.cutout, "cutout", minimum=0)
        check_count(self.momentum_reset_epochs, "momentum_reset_epochs", minimum=0)
        check_number(self.epsilon_warmup_epochs, "epsilon_warmup_epochs", minimum=0.0)
        check_number(self.regularizer_warmup_epochs, "regularizer_warmup_epochs", minimum=0.0)
        check_number(self.epsilon_factor, "epsilon_factor", minimum=0.0, strict=True)
        if self.epsilon * self.epsilon_factor > 1.0:
            raise ValueError(
                "`epsilon_factor` must leave the ball of the training a radius of at most 1. "
                f"Received: epsilon_factor={self.epsilon_factor}, epsilon={self.epsilon}"
            )
        check_number(self.weight_averaging, "weight_averaging", minimum=0.0, maximum=0.99999)
        check_count(self.probe_images, "probe_images", minimum=0)
        check_choice(self.dtype_policy, "dtype_policy", (*DTYPE_POLICIES, AUTOMATIC))
        check_count(self.seed, "seed", minimum=0)
        # Their own checks, before any data is read.
        attack = self.attack()
        if self.momentum_reset_epochs and not attack.uses_momentum:
            raise ValueError(
                f"The method {self.method!r} keeps no momentum that could be reset. "
                f"Received: momentum_reset_epochs={self.momentum_reset_epochs}"
            )
        if self.objective().regularizer_weight is None and self.regularizer_warmup_epochs:
            raise ValueError(
                f"The objective of the method {self.method!r} has no regulariser that could be "
                "warmed up. "
                f"Received: regularizer_warmup_epochs={self.regularizer_warmup_epochs}"
            )

    def attack(self) -> Attack:
        """The attack of the training."""
        radius = self.epsilon * self.epsilon_factor
        return find_method(self.method).attack(radius, self.method_options)

    def objective(self) -> Objective:
        """What the training minimises."""
        return find_method(self.method).objective(self.label_smoothing, self.method_options)

    def augmentation(self) -> Augmentation | None:
        """The random views of the training images; None where all of them are off."""
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
            method: name in `keras_efgsm.recipes.methods.METHODS`.
            **options: options of that method.
        """
        other = find_method(method)
        complete = other.complete(options)
        has_momentum = other.attack(self.epsilon, complete).uses_momentum
        has_regularizer = other.objective(0.0, complete).regularizer_weight is not None
        return dataclasses.replace(
            self,
            method=method,
            method_options=options,
            label_smoothing=None,
            momentum_reset_epochs=self.momentum_reset_epochs if has_momentum else 0,
            regularizer_warmup_epochs=self.regularizer_warmup_epochs if has_regularizer else 0.0,
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


def _check_activation(name: str) -> None:
    try:
        if not isinstance(name, str):
            raise ValueError
        keras.activations.get(name)
    except ValueError as error:
        raise ValueError(
            "`activation` must be the name of an activation of Keras, such as 'relu', 'silu' or "
            f"'softplus'. Received: activation={name!r}"
        ) from error
