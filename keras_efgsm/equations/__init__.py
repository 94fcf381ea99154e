"""The equations of Chen & Lee as pure functions of tensors.

The paper is "Towards Fast and Robust Adversarial Training for Image Classification".
Notation: x clean images `(B, H, W, C)` with pixels in [0, 1]; t true classes `(B,)`; z logits
`(B, K)`; epsilon the L-infinity radius in pixels of [0, 1]. A number in square brackets is the
equation of the paper. Nothing here takes a gradient, so every Keras backend runs it; where an
equation needs one, it comes in as an argument.
"""

from keras_efgsm.equations.losses import (
    joint_loss,
    kl_divergence,
)
from keras_efgsm.equations.rivals import (
    gradient_norm,
    linearised_distance,
    linearised_margin,
    margin,
    margin_slopes,
    margins,
    nearest_rivals,
    rival_logits,
    worst_linear_margin,
)
from keras_efgsm.equations.steps import (
    ball_bounds,
    boundary_step,
    momentum_start,
    per_sample,
    project,
    random_corner,
    signed_step,
    update_momentum,
)

__all__ = [
    "ball_bounds",
    "boundary_step",
    "gradient_norm",
    "joint_loss",
    "kl_divergence",
    "linearised_distance",
    "linearised_margin",
    "margin",
    "margin_slopes",
    "margins",
    "momentum_start",
    "nearest_rivals",
    "per_sample",
    "project",
    "random_corner",
    "rival_logits",
    "signed_step",
    "update_momentum",
    "worst_linear_margin",
]
