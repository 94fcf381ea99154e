"""Trainings that collapse, that overfit slowly, and that do neither, on three data sets."""

from collections.abc import Callable
from typing import NamedTuple

from keras_efgsm import EFGSM, FGSM, PGD, Attack


class Setting(NamedTuple):
    """The data of the trainings, with the radius and the networks that suit them.

    Attributes:
        epsilon: radius in pixels of [0, 1].
        network: of most of them, a name in `CLASSIFIERS`.
        large_network: one of several times the work.
        reconstructor: a name in `RECONSTRUCTORS`.
        collapse: how far the referee falls below its best in a collapse.
        patience: how many times as long a network takes to become robust as on MNIST.
    """

    epsilon: float
    network: str
    large_network: str
    reconstructor: str
    collapse: float = 0.2
    patience: int = 1


SETTINGS = {
    "mnist": Setting(0.3, "mnist", "mnist-paper", "mnist"),
    "fashion_mnist": Setting(0.1, "strided-conv", "mnist-paper", "mnist"),
    # Robust accuracies are a third of the others', and so is what there is to lose.
    "cifar10_jpeg75": Setting(8 / 255, "strided-narrow", "strided", "subpixel", 0.1, 2),
}


class Scenario(NamedTuple):
    """A training that collapses or does not.

    Attributes:
        outcome: `"collapse"` within an epoch or two, `"slow"` overfitting, or `"healthy"`.
        why: what is wrong or right with it.
        attack: of the training, from the radius.
        is_large: whether it has the large network.
        images: of the training.
        epochs: of the training.
        learning_rate: of Adam.
        with_reconstructor: whether it has one.
        label_smoothing: of the labels.
        robust_epochs: of eFGSM that come before it, as where a robust network is trained on with a
            cheaper attack.
        later_images: of the training after these epochs; None for all of them.
    """

    outcome: str
    why: str
    attack: Callable[[float], Attack]
    is_large: bool = False
    images: int = 20_000
    epochs: int = 10
    learning_rate: float = 5e-3
    with_reconstructor: bool = False
    label_smoothing: float = 0.0
    robust_epochs: int = 0
    later_images: int | None = None


def _efgsm(epsilon: float) -> Attack:
    return EFGSM(epsilon=epsilon)


def _efgsm_alone(epsilon: float) -> Attack:
    return EFGSM(epsilon=epsilon, sigma=0.0, decay=0.0)


def _fgsm(epsilon: float) -> Attack:
    return FGSM(epsilon=epsilon)


def _fgsm_rs(epsilon: float) -> Attack:
    return FGSM(epsilon=epsilon / 3, random_start=True)


def _pgd(epsilon: float) -> Attack:
    return PGD(epsilon=epsilon / 3, steps=7, step_size=epsilon * 0.035 / 0.3)


SCENARIOS = {
    "fgsm-robust-start": Scenario(
        "collapse",
        "a robust network trained on with FGSM",
        _fgsm,
        learning_rate=1e-3,
        epochs=6,
        robust_epochs=8,
    ),
    "fgsm-large-network": Scenario(
        "collapse",
        "the same with a network of several times the work",
        _fgsm,
        is_large=True,
        learning_rate=1e-3,
        images=10_000,
        epochs=6,
        robust_epochs=10,
    ),
    "efgsm-no-momentum": Scenario(
        "collapse",
        "eFGSM without noise and memory, from a robust network",
        _efgsm_alone,
        learning_rate=2e-3,
        epochs=6,
        robust_epochs=8,
    ),
    "efgsm-few-images": Scenario(
        "slow",
        "a robust network trained on with eFGSM on 500 images",
        _efgsm,
        learning_rate=1e-3,
        epochs=40,
        robust_epochs=8,
        later_images=500,
    ),
    "efgsm": Scenario("healthy", "eFGSM", _efgsm, learning_rate=2e-3, epochs=14),
    "efgsm-reconstructor": Scenario(
        "healthy",
        "eFGSM with the re-constructor",
        _efgsm,
        learning_rate=2e-3,
        epochs=14,
        with_reconstructor=True,
        label_smoothing=0.1,
    ),
    "fgsm-rs": Scenario(
        "healthy",
        "FGSM with a random start and a moderate step",
        _fgsm_rs,
        learning_rate=2e-3,
        epochs=10,
    ),
    "pgd": Scenario(
        "healthy",
        "PGD-7, ordinary adversarial training",
        _pgd,
        learning_rate=2e-3,
        images=10_000,
        epochs=8,
    ),
}
