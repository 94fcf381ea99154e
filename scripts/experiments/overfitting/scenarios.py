"""Trainings that collapse, and trainings that do not."""

from typing import Any, NamedTuple

from keras_efgsm import (
    EFGSM,
    FGSM,
    PGD,
    Attack,
    mnist_classifier,
    mnist_paper_classifier,
)


class Scenario(NamedTuple):
    """A training that collapses or does not.

    `why` says what is wrong or right with it; `robust_epochs` of eFGSM come before it, as where a
    robust network is trained on with a cheaper attack.
    """

    collapses: bool
    why: str
    attack: Attack
    network: Any = mnist_classifier
    images: int = 20_000
    epochs: int = 10
    learning_rate: float = 5e-3
    with_reconstructor: bool = False
    label_smoothing: float = 0.0
    robust_epochs: int = 0


SCENARIOS = {
    "fgsm-robust-start": Scenario(
        True,
        "a robust network trained on with FGSM",
        FGSM(epsilon=0.3),
        learning_rate=1e-3,
        epochs=6,
        robust_epochs=8,
    ),
    "fgsm-large-network": Scenario(
        True,
        "the same with the paper's network, five times the work",
        FGSM(epsilon=0.3),
        network=mnist_paper_classifier,
        learning_rate=1e-3,
        images=10_000,
        epochs=6,
        robust_epochs=10,
    ),
    "efgsm-no-momentum": Scenario(
        True,
        "eFGSM without noise and memory, from a robust network",
        EFGSM(epsilon=0.3, sigma=0.0, decay=0.0),
        learning_rate=2e-3,
        epochs=6,
        robust_epochs=8,
    ),
    "efgsm": Scenario(False, "eFGSM", EFGSM(epsilon=0.3), learning_rate=2e-3, epochs=14),
    "efgsm-reconstructor": Scenario(
        False,
        "eFGSM with the re-constructor",
        EFGSM(epsilon=0.3),
        learning_rate=2e-3,
        epochs=14,
        with_reconstructor=True,
        label_smoothing=0.1,
    ),
    "fgsm-rs": Scenario(
        False,
        "random start and a moderate step",
        FGSM(epsilon=0.1, random_start=True),
        learning_rate=2e-3,
        epochs=10,
    ),
    "pgd": Scenario(
        False,
        "PGD-7, ordinary adversarial training",
        PGD(epsilon=0.1, steps=7, step_size=0.035),
        learning_rate=2e-3,
        images=10_000,
        epochs=8,
    ),
}
