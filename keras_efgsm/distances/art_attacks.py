"""Minimum-distance attacks run by the Adversarial Robustness Toolbox (ART)."""

from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_efgsm.checks import check_count, check_number
from keras_efgsm.distances.carlini_wagner_l2 import CarliniWagnerL2
from keras_efgsm.distances.carlini_wagner_linf import CarliniWagnerLinf
from keras_efgsm.distances.deepfool import DeepFool
from keras_efgsm.distances.minimum_attack import Finder, MinimumAttack
from keras_efgsm.evaluation.art_estimator import (
    art_attacks,
    art_estimator,
    one_hot,
    seeded_numpy,
)
from keras_efgsm.evaluation.models import EvaluatedModel
from keras_efgsm.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_efgsm")
class ElasticNet(MinimumAttack):
    """The elastic-net attack in L1, run by ART.

    Chen et al. 2018, "EAD: elastic-net attacks to deep neural networks via adversarial examples",
    with which Sharma & Chen 2017, "Attacking the Madry defense model with L1-based adversarial
    examples", reference [29] of Chen & Lee, turn images of a model that was trained for L-infinity.
    It minimises `c max(margin, 0) + ||r||_2^2 + beta ||r||_1` by a shrinking projected gradient,
    with a binary search for c; of the images found that of the least L1 distance comes back.

    Args:
        steps: for each c. Defaults to `100`.
        searches: how many c are tried. Defaults to `9`.
        learning_rate: first step size. Defaults to `0.01`.
        initial_constant: the first c. Defaults to `0.001`.
        beta: weight of the L1 norm. Defaults to `0.01`, as in reference [29].

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    attack = ElasticNet(steps=2, searches=2, beta=0.01)
    measure_distances(classifier, (x_test, y_test), attack, engine="art")
    ```
    """

    kind = "ead"
    norms = ("l1",)
    norm = "l1"
    engines: ClassVar[tuple[str, ...]] = ("art",)

    def __init__(
        self,
        *,
        steps: int = 100,
        searches: int = 9,
        learning_rate: float = 0.01,
        initial_constant: float = 0.001,
        beta: float = 0.01,
    ):
        self.steps = check_count(steps, "steps")
        self.searches = check_count(searches, "searches")
        self.learning_rate = check_number(learning_rate, "learning_rate", minimum=0.0, strict=True)
        self.initial_constant = check_number(
            initial_constant, "initial_constant", minimum=0.0, strict=True
        )
        self.beta = check_number(beta, "beta", minimum=0.0)

    @property
    def passes(self) -> int:
        return self.steps * self.searches

    @property
    def budget(self) -> str:
        return f"{self.searches} x up to {self.steps:,} steps"


@keras.saving.register_keras_serializable(package="keras_efgsm")
class Pixel(MinimumAttack):
    """The attack on few pixels by differential evolution, run by ART.

    Su, Vargas & Sakurai 2019, "One pixel attack for fooling deep neural networks", reference [11]
    of Chen & Lee: position and value of `pixels` pixels are evolved until the class changes, from
    the logits alone. An image that is turned has the number of pixels that differ as its distance.

    Args:
        pixels: how many may change. Defaults to `1`, the published attack.
        steps: generations, at most, of 400 candidates each. Defaults to `20`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    attack = Pixel(pixels=1, steps=1)
    measure_distances(classifier, (x_test, y_test), attack, engine="art", num_images=2)
    ```
    """

    kind = "pixel"
    norms = ("l0",)
    norm = "l0"
    needs_gradient = False
    engines: ClassVar[tuple[str, ...]] = ("art",)

    def __init__(self, *, pixels: int = 1, steps: int = 20):
        self.pixels = check_count(pixels, "pixels")
        self.steps = check_count(steps, "steps")

    @property
    def passes(self) -> int:
        return self.steps

    @property
    def budget(self) -> str:
        plural = "" if self.pixels == 1 else "s"
        return f"{self.pixels} pixel{plural}, {self.steps} generations"


