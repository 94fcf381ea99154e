"""Comparison: several models under the same attacks on the same images, ranked."""

from keras_efgsm.comparison.comparing import compare_models
from keras_efgsm.comparison.drawing import draw_comparison
from keras_efgsm.comparison.page import render_page
from keras_efgsm.comparison.result import Comparison

__all__ = ["Comparison", "compare_models", "draw_comparison", "render_page"]
