"""Losses and divergences of logits."""

from keras import ops

from keras_efgsm.typing import Tensor


def kl_divergence(logits_p: Tensor, logits_q: Tensor) -> Tensor:
    """`KL(softmax(p) || softmax(q))` `(B,)` of logits `(B, K)`: the divergence of TRADES.

    Example:

    ```python
    kl_divergence(ops.array([[1.0, 2.0]]), ops.array([[1.0, 2.0]]))  # [0.0]
    ```
    """
    log_p, log_q = ops.log_softmax(logits_p), ops.log_softmax(logits_q)
    return ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1)


def joint_loss(
    reconstruction_loss: Tensor, classification_loss: Tensor, classification_weight: float
) -> Tensor:
    """Joint loss `L_R + lambda * L_C` [16].

    Example:

    ```python
    joint_loss(0.5, 2.0, classification_weight=0.1)  # 0.7
    ```
    """
    return reconstruction_loss + classification_weight * classification_loss
