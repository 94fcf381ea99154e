"""A training step in its parts: perturb, weigh the losses, take gradients, update."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_efgsm.attacks import Attack, Perturbed
from keras_efgsm.attacks.logits import batch_statistics_logits, evaluation_logits
from keras_efgsm.backend import (
    apply_gradients,
    replica_count,
    share_of_batch,
    weight_and_image_gradients,
    weight_gradients,
)
from keras_efgsm.networks.requirements import uses_float16
from keras_efgsm.noise import Noise
from keras_efgsm.objectives import Examples, Objective, ObjectiveResult
from keras_efgsm.sample_memory.batch import TrainingBatch
from keras_efgsm.sample_memory.memory import SampleMemory
from keras_efgsm.typing import Tensor

# Keeps the input gradients of a float16 network, often below 1e-5, out of its subnormal range.
_FLOAT16_GRADIENT_SCALE = 1024.0


def image_gradient_scale(classifier: keras.Model) -> float:
    """The factor that keeps a network's image gradients from underflowing; 1 in full precision."""
    return _FLOAT16_GRADIENT_SCALE if uses_float16(classifier) else 1.0


@dataclass(frozen=True)
class TrainingStep:
    """What an update strategy works with; `updates.Step` describes its methods.

    Attributes:
        classifier: the network that is trained.
        reconstructor: maps class probabilities to images, or None.
        attack: the attack on the full ball.
        objective: what is minimised, with its full weights.
        samples: what is kept for each sample.
        optimizer: updates the weights.
        weights: the trainable weights of both networks.
        regularizers: returns the losses that layers add, such as a kernel's L2.
        seed: seed of the noise.
        epsilon_warmup_steps: updates over which the attack's ball grows to its full size; 0 for
            none.
        regularizer_warmup_steps: updates over which the objective's regulariser rises to its full
            weight; 0 for none.
        attack_in_training_mode: whether the attack sees batch norm as the update does.
        gradient_scale: factor that keeps a float16 network's image gradients from underflowing.
        split: the classifier in two parts, for a strategy that asks for it.
    """

    classifier: keras.Model
    reconstructor: keras.Model | None
    attack: Attack
    objective: Objective
    samples: SampleMemory
    optimizer: keras.optimizers.Optimizer
    weights: list[keras.Variable]
    regularizers: Callable[[], list[Tensor]]
    seed: int = 0
    epsilon_warmup_steps: int = 0
    regularizer_warmup_steps: int = 0
    attack_in_training_mode: bool = True
    gradient_scale: float = 1.0
    split: Any = None

    def noise(self, batch: TrainingBatch) -> Noise:
        """Noise of the samples of a batch, keyed by (seed, number of the update, sample id)."""
        return Noise(self.seed, self.optimizer.iterations, batch.ids)

    def attack_now(self) -> Attack:
        """The attack at this update: on a smaller ball while epsilon is being warmed up."""
        if not self.epsilon_warmup_steps:
            return self.attack
        # Never zero, which some steps divide by.
        return self.attack.scaled(self._risen(self.epsilon_warmup_steps))

    def objective_now(self) -> Objective:
        """The objective at this update: with a small regulariser while that is being warmed up."""
        if not self.regularizer_warmup_steps:
            return self.objective
        return self.objective.scaled(self._risen(self.regularizer_warmup_steps))

    def _risen(self, steps: int) -> Tensor:
        """The share in (0, 1] that a linear rise over so many updates has reached."""
        step = ops.cast(self.optimizer.iterations, "float32") + 1.0
        return ops.minimum(step / steps, 1.0)

    def perturb(self, batch: TrainingBatch) -> Perturbed:
        """Adversarial examples of a batch; keeps the momentum that they leave."""
        recalled = self.samples.recall(batch)
        see = batch_statistics_logits if self.attack_in_training_mode else evaluation_logits
        perturbed = self.attack_now().perturb(
            see(self.classifier),
            batch.x,
            batch.labels,
            self.noise(batch),
            recalled.seen,
            self.gradient_scale,
        )
        if perturbed.momentum is not None:
            # Where gradients go through the attack, none goes into what is kept, on disk say.
            self.samples.keep(batch, recalled, ops.stop_gradient(perturbed.momentum))
        return perturbed

    def gradients_on(
        self,
        batch: TrainingBatch,
        perturbed: Perturbed,
        *,
        of_images: bool = True,
        at_first_layer: bool = False,
    ) -> tuple[ObjectiveResult, list[Tensor], Tensor | None]:
        """The objective and its gradients, from one backward pass; see `updates.Step`."""

        def losses(images: Tensor, classifier: Any) -> tuple[Tensor, ObjectiveResult]:
            return self._differentiated(batch, perturbed._replace(images=images), classifier)

        if of_images:
            split = self.split if at_first_layer else None
            return weight_and_image_gradients(losses, self.weights, perturbed.images, split)
        result, gradients = weight_gradients(lambda: losses(perturbed.images, None), self.weights)
        return result, gradients, None

    def gradients_through_attack(
        self, batch: TrainingBatch
    ) -> tuple[Perturbed, ObjectiveResult, list[Tensor]]:
        """The attack, the objective and its gradients through both; see `updates.Step`."""

        def losses() -> tuple[Tensor, tuple[Perturbed, ObjectiveResult]]:
            perturbed = self.perturb(batch)
            perturbed = perturbed._replace(images=ops.stop_gradient(perturbed.images))
            loss, result = self._differentiated(batch, perturbed)
            return loss, (perturbed, result)

        (perturbed, result), gradients = weight_gradients(losses, self.weights)
        return perturbed, result, gradients

    def apply_gradients(self, gradients: list[Tensor]) -> None:
        """One update of the weights."""
        apply_gradients(self.optimizer, gradients, self.weights)

    def _differentiated(
        self, batch: TrainingBatch, perturbed: Perturbed, classifier: Any = None
    ) -> tuple[Tensor, ObjectiveResult]:
        """The loss as this replica differentiates it, scaled as the optimizer asks for."""
        result = self.losses(batch, perturbed, classifier)
        share = share_of_batch(batch.count)
        # The optimizer adds up the gradients of the replicas.
        loss = result.loss if share is None else result.loss * share
        return self.optimizer.scale_loss(loss), result

    def losses(
        self, batch: TrainingBatch, perturbed: Perturbed, classifier: Any = None
    ) -> ObjectiveResult:
        """The objective, and the regularisers of the networks, on a perturbed batch.

        Args:
            batch: the training batch.
            perturbed: its adversarial examples.
            classifier: maps images to float32 logits in training mode. Defaults to the trained one.
        """
        reconstruct = None
        if self.reconstructor is not None:
            reconstructor = self.reconstructor
            reconstruct = lambda p: reconstructor(p, training=True)  # noqa: E731
        result = self.objective_now().losses(
            classifier or self._classify,
            reconstruct,
            Examples(
                batch.x,
                perturbed.images,
                batch.probabilities,
                batch.sample_weight,
                perturbed.start_logits,
            ),
        )
        replicas = replica_count()
        if replicas > 1:
            # Keras divides losses by the replicas; what is shown and regularised is one's own.
            result = result._replace(
                loss=result.loss * replicas,
                parts={name: part * replicas for name, part in result.parts.items()},
            )
        added = self.regularizers()
        return result._replace(loss=result.loss + sum(added)) if added else result

    def _classify(self, images: Tensor) -> Tensor:
        return ops.cast(self.classifier(images, training=True), "float32")


def step_of(trainer: Any) -> TrainingStep:
    """The step of an `AdversarialTrainer` as it is now."""
    return TrainingStep(
        classifier=trainer.classifier,
        reconstructor=trainer.reconstructor,
        attack=trainer.attack,
        objective=trainer.objective,
        samples=trainer.samples,
        optimizer=trainer.optimizer,
        weights=trainer.trainable_weights,
        regularizers=lambda: trainer.losses,
        seed=trainer.seed,
        epsilon_warmup_steps=trainer.epsilon_warmup_steps,
        regularizer_warmup_steps=trainer.regularizer_warmup_steps,
        attack_in_training_mode=trainer.attack_in_training_mode,
        gradient_scale=trainer.gradient_scale,
        split=trainer.split(),
    )
