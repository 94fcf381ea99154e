"""Robust classifiers that come with the package, by name.

Each is a folder in `models`: `classifier.keras`, `model.json` with what is known of it, and the
card `README.md`, which is written from that. A folder more is a model more;
`scripts/reporting/add_robust_model.py` makes it of a run.
"""

from keras_efgsm.pretrained.card import render_robust_model_card
from keras_efgsm.pretrained.loading import RobustModels, load_robust, robust_models

__all__ = ["RobustModels", "load_robust", "render_robust_model_card", "robust_models"]
