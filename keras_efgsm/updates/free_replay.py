"""Adversarial training for free: a batch replayed, one backward pass for weights and images."""

from typing import Any

import keras
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks import Attack, Perturbed
from keras_efgsm.checks import check_count
from keras_efgsm.objectives import ObjectiveResult
from keras_efgsm.sample_memory.batch import TrainingBatch
from keras_efgsm.updates.update import Step, Update


@keras.saving.register_keras_serializable(package="keras_efgsm")
class FreeReplayUpdates(Update):
    """The m updates of Shafahi et al., "Adversarial training for free!", on each batch.

    With the perturbation `delta`, carried from batch to batch in the attack's momentum:

    ```
    g_w, g_x = gradients of the objective at x + delta, from one backward pass
    w <- w - optimizer(g_w);   delta <- clip(delta + step_size * sign(g_x), -epsilon, epsilon)
    ```

    Args:
        replays: m. Defaults to `8`.

    Raises:
        ValueError: if m is not a whole number of at least 1; by the trainer, if the attack does
            not carry a perturbation for each position of a batch, as `FreeReplay` does.

    Example:

    ```python
    trainer = AdversarialTrainer(classifier, FreeReplay(epsilon=0.3, replays=4))
    trainer.update.replays  # 4
    ```
    """

    def __init__(self, *, replays: int = 8):
        self.replays = check_count(replays, "replays")

    @classmethod
    def for_attack(cls, attack: Any) -> "FreeReplayUpdates":
        return cls(replays=attack.replays)

    def check(self, attack: Attack) -> None:
        carries = attack.uses_momentum and attack.momentum_of == "position"
        if not carries or getattr(attack, "step_size", None) is None:
            raise ValueError(
                "Free replays need an attack that carries a perturbation for each position of a "
                "batch and has a `step_size`, such as `FreeReplay`. "
                f"Received: attack={type(attack).__name__}"
            )

    def take(self, step: Step, batch: TrainingBatch) -> tuple[Perturbed, ObjectiveResult]:
        attack: Any = step.attack_now()
        recalled = step.samples.recall(batch)
        # In units of epsilon, which a warm-up changes.
        shift = recalled.seen
        for _ in range(self.replays):
            images = equations.project(batch.x + attack.epsilon * shift, batch.x, attack.epsilon)
            result, gradients, slope = step.gradients_on(batch, Perturbed(images=images))
            step.apply_gradients(gradients)
            moved = shift + attack.step_size / attack.epsilon * ops.sign(slope)
            shift = ops.clip(moved, -1.0, 1.0)
        step.samples.keep(batch, recalled, shift)
        return Perturbed(images=images), result

    def get_config(self) -> dict[str, Any]:
        return {"replays": self.replays}
