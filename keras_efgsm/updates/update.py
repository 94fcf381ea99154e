"""The base of update strategies, and the training step as they see it."""

from abc import ABC, abstractmethod
from typing import Any, Protocol

from keras_efgsm.attacks import Attack, Perturbed
from keras_efgsm.noise import Noise
from keras_efgsm.objectives import Objective, ObjectiveResult
from keras_efgsm.sample_memory.batch import TrainingBatch
from keras_efgsm.sample_memory.memory import SampleMemory
from keras_efgsm.typing import Tensor


class Step(Protocol):
    """What a strategy has at hand in a training step; `trainer.TrainingStep` is one.

    Attributes:
        objective: what is minimised.
        samples: what is kept for each sample.
        split: the classifier in two parts, `first` and `rest`, for a strategy that
            `splits_classifier`; None otherwise.
    """

    @property
    def objective(self) -> Objective: ...
    @property
    def samples(self) -> SampleMemory: ...
    @property
    def split(self) -> Any: ...

    def attack_now(self) -> Attack:
        """The attack, on a smaller ball while epsilon is being warmed up."""
        ...

    def noise(self, batch: TrainingBatch) -> Noise:
        """Noise of the samples of a batch at this update."""
        ...

    def perturb(self, batch: TrainingBatch) -> Perturbed:
        """Adversarial examples of a batch; keeps the momentum that they leave."""
        ...

    def gradients_on(
        self,
        batch: TrainingBatch,
        perturbed: Perturbed,
        *,
        of_images: bool = True,
        at_first_layer: bool = False,
    ) -> tuple[ObjectiveResult, list[Tensor], Tensor | None]:
        """The objective on perturbed images and its gradients, from one backward pass.

        Args:
            batch: the training batch.
            perturbed: its adversarial examples.
            of_images: whether the gradient of the images is wanted. Defaults to `True`.
            at_first_layer: whether it is wanted at the output of the first layer instead. Defaults
                to `False`.

        Returns:
            `(result, weight_gradients, image_gradient)`. The loss is scaled as the optimizer asks
            for, so that only the sign of `image_gradient` means something in float16.
        """
        ...

    def gradients_through_attack(
        self, batch: TrainingBatch
    ) -> tuple[Perturbed, ObjectiveResult, list[Tensor]]:
        """The attack and the objective of a batch, whose gradients go through both passes.

        For an objective of the logits at the attack's start: these come from the attack's own
        forward pass. No gradient goes through the adversarial images themselves.

        Args:
            batch: the training batch.

        Returns:
            `(perturbed, result, weight_gradients)`.
        """
        ...

    def apply_gradients(self, gradients: list[Tensor]) -> None:
        """One update of the weights."""
        ...


class Update(ABC):
    """Base of the ways in which a batch becomes updates of the weights.

    A subclass implements `take`, and extends `for_attack` and `get_config` by its options. It holds
    no state: what goes from batch to batch is the momentum of the attack.
    """

    # Whether it needs the classifier cut in two after its first layer with weights.
    splits_classifier = False

    @classmethod
    def for_attack(cls, attack: Any) -> "Update":
        """The strategy with the options that an attack which names it has for it.

        Args:
            attack: the attack.
        """
        return cls()

    def check(self, attack: Attack) -> None:  # noqa: B027  # most go with any attack
        """Refuses an attack that it cannot train with; called once, before training.

        Args:
            attack: the attack.

        Raises:
            ValueError: if they do not go together.
        """

    @abstractmethod
    def take(self, step: Step, batch: TrainingBatch) -> tuple[Perturbed, ObjectiveResult]:
        """All updates that a batch is for.

        Args:
            step: what there is at hand.
            batch: the batch.

        Returns:
            The examples of the last update, and the objective there.
        """

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Update":
        return cls(**config)
