"""The attacks of a diagnosis on one model and its images, each run once and kept."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks import PGD, Attack
from keras_efgsm.attacks.apgd import APGD, TargetedAPGD
from keras_efgsm.attacks.ball import BALLS
from keras_efgsm.attacks.losses import LOSSES
from keras_efgsm.attacks.random_sampling import RandomSampling
from keras_efgsm.attacks.square import Square
from keras_efgsm.backend import compiled_once, input_gradient
from keras_efgsm.evaluation import EvaluatedModel, Transfer, evaluate_robustness
from keras_efgsm.evaluation.open_pgd import open_pgd, pgd_options
from keras_efgsm.noise import Noise
from keras_efgsm.typing import Tensor

# Attempts at the images that a search without gradients turned and that by gradients did not.
_SECOND_TRIES = 3


class Probing:
    """A classifier, images that it classifies correctly, and what attacks make of them.

    Results are bool `(n,)`: which images were still classified correctly. Each attack is compiled
    once; its result is kept, so that several findings share it.

    Args:
        model: the classifier.
        x: images `(n, H, W, C)` in [0, 1], all classified correctly.
        labels: their classes `(n,)`.
        epsilon: radius of the ball in pixels of [0, 1].
        steps: gradient steps of PGD and APGD. Defaults to 50.
        queries: queries of Square. Defaults to 1000.
        samples: points of random sampling. Defaults to 300.
        restarts: of PGD on the margin. Defaults to 5.
        source: another classifier whose adversarial images are tried. Defaults to none.
        seed: of all noise. Defaults to 0.
        batch_size: most images in a batch. Defaults to 250.
        norm: of the ball, see `checks.NORMS`. Defaults to `"linf"`.
    """

    def __init__(
        self,
        model: EvaluatedModel,
        x: np.ndarray,
        labels: np.ndarray,
        epsilon: float,
        *,
        steps: int = 50,
        queries: int = 1000,
        samples: int = 300,
        restarts: int = 5,
        source: EvaluatedModel | None = None,
        seed: int = 0,
        batch_size: int = 250,
        norm: str = "linf",
    ):
        self.model = model
        self.norm, self.ball = norm, BALLS[norm]
        self.x, self.labels = x, np.asarray(labels, "int32")
        self.epsilon, self.steps, self.queries = epsilon, steps, queries
        self.samples, self.restarts, self.source, self.seed = samples, restarts, source, seed
        self.batch_size = -(-len(x) // -(-len(x) // batch_size))
        self._held: dict[Any, np.ndarray] = {}
        self._graphs: dict[Any, Callable[..., Any]] = {}

    @property
    def count(self) -> int:
        """How many images there are."""
        return len(self.x)

    @property
    def whole(self) -> float:
        """The radius within which every image can be reached."""
        return self.ball.diameter(self.x.shape[1:])

    def direction(self, gradient: np.ndarray) -> np.ndarray:
        """The change of length 1 along which a function of this gradient rises most.

        Args:
            gradient: `(n, H, W, C)`.
        """
        return np.asarray(self.ball.direction(ops.convert_to_tensor(gradient)))

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits `(n, K)` of as many images as there are clean ones."""
        graph = self._graph("logits", lambda: self.model.logits_fn)
        logits: np.ndarray = self._by_batch(lambda x, _labels, _ids: graph(x), images)
        return logits

    def margins(self, images: np.ndarray) -> np.ndarray:
        """Margins `(n,)` of the true classes at these images."""
        return np.asarray(equations.margin(ops.convert_to_tensor(self.logits(images)), self.labels))

    def margins_of(self, images: np.ndarray, label: int) -> np.ndarray:
        """Margins `(m,)` of one class at any number of images."""
        pieces = []
        for start in range(0, len(images), self.count):
            piece = images[start : start + self.count]
            filled = np.pad(piece, [(0, self.count - len(piece)), *[(0, 0)] * 3], mode="edge")
            pieces.append(self.logits(filled)[: len(piece)])
        logits = np.concatenate(pieces)
        return np.asarray(
            equations.margin(ops.convert_to_tensor(logits), np.full(len(logits), label))
        )

    def gradients(self, images: np.ndarray, loss: str = "cw") -> tuple[np.ndarray, np.ndarray]:
        """A loss `(n,)` at images and its gradient `(n, H, W, C)`.

        Args:
            images: one for each clean image.
            loss: `"cw"`, the negative margin, or `"ce"`. Defaults to `"cw"`.
        """

        def make() -> Callable[..., Any]:
            def both(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
                def loss_at(images: Tensor) -> tuple[Tensor, Tensor]:
                    logits = self.model.logits_fn(images)
                    return LOSSES[loss](logits, labels), logits

                values, _, gradient = input_gradient(loss_at, x)
                return values, gradient

            return both

        graph = self._graph(("gradients", loss), make)
        values, gradient = self._by_batch(lambda x, labels, _ids: graph(x, labels), images)
        return values, gradient

    def random_points(self) -> np.ndarray:
        """A uniform point `(n, H, W, C)` of each image's ball."""
        ids = ops.arange(self.count, dtype="int32")
        shift = self.ball.uniform(Noise(self.seed, 0, ids), self.x, stream=1)
        points = self.ball.project(self.x + self.epsilon * shift, self.x, self.epsilon)
        return np.asarray(points)

    def pgd(
        self,
        loss: str,
        *,
        epsilon: float | None = None,
        steps: int | None = None,
        step_size: float | None = None,
        restart: int = 0,
        random_start: bool = True,
    ) -> np.ndarray:
        """Which images hold under PGD; one step without a random start is FGSM.

        Args:
            loss: `"ce"` or `"cw"`.
            epsilon: Defaults to that of the diagnosis.
            steps: Defaults to those of the diagnosis.
            step_size: in pixels of [0, 1]. Defaults to `2.5 * epsilon / steps`.
            restart: number of the random start. Defaults to 0.
            random_start: Defaults to `True`.
        """
        epsilon, steps = epsilon or self.epsilon, steps or self.steps
        step_size = step_size or 2.5 * epsilon / steps
        key = ("pgd", loss, epsilon, steps, step_size, restart, random_start)
        if key not in self._held:
            graph = self._graph(
                ("pgd", loss),
                lambda: open_pgd(self.model.logits_fn, loss, self.seed, self.norm),
            )
            options = pgd_options(
                epsilon, steps, step_size=step_size, restart=restart, random_start=random_start
            )
            self._held[key] = self._by_batch(lambda *batch: graph(*batch, *options)[1], self.x)
        return self._held[key]

    def fgsm(self, part: float = 1.0) -> np.ndarray:
        """Which images hold under one step from the clean image, along either loss's gradient.

        Args:
            part: length of the step as a part of epsilon. Defaults to 1.
        """
        step: dict[str, Any] = {"steps": 1, "step_size": part * self.epsilon, "random_start": False}
        held: np.ndarray = self.pgd("ce", **step) & self.pgd("cw", **step)
        return held

    def many_steps(self) -> np.ndarray:
        """Which images hold under PGD on both losses and all restarts of that on the margin."""
        held = self.pgd("ce")
        for restart in range(self.restarts):
            held = held & self.pgd("cw", restart=restart)
        return held

    def white_box(self) -> np.ndarray:
        """Which images hold under every attack by gradients: PGD, FGSM, APGD-CE and APGD-T."""
        auto = APGD(epsilon=self.epsilon, steps=self.steps, loss="ce", norm=self.norm)
        targeted = TargetedAPGD(epsilon=self.epsilon, steps=self.steps, norm=self.norm)
        held: np.ndarray = self.many_steps() & self.fgsm()
        held = held & self.attacked("apgd-ce", auto)
        held = held & self.attacked("apgd-t", targeted)
        return held

    def white_box_again(self, disputed: np.ndarray) -> np.ndarray:
        """Which images hold when those in dispute are attacked by gradients with more effort.

        That a random search came first to an image or two of a robust model is no masking; a
        search by gradients that still cannot follow is.

        Args:
            disputed: bool `(n,)`, images that only another search turned.
        """
        held = np.ones(self.count, bool)
        if disputed.any():
            attack = APGD(epsilon=self.epsilon, steps=2 * self.steps, loss="cw", norm=self.norm)
            held[disputed] = self._evaluate(
                attack, disputed, restarts=_SECOND_TRIES, seed=self.seed + 1
            )
        return held

    def square(self) -> np.ndarray:
        """Which images hold under the Square attack."""
        attack = Square(epsilon=self.epsilon, queries=self.queries, norm=self.norm)
        return self.attacked("square", attack)

    def random_sampling(self) -> np.ndarray:
        """Which images hold under random points of their balls."""
        attack = RandomSampling(epsilon=self.epsilon, samples=self.samples, norm=self.norm)
        return self.attacked("random-sampling", attack)

    def transfer(self) -> np.ndarray:
        """Which images hold under those that PGD and APGD make on the source."""
        made_by = (
            PGD(epsilon=self.epsilon, steps=self.steps, loss="cw", norm=self.norm),
            APGD(epsilon=self.epsilon, steps=self.steps, loss="ce", norm=self.norm),
        )
        held = np.ones(self.count, bool)
        for attack in made_by:
            key = f"transfer {attack.name}"
            held = held & self.attacked(key, Transfer(attack, self.source))
        return held

    def attacked(self, key: str, attack: Attack) -> np.ndarray:
        """Which images hold under an attack.

        Args:
            key: under which the result is kept.
            attack: of the diagnosis's epsilon.
        """
        if key not in self._held:
            self._held[key] = self._evaluate(attack, np.ones(self.count, bool), seed=self.seed)
        return self._held[key]

    def lowest(self) -> np.ndarray:
        """Which images held under everything that was tried at epsilon or less."""
        held = np.ones(self.count, bool)
        for key, result in self._held.items():
            if key[0] != "pgd" or key[2] <= self.epsilon:
                held = held & result
        return held

    def _evaluate(self, attack: Attack, chosen: np.ndarray, **options: Any) -> np.ndarray:
        report = evaluate_robustness(
            self.model,
            (self.x[chosen], self.labels[chosen]),
            attack,
            batch_size=self.batch_size,
            progress=False,
            **options,
        )
        return report.attacks[0].robust

    def _graph(self, key: Any, make: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
        if key not in self._graphs:
            self._graphs[key] = compiled_once(make(), self.model.variables)
        return self._graphs[key]

    def _by_batch(self, function: Callable[..., Any], images: np.ndarray) -> Any:
        """Runs a function of images, labels and ids over batches of one size."""
        parts = []
        for size, batch in self._batches(images):
            outputs = keras.tree.map_structure(np.asarray, function(*batch))
            parts.append(keras.tree.map_structure(lambda part, size=size: part[:size], outputs))
        return keras.tree.map_structure(lambda *pieces: np.concatenate(pieces), *parts)

    def _batches(self, images: np.ndarray) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
        for start in range(0, self.count, self.batch_size):
            chosen = np.arange(start, min(start + self.batch_size, self.count))
            padded = np.pad(chosen, (0, self.batch_size - len(chosen)), mode="edge")
            batch = (
                ops.convert_to_tensor(images[padded], "float32"),
                ops.convert_to_tensor(self.labels[padded]),
                ops.convert_to_tensor(padded.astype("int32")),
            )
            yield len(chosen), batch
