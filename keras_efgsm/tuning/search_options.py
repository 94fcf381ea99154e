"""Everything that the trials of a search depend on, as one value that is written beside them."""

from dataclasses import asdict, dataclass
from typing import Any

from keras_efgsm.attacks import Attack
from keras_efgsm.checks import check_choice, check_count, check_seed
from keras_efgsm.data import ImageData
from keras_efgsm.evaluation import ATTACK_SETS, make_attacks
from keras_efgsm.recipes.building import load_training_data
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.tuning.search_space import Range, make_ranges

TUNERS = ("random", "bayesian", "hyperband")
"""How the next trial is chosen, as keras-tuner has it."""


@dataclass(frozen=True)
class SearchOptions:
    """What is searched, how, and by which measurement.

    Args:
        config: the run whose hyperparameters are searched; its own values of them are the first
            trial.
        ranges: range by name of the hyperparameter, see `make_ranges`.
        tuner: `"random"`, `"bayesian"` or `"hyperband"`. Defaults to `"bayesian"`.
        trials: how many are tried; Hyperband counts its own. Defaults to 20.
        epochs: of a trial; of Hyperband's longest ones. Defaults to a fifth of the run's.
        factor: of Hyperband, by how much it shortens and thins out. Defaults to 3.
        train_images: how many are trained on. Defaults to all that validation leaves.
        validation_images: how many images of the train split are held out and attacked. Defaults
            to 1,000, at most a fifth of the split.
        attacks: what they are attacked with, see `make_attacks`. Defaults to `"quick"`, targeted
            APGD and Square, as Square turns images on which gradients mislead.
        attack_options: `steps`, `step_size`, `targets`, `queries` as of `make_attacks`. Defaults
            to none.
        seed: of the held-out images, the search, the trainings and the attack. Defaults to 0.

    Raises:
        ValueError: if an option is unknown or out of range.

    Example:

    ```python
    config = PRESETS["mnist-joint"]
    options = SearchOptions(config, make_ranges(config, ["lambda", "sigma"]), trials=30)
    ```
    """

    config: TrainingConfig
    ranges: dict[str, Range]
    tuner: str = "bayesian"
    trials: int | None = None
    epochs: int | None = None
    factor: int = 3
    train_images: int | None = None
    validation_images: int | None = None
    attacks: str = "quick"
    attack_options: dict[str, Any] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        make_ranges(self.config, self.ranges, self.ranges)
        check_choice(self.tuner, "tuner", TUNERS)
        if self.tuner == "hyperband" and self.trials is not None:
            raise ValueError(
                "`trials` is not for hyperband, which counts its own from `epochs` and `factor`. "
                f"Received: trials={self.trials}"
            )
        if self.trials is None and self.tuner != "hyperband":
            object.__setattr__(self, "trials", 20)
        if self.epochs is None:
            object.__setattr__(self, "epochs", max(1, round(self.config.epochs / 5)))
        object.__setattr__(self, "attack_options", dict(self.attack_options or {}))
        check_count(self.factor, "factor", minimum=2)
        check_count(self.epochs, "epochs")
        check_seed(self.seed)
        for name in ("trials", "train_images", "validation_images"):
            if getattr(self, name) is not None:
                check_count(getattr(self, name), name)
        self.make_attacks()

    def make_attacks(self) -> list[Attack]:
        """The attacks that measure a trial."""
        return make_attacks(
            self.attacks,
            self.config.epsilon,
            norm=self.config.norm,
            **(self.attack_options or {}),
        )

    @property
    def trial_epochs(self) -> int:
        """`epochs`, chosen where they were not given."""
        assert self.epochs is not None  # since `__post_init__`
        return self.epochs

    @property
    def cascade(self) -> bool:
        """Whether each attack sees only what withstood those before; the worst case is the same."""
        return self.attacks in ATTACK_SETS or "," in self.attacks

    def load_data(self) -> tuple[ImageData, ImageData]:
        """Images to train on and to validate with, both of the train split, none of them shared.

        Raises:
            ValueError: if there are not so many.
        """
        data = load_training_data(self.config, "train")
        wanted = self.validation_images or min(1000, len(data) // 5)
        if wanted > len(data) // 2:
            raise ValueError(
                f"`validation_images` must be at most half of the {len(data)} images of the train "
                f"split. Received: validation_images={wanted}"
            )
        train, validation = data.split(wanted / len(data), seed=self.seed)
        if self.train_images is None or self.train_images == len(train):
            return train, validation
        if self.train_images > len(train):
            raise ValueError(
                f"`train_images` must be at most {len(train)}, what validation leaves. "
                f"Received: train_images={self.train_images}"
            )
        return train.split(self.train_images / len(train), seed=self.seed)[1], validation

    def to_dict(self) -> dict[str, Any]:
        """The options as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SearchOptions":
        """Reads what `to_dict` wrote.

        Raises:
            ValueError: if an option is unknown or out of range.
        """
        values = dict(values)
        try:
            values["config"] = TrainingConfig.from_dict(values["config"])
            values["ranges"] = {name: Range(**ends) for name, ends in values["ranges"].items()}
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"The options of a search must be those of `SearchOptions` ({error}). "
                f"Received: options={sorted(values)}"
            ) from error
