"""What each method is trained with where all are compared: its own recipe, on the one network."""

import dataclasses
from typing import Any

from keras_efgsm.recipes.config import TrainingConfig


def _ten_steps(epsilon: float) -> dict[str, dict[str, Any]]:
    inner = {"steps": 10, "step_size": epsilon / 4}
    return {"pgd": inner, "trades": {**inner, "beta": 6.0}, "alp": inner}


PUBLISHED: dict[str, dict[str, dict[str, Any]]] = {
    # 40 steps of 0.01, as published on MNIST.
    "mnist": {
        "pgd": {"steps": 40, "step_size": 0.01},
        "trades": {"steps": 40, "step_size": 0.01},
        "alp": {"steps": 40, "step_size": 0.01},
        "free": {"replays": 15, "step_size": 0.01},
        "yopo": {"outer_steps": 5, "inner_steps": 10, "step_size": 0.01},
    },
    # 10 steps of a quarter of epsilon, as published on CIFAR-10.
    "fashion_mnist": _ten_steps(0.1),
    "cifar10_jpeg75": _ten_steps(8 / 255),
}
"""Options of the published recipes where they are not the method's defaults, by data set."""

OWN_BEST: dict[str, dict[str, dict[str, Any]]] = {
    "fashion_mnist": {
        "fgsm-rs": {"epsilon_factor": 1.15, "label_smoothing": 0.3, "learning_rate": 7e-3},
        "n-fgsm": {"label_smoothing": 0.1, "learning_rate": 4e-3},
        "fgsm-pgi": {"learning_rate": 7e-3},
        "nuat": {"epsilon_factor": 1.15, "learning_rate": 4e-3},
        "pgd": {"learning_rate": 4e-3},
        "trades": {"learning_rate": 4e-3},
    }
}
"""Fields of the rivals' configurations that held-out images chose, by data set.

All else, and all on other data sets, is the preset's but for the ball, which is that of their
papers, and the label smoothing, which is the method's default.
"""

# PGD at the full epsilon of 0.3 from the first step on taught the network nothing in 4 epochs: it
# answered with one class. All methods that use the whole ball at once get a rising epsilon.
NEEDS_WARMUP = ("fgsm", "fgsm-rs", "n-fgsm", "fgsm-pgi", "pgd", "alp", "free", "yopo")


def recipe_of(
    name: str, preset: TrainingConfig, dataset: str, share: float
) -> tuple[TrainingConfig, float]:
    """The configuration of a method, and the share of its training over which epsilon rises.

    Args:
        name: of the method.
        preset: whose network all have; the recipe of its own method.
        dataset: what they are compared on.
        share: of the training, for methods that learn nothing at the full epsilon.

    Raises:
        ValueError: if the preset's network cannot be trained so.
    """
    if name == preset.method:
        return preset, preset.epsilon_warmup_epochs / preset.epochs
    options = PUBLISHED.get(dataset, {}).get(name, {})
    fields = {"epsilon_factor": 1.0, **OWN_BEST.get(dataset, {}).get(name, {})}
    config = dataclasses.replace(preset.with_method(name, **options), **fields)
    return config, share if name in NEEDS_WARMUP else 0.0
