"""The plan `cifar10`: train, attack, and time an epoch of every method on the same network."""

import dataclasses
import io
import json
from collections.abc import Sequence

import numpy as np

from accelerator import weights
from accelerator.attacking import Attacker
from accelerator.carried import first_images
from accelerator.estimates import (
    epoch_seconds,
    evaluation_seconds,
    measuring_seconds,
    networks_of,
    start_seconds,
)
from accelerator.outbox import Returned
from accelerator.parts import Part, choose_epochs, largest_that_fits
from accelerator.profiled_methods import Profile
from accelerator.running import Running
from accelerator.training import (
    history_csv,
    images_an_epoch,
    learn_start,
    measure_step,
    metrics_of,
    train,
    with_epochs,
)
from keras_efgsm.attacks import Attack
from keras_efgsm.data import ImageData
from keras_efgsm.evaluation import make_attacks
from keras_efgsm.recipes.config import TrainingConfig

_MEASURE = "measure a step"


class Cifar10Plan:
    """Trains a configuration with several seeds and measures what comes out.

    Everything of the first seed but `adp` comes first, then the epochs of the methods, then the
    other seeds, and `adp` with what is left.

    Args:
        running: the command.
        config: the run; its seed and number of epochs are set here.
        train_data: images of the train split.
        test_data: images of the test split.
        seeds: of the trainings.
        without: which of `"standard"`, `"adp"` and `"profile"` are not wanted. Defaults to none.
        previous: what an earlier call left, whose trained seeds are taken over and measured
            further. Defaults to none.
    """

    def __init__(
        self,
        running: Running,
        config: TrainingConfig,
        train_data: ImageData,
        test_data: ImageData,
        seeds: Sequence[int],
        without: Sequence[str] = (),
        previous: Returned | None = None,
    ):
        self.running, self.scale, self.rates = running, running.scale, running.rates
        self.config, self.train_data, self.test_data = config, train_data, test_data
        self.seeds = list(seeds)
        self.networks = networks_of(config, test_data.num_classes)
        self.images = images_an_epoch(config, len(train_data))
        self.attacker = Attacker(
            config, test_data.num_classes, self.scale.attack_batch, running.rates
        )
        self.profile = Profile(
            config,
            self.scale.profile_steps,
            self.scale.profile_rounds,
            running.rates,
            lambda figures: running.outbox.put("profile.json", figures),
        )
        self.epochs: int | None = None
        self._planned = 0
        self._tried: set[str] = set()
        self.stored: dict[int, list[np.ndarray]] = {}
        self._surviving: Sequence[float] | None = None
        if previous is not None:
            self._take_over(previous)
        self._without = set(without)
        self._profile_parts = self.profile.parts() if self._is_wanted("profile") else []

    def _take_over(self, previous: Returned) -> None:
        outbox = self.running.outbox
        names = [name for name in previous.entries if name == "profile.json"]
        for seed in self.seeds:
            stored = previous.weights(f"seed{seed}")
            if stored is not None:
                outbox.put_weights(f"seed{seed}", stored)
                self.stored[seed] = stored
                # Without weights its figures would stand beside those of another training.
                names += [name for name in previous.entries if name.startswith(f"seed{seed}/")]
        for name in names:
            outbox.put(name, previous.entries[name])

    def _is_wanted(self, name: str) -> bool:
        """Whether figures, `"profile"` or such as `"seed0/adp"`, are wanted and not there."""
        is_there = f"{name}.json" in self.running.outbox.entries
        if is_there and name.endswith("/adp"):
            is_there = self._images_before(name) >= self.scale.adp_images[0]
        return not is_there and name.split("/")[-1] not in self._without

    def _images_before(self, name: str) -> int:
        """Of how many images an earlier call left figures."""
        content = self.running.outbox.entries.get(f"{name}.json")
        return json.loads(content)["num_images"] if content else 0

    def parts(self) -> list[Part]:
        """What is still to do, in its order."""
        untrained = [seed for seed in self.seeds if seed not in self.stored]
        parts = []
        if untrained or self._profile_parts:
            seconds = (self.config, self.networks, self.scale.profile_steps, self.rates)
            parts.append(Part(_MEASURE, lambda left: measuring_seconds(*seconds), self._measure))
        for number, seed in enumerate(self.seeds):
            if seed in untrained:
                rest = untrained[untrained.index(seed) :]
                parts.append(self._training_part(seed, rest, rest == untrained))
            needs = [f"train seed {seed}"] if seed in untrained else []
            if self._is_wanted(f"seed{seed}/standard"):
                parts.append(self._part_of("standard", seed, needs))
            if number == 0:
                parts += self._profile_parts
        for seed in self.seeds:
            needs = [f"train seed {seed}"] if seed in untrained else []
            if self._is_wanted(f"seed{seed}/adp"):
                parts.append(self._part_of("adp", seed, needs))
        return parts

    # How long the steps of the training take.

    def _measure(self) -> None:
        fitted = measure_step(self.config, self.scale.profile_steps, self.rates)
        self.profile.fitted[self.config.method] = fitted

    # Training.

    def _training_part(self, seed: int, to_train: Sequence[int], is_first: bool) -> Part:
        def estimate(left: float) -> float:
            # All that are trained here have as many.
            if is_first or not self._planned:
                self._planned = self._choose_epochs(left, to_train)
            self._planned = self.epochs or self._planned
            return self._start_seconds() + self._planned * self._epoch_seconds()

        return Part(
            f"train seed {seed}",
            estimate,
            lambda: self._train(seed, to_train),
            [_MEASURE],
            lambda: f"{self._planned} epochs of {self._epoch_seconds():.2f} s",
        )

    def _start_seconds(self) -> float:
        # Logits for the natural accuracy and for whoever compares are compiled as well.
        return start_seconds(self.config, self.rates) + 2 * self.rates.fixed["logits"]

    def _epoch_seconds(self) -> float:
        return epoch_seconds(self.config, self.networks, self.images, self.rates)

    def _choose_epochs(self, left: float, to_train: Sequence[int]) -> int:
        must = len(to_train) * self._start_seconds() + sum(self._standard_seconds(to_train))
        profile = sum(part.estimate(left) for part in self._profile_parts)
        adp = [
            len(self.seeds) * self._attack_seconds("adp", images)
            for images in self.scale.adp_images
            if self._is_planned("adp")
        ]
        return choose_epochs(
            left,
            len(to_train) * self._epoch_seconds(),
            [*(must + profile + seconds for seconds in adp), must + profile, must],
            enough=self.scale.enough_epochs,
            most=min(self.config.epochs, self.scale.most_epochs or self.config.epochs),
        )

    def _train(self, seed: int, to_train: Sequence[int]) -> None:
        running, outbox = self.running, self.running.outbox
        if self.epochs is None:
            self.epochs = self._choose_epochs(running.budget.left, to_train)
        config = with_epochs(dataclasses.replace(self.config, seed=seed), self.epochs)
        kept = sum(self._standard_seconds(to_train)) + (len(to_train) - 1) * (
            self._start_seconds() + self.epochs * self._epoch_seconds()
        )
        outbox.put(f"seed{seed}/config.json", config.to_dict())

        def tell(rows: list[dict]) -> None:
            outbox.put(f"seed{seed}/history.csv", history_csv(rows))
            row = rows[-1]
            figures = [f"{n} {row[n]:.4g}" for n in row if n not in ("epoch", "seconds")]
            running.say(
                f"seed {seed}: epoch {row['epoch']} of {config.epochs}, {row['seconds']:.2f} s, "
                + ", ".join(figures)
            )

        end = running.budget.end - kept
        trained = train(config, self.train_data, end=end, tell=tell)
        learn_start(trained.rows, self.rates)
        stored = weights.rounded(trained.trainer.classifier.get_weights())
        self.stored[seed] = stored
        try:
            files = outbox.put_weights(f"seed{seed}", stored)
            outbox.put(
                f"seed{seed}/weights.json", {"files": files, "sha256": weights.digest(stored)}
            )
        except ValueError as error:
            # Its figures come back all the same.
            running.say(f"seed {seed}: its weights stay here: {error}")
        taken = weights.restored(stored)
        natural = self.attacker.natural_accuracy(taken, self.test_data)
        metrics = metrics_of(
            config, trained, natural, len(self.test_data), self.test_data.class_names
        )
        outbox.put(f"seed{seed}/metrics.json", metrics)
        running.say(f"seed {seed}: {natural:.2%} of {len(self.test_data)} test images, clean")
        check = first_images(self.test_data, self.scale.check_images)
        file = io.BytesIO()
        np.savez(file, logits=self.attacker.precise_logits(taken, check))
        outbox.put(f"seed{seed}/check.npz", file.getvalue())

    # Attacks.

    def _attacks(self, names: str) -> list[Attack]:
        options = dict(self.scale.attack_options)
        if names == "adp":
            options.pop("queries", None)
        return make_attacks(names, self.config.epsilon, **options)

    def _attack_seconds(self, names: str, images: int | None = None, number: int = 0) -> float:
        attacks = self._attacks(names)
        surviving = {} if self._surviving is None else {"surviving": self._surviving}
        # What is planned before it compiles them; once that was tried, it is known.
        earlier = [] if names == "standard" and number == 0 else ["standard"]
        will_be = any(name not in self._tried for name in earlier if self._is_planned(name))
        return evaluation_seconds(
            attacks,
            images or self.scale.standard_images,
            self.attacker.batch_size,
            self.attacker.multiply_adds,
            self.rates,
            compiled=will_be or self.attacker.is_compiled(attacks),
            **surviving,
        )

    def _standard_seconds(self, to_train: Sequence[int]) -> list[float]:
        """Of `standard` for each of these seeds, of which the first compiles it."""
        if not self._is_planned("standard"):
            return []
        return [self._attack_seconds("standard", number=n) for n in range(len(to_train))]

    def _is_planned(self, names: str) -> bool:
        return any(self._is_wanted(f"seed{seed}/{names}") for seed in self.seeds)

    def _part_of(self, names: str, seed: int, needs: Sequence[str]) -> Part:
        number = self.seeds.index(seed)
        choices = (self.scale.standard_images,) if names == "standard" else self.scale.adp_images
        before = self._images_before(f"seed{seed}/{names}")
        choices = [choice for choice in choices if choice > before]
        chosen = [choices[0]]

        def seconds(images: int) -> float:
            return self._attack_seconds(names, images, number)

        def estimate(left: float) -> float:
            chosen[0] = largest_that_fits(choices, seconds, left) or choices[-1]
            return seconds(chosen[0])

        return Part(
            f"{names} seed {seed}",
            estimate,
            lambda: self._evaluate(names, seed, chosen[0]),
            needs,
            lambda: f"{chosen[0]:,} images",
        )

    def _evaluate(self, names: str, seed: int, images: int) -> None:
        self._tried.add(names)
        report = self.attacker.evaluate(
            weights.restored(self.stored[seed]),
            first_images(self.test_data, images),
            self._attacks(names),
            name=f"cifar10 seed {seed}",
            state=self.running.outbox.path(f"seed{seed}-{names}.partial.npz"),
        )
        self._surviving = [report.natural_accuracy, *(a.robust_accuracy for a in report.attacks)]
        self.running.outbox.put(f"seed{seed}/{names}.json", report.to_dict())
        self.running.say(
            f"seed {seed}, {len(report.correct):,} images: natural {report.natural_accuracy:.2%}, "
            + ", ".join(f"{a.name} {a.robust_accuracy:.2%}" for a in report.attacks)
        )