def compile_art(attack: MinimumAttack, model: EvaluatedModel, seed: int = 0) -> Finder:
    """The attack as ART has it, with the same options, where it has them.

    Args:
        attack: `DeepFool` in L2, `CarliniWagnerL2`, `CarliniWagnerLinf`, `ElasticNet` or `Pixel`.
        model: the classifier.
        seed: of the random numbers of `Pixel`; each batch draws from it anew. Defaults to `0`.

    Returns:
        A function of images `(B, H, W, C)` and labels `(B,)`; not a graph.

    Raises:
        ImportError: if ART is not installed.
        ValueError: if ART has no such attack, or Keras runs on another backend than TensorFlow.

    Example:

    ```python
    run = compile_art(DeepFool(steps=10), load_classifier(classifier))
    x_adv = run(x, y)
    ```
    """
    if type(attack) is DeepFool and attack.norm != "l2":
        raise ValueError(
            "ART has DeepFool in L2 alone; use the native engine. "
            f"Received: norm={attack.norm!r}, engine='art'"
        )
    make = next((make for kind, make in _MAKERS.items() if type(attack) is kind), None)
    if make is None:
        raise ValueError(
            f"ART has no attack {attack.kind!r}; use the native engine. "
            f"Received: attack={attack!r}, engine='art'"
        )
    estimator, attacks = art_estimator(model), art_attacks()

    def run(x: Tensor, labels: Tensor) -> Tensor:
        images = np.asarray(x)
        theirs = make(attacks, estimator, attack, len(images))
        with seeded_numpy(seed):
            made = theirs.generate(images, one_hot(labels, model.num_classes))
        return ops.convert_to_tensor(np.asarray(made, "float32").clip(0.0, 1.0))

    return run


def _deepfool(attacks: Any, estimator: Any, attack: Any, batch_size: int) -> Any:
    return attacks.DeepFool(
        estimator,
        max_iter=attack.steps,
        epsilon=attack.overshoot,
        nb_grads=attack.candidates,
        batch_size=batch_size,
        verbose=False,
    )


def _carlini_l2(attacks: Any, estimator: Any, attack: Any, batch_size: int) -> Any:
    return attacks.CarliniL2Method(
        estimator,
        confidence=attack.confidence,
        learning_rate=attack.learning_rate,
        binary_search_steps=attack.searches,
        max_iter=attack.steps,
        initial_const=attack.initial_constant,
        batch_size=batch_size,
        verbose=False,
    )


def _carlini_linf(attacks: Any, estimator: Any, attack: Any, batch_size: int) -> Any:
    return attacks.CarliniLInfMethod(
        estimator,
        learning_rate=attack.learning_rate,
        max_iter=attack.steps,
        decrease_factor=attack.shrinkage,
        initial_const=attack.initial_constant,
        largest_const=attack.largest_constant,
        const_factor=attack.growth,
        batch_size=batch_size,
        verbose=False,
    )


def _elastic_net(attacks: Any, estimator: Any, attack: Any, batch_size: int) -> Any:
    return attacks.ElasticNet(
        estimator,
        learning_rate=attack.learning_rate,
        binary_search_steps=attack.searches,
        max_iter=attack.steps,
        beta=attack.beta,
        initial_const=attack.initial_constant,
        batch_size=batch_size,
        decision_rule="L1",
        verbose=False,
    )


def _pixel(attacks: Any, estimator: Any, attack: Any, batch_size: int) -> Any:
    # Evolution strategy 1 is the differential evolution of the paper.
    return attacks.PixelAttack(estimator, th=attack.pixels, es=1, max_iter=attack.steps)


_MAKERS: dict[type[MinimumAttack], Callable[[Any, Any, Any, int], Any]] = {
    DeepFool: _deepfool,
    CarliniWagnerL2: _carlini_l2,
    CarliniWagnerLinf: _carlini_linf,
    ElasticNet: _elastic_net,
    Pixel: _pixel,
}
