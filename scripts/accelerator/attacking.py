"""Attacks on weights of one architecture, each compiled once, in batches of one size."""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np
from keras import ops

from accelerator.cascade import run_cascade
from accelerator.estimates import Rates, attack_operations
from keras_efgsm.attacks import Attack
from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.backend import compiled
from keras_efgsm.data import ImageData
from keras_efgsm.evaluation import EvaluatedModel, RobustnessReport
from keras_efgsm.evaluation.native_engine import compile_native
from keras_efgsm.evaluation.verdict import compile_judge
from keras_efgsm.networks import CLASSIFIERS, image_shape_of, multiply_adds
from keras_efgsm.networks.precision import dtype_policy_scope
from keras_efgsm.recipes.config import TrainingConfig

# Of the attacks' noise.
_SEED = 0


class Attacker:
    """Evaluates one set of weights after the other, in float32.

    `evaluate_robustness` makes batches of as many sizes as there are numbers of survivors, and
    compiles everything for each of them and at each call, which here would take longer than the
    attacks. So every batch is filled up to one size, and what was compiled is kept. The figures are
    the same: an attack sees each image by itself, and its noise depends on the sample alone.

    Products of float32 are made as TF32 where the accelerator has it, the default of JAX, and in
    `precise_logits` in full precision.

    Args:
        config: whose classifier it is.
        num_classes: number of logits.
        batch_size: of every batch.
        rates: learn from each attack what it takes.
    """

    def __init__(self, config: TrainingConfig, num_classes: int, batch_size: int, rates: Rates):
        with dtype_policy_scope("float32"):
            self.classifier = CLASSIFIERS[config.classifier](
                image_shape_of(config.dataset), num_classes, activation=config.activation
            )
        self.batch_size, self.rates = batch_size, rates
        self.multiply_adds = multiply_adds(self.classifier)
        self._logits_fn = evaluation_logits(self.classifier)
        self.model = EvaluatedModel(
            self._logits_fn,
            tuple(self.classifier.input_shape[1:]),
            num_classes,
            config.classifier,
            variables=self.classifier.variables,
        )
        self._judge = self._filling(compile_judge(self.model, config.epsilon, config.norm))
        self._precise = compiled(self._in_full_precision, self.classifier.variables)
        self._attacks: dict[str, Callable] = {}

    def _in_full_precision(self, x):
        with jax.default_matmul_precision("highest"):
            return self._logits_fn(x)

    def _filling(self, judge: Callable) -> Callable:
        def filled(x_adv, x):
            logits, is_inside = judge(*(_filled(v, self.batch_size) for v in (x_adv, x)))
            return logits[: x.shape[0]], is_inside

        return filled

    def is_compiled(self, attacks: Sequence[Attack]) -> bool:
        """Whether all of these were run before."""
        return all(_key(attack) in self._attacks for attack in attacks)

    def natural_accuracy(self, weights: Sequence[np.ndarray], data: ImageData) -> float:
        """Share of clean images that are classified correctly.

        Args:
            weights: of the classifier, float32.
            data: the images.
        """
        self.classifier.set_weights(weights)
        logits = self._in_batches(lambda x: self._judge(x, x)[0], data)
        return float((logits.argmax(axis=1) == data.labels).mean())

    def precise_logits(self, weights: Sequence[np.ndarray], data: ImageData) -> np.ndarray:
        """Logits `(n, K)` as another machine would give them, up to rounding.

        Args:
            weights: of the classifier, float32.
            data: the images.
        """
        self.classifier.set_weights(weights)
        return self._in_batches(lambda x: self._precise(_filled(x, self.batch_size)), data)

    def _in_batches(self, function: Callable, data: ImageData) -> np.ndarray:
        logits = []
        for start in range(0, len(data), self.batch_size):
            x = data.pixels(slice(start, start + self.batch_size))
            logits.append(np.asarray(function(ops.convert_to_tensor(x)))[: len(x)])
        return np.concatenate(logits)

    def evaluate(
        self,
        weights: Sequence[np.ndarray],
        data: ImageData,
        attacks: Sequence[Attack],
        *,
        name: str,
        split: str = "test",
        state: Path | None = None,
    ) -> RobustnessReport:
        """Runs a cascade of attacks.

        Args:
            weights: of the classifier, float32.
            data: the images.
            attacks: in their order.
            name: what the report calls the classifier.
            split: what it calls the images. Defaults to `"test"`.
            state: file that tells how far it is after each batch; it is removed at the end.
                Defaults to none.

        Raises:
            ValueError: if no clean image is classified correctly.
        """
        self.classifier.set_weights(weights)
        report = run_cascade(
            self.model,
            data,
            [(attack, self._compile(attack)) for attack in attacks],
            self._judge,
            batch_size=self.batch_size,
            seed=_SEED,
            name=name,
            split=split,
            state=state,
        )
        if state is not None:
            state.unlink(missing_ok=True)
        return report

    def _compile(self, attack: Attack) -> Callable:
        key = _key(attack)
        if key not in self._attacks:
            run = compile_native(attack, self._logits_fn, _SEED, self.classifier.variables)
            self._attacks[key] = _Timed(attack, run, self)
        return self._attacks[key]


class _Timed:
    """A compiled attack that fills its batches and tells what they took."""

    def __init__(self, attack: Attack, run: Callable, attacker: Attacker):
        self._run, self._attacker = run, attacker
        self._kind, operations = attack_operations(attack, attacker.multiply_adds)
        self._operations = operations * attacker.batch_size
        self._first: float | None = None
        self._seconds: list[float] = []

    def __call__(self, x, labels, ids, restart):
        size = self._attacker.batch_size
        begun = time.perf_counter()
        filled = [_filled(value, size) for value in (x, labels, ids)]
        made = jax.block_until_ready(self._run(*filled, restart))
        self._learn(time.perf_counter() - begun)
        return made[: x.shape[0]]

    def _learn(self, seconds: float) -> None:
        if self._first is None:
            self._first = seconds
            return
        rates = self._attacker.rates
        self._seconds.append(seconds)
        rates.learn(self._kind, self._operations, self._seconds)
        if len(self._seconds) == 1:
            rates.learn_fixed("attack", self._first - statistics.median(self._seconds))


def _key(attack: Attack) -> str:
    return f"{type(attack).__name__} {attack.get_config()}"


def _filled(values, size: int):
    """Repeats the last one until there are so many."""
    count = values.shape[0]
    if count == size:
        return values
    return ops.take(values, np.minimum(np.arange(size), count - 1), axis=0)
