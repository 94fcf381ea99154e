"""The plan `sweep`: variants of the recipe, a few epochs each, attacked on held-out images."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from accelerator import weights
from accelerator.attacking import Attacker
from accelerator.estimates import (
    epoch_seconds,
    evaluation_seconds,
    measuring_seconds,
    networks_of,
    start_seconds,
)
from accelerator.parts import Part, choose_epochs
from accelerator.running import Running
from accelerator.training import images_an_epoch, learn_start, measure_step, train
from accelerator.variants import BASE, make_variants
from experiments.ablation.variants import describe
from keras_efgsm.data import ImageData
from keras_efgsm.evaluation import make_attacks
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records.environment import hardware, versions

_MEASURE = "measure a step"


class SweepPlan:
    """Trains every variant for as many epochs, the same seed and images, and attacks it.

    Args:
        running: the command.
        base: what the variants start from.
        train_data: images of the train split, of which some are held out to be attacked.
        names: of the variants beside the base. Defaults to all.

    Raises:
        ValueError: if there is no variant of a name.
    """

    def __init__(
        self,
        running: Running,
        base: TrainingConfig,
        train_data: ImageData,
        names: Sequence[str] = (),
    ):
        self.running, self.scale, self.rates = running, running.scale, running.rates
        share = self.scale.sweep_images / len(train_data)
        self.train_data, self.held_out = train_data.split(share, seed=0)
        self.variants = make_variants(base, names)
        classes = train_data.num_classes
        self._networks = {n: networks_of(c, classes) for n, c in self.variants.items()}
        # A variant may have another activation, and with it another network to attack.
        self._attackers: dict[str, Attacker] = {}
        self.attacks = make_attacks("adp", base.epsilon, **self.scale.sweep_attacks)
        self.epochs: int | None = None
        self._measured, self._planned = False, 0
        self.results: dict[str, dict[str, Any]] = {}

    def parts(self) -> list[Part]:
        """A part that measures, and one for each variant."""
        parts = [Part(_MEASURE, lambda left: self._measure_seconds(), self._measure)]
        for name in self.variants:
            parts.append(
                Part(
                    name,
                    self._estimate_of(name),
                    self._trial(name),
                    # The same epochs for all, from what was measured.
                    [_MEASURE],
                    lambda name=name: (
                        f"{self._planned} epochs of {self._epoch_seconds(name):.2f} s"
                    ),
                )
            )
        return parts

    def _attacker(self, config: TrainingConfig) -> Attacker:
        key = f"{config.classifier} {config.activation}"
        if key not in self._attackers:
            self._attackers[key] = Attacker(
                config, self.train_data.num_classes, self.scale.attack_batch, self.rates
            )
        return self._attackers[key]

    def _measure_seconds(self) -> float:
        return measuring_seconds(
            self.variants[BASE], self._networks[BASE], self.scale.profile_steps, self.rates
        )

    def _measure(self) -> None:
        measure_step(self.variants[BASE], self.scale.profile_steps, self.rates)
        self._measured = True

    def _epoch_seconds(self, name: str) -> float:
        config = self.variants[name]
        images = images_an_epoch(config, len(self.train_data))
        return epoch_seconds(config, self._networks[name], images, self.rates)

    def _attack_seconds(self, name: str) -> float:
        attacker = self._attacker(self.variants[name])
        # The first variant with this network compiles them; once that was tried, it is known.
        first = next(n for n, c in self.variants.items() if self._attacker(c) is attacker)
        will_be = first != name and first not in self.results
        return evaluation_seconds(
            self.attacks,
            len(self.held_out),
            attacker.batch_size,
            attacker.multiply_adds,
            self.rates,
            compiled=will_be or attacker.is_compiled(self.attacks),
        )

    def _beside(self, name: str) -> float:
        """Seconds of a trial beside its epochs."""
        return start_seconds(self.variants[name], self.rates) + self._attack_seconds(name)

    def _estimate_of(self, name: str) -> Callable[[float], float]:
        def estimate(left: float) -> float:
            self._planned = self.epochs or self._choose_epochs()
            return self._beside(name) + self._planned * self._epoch_seconds(name)

        return estimate

    def _choose_epochs(self) -> int:
        """Epochs of each variant, chosen before the first of them."""
        return choose_epochs(
            self.running.budget.left - (0.0 if self._measured else self._measure_seconds()),
            sum(self._epoch_seconds(name) for name in self.variants),
            [sum(self._beside(name) for name in self.variants)],
            enough=1,
            most=self.scale.most_sweep_epochs,
        )

    def _trial(self, name: str) -> Callable[[], None]:
        def run() -> None:
            if self.epochs is None:
                self.epochs = self._choose_epochs()
            base, config = self.variants[BASE], self.variants[name]
            has_regulariser = config.make_objective().regularizer_weight is not None
            config = dataclasses.replace(
                config,
                epochs=self.epochs,
                # It rises over the first third, as in the recipe.
                regularizer_warmup_epochs=self.epochs / 3 if has_regulariser else 0.0,
            )
            result = {"changes": describe(self.variants[name], base), "config": config.to_dict()}
            self.results[name] = result
            try:
                result |= self._train_and_attack(name, config)
            except ValueError as error:
                # A training that breaks down is a result as well.
                result |= {"failed": str(error), "natural_accuracy": 0.0, "robust_accuracy": 0.0}
            self.running.outbox.put("sweep.json", self._content())
            self.running.say(
                f"{name} ({result['changes']}): natural {result['natural_accuracy']:.2%}, robust "
                f"{result['robust_accuracy']:.2%}"
            )

        return run

    def _train_and_attack(self, name: str, config: TrainingConfig) -> dict[str, Any]:
        end = self.running.budget.end - self._attack_seconds(name)
        trained = train(config, self.train_data, end=end, tell=lambda rows: None)
        learn_start(trained.rows, self.rates)
        stored = weights.rounded(trained.trainer.classifier.get_weights())
        report = self._attacker(config).evaluate(
            weights.restored(stored), self.held_out, self.attacks, name=name, split="held out"
        )
        return {
            "history": trained.rows,
            "training_seconds": round(sum(row["seconds"] for row in trained.rows), 2),
            "natural_accuracy": report.natural_accuracy,
            "robust_accuracy": report.worst_case_accuracy,
            "report": report.to_dict(),
        }

    def _content(self) -> dict[str, Any]:
        return {
            "base": self.variants[BASE].to_dict(),
            "epochs": self.epochs,
            "train_images": len(self.train_data),
            "held_out": len(self.held_out),
            "attacks": [attack.get_config() | {"name": attack.kind} for attack in self.attacks],
            "hardware": hardware(),
            "versions": versions(),
            "variants": self.results,
        }
