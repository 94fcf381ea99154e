"""The cross-entropy of adversarial images, with or without a term that keeps it from collapsing."""

from keras_efgsm.objectives import (
    AdversarialCrossEntropy,
    LogitConsistency,
    NuclearNorm,
    Objective,
)


def regularised_cross_entropy(
    label_smoothing: float = 0.1,
    consistency_weight: float = 0.0,
    nuclear_weight: float = 0.0,
) -> Objective:
    """The objective of eFGSM without a re-constructor, by the weight that is not zero.

    Args:
        label_smoothing: share of each label spread over the classes. Defaults to `0.1`.
        consistency_weight: that of `LogitConsistency`. Defaults to `0.0`.
        nuclear_weight: that of `NuclearNorm`. Defaults to `0.0`.

    Raises:
        ValueError: if both weights are given, or one is out of range.

    Example:

    ```python
    objective = regularised_cross_entropy(consistency_weight=10.0)
    ```
    """
    if consistency_weight and nuclear_weight:
        raise ValueError(
            "One of `consistency_weight` and `nuclear_weight` must be 0. Received: "
            f"consistency_weight={consistency_weight}, nuclear_weight={nuclear_weight}"
        )
    if nuclear_weight:
        return NuclearNorm(nuclear_weight, label_smoothing)
    if consistency_weight:
        return LogitConsistency(consistency_weight, label_smoothing)
    return AdversarialCrossEntropy(label_smoothing)
