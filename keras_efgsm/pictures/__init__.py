"""The look of everything that is drawn: colours, marks, axes, labels and figures of one style."""

from keras_efgsm.pictures.axes import (
    fine_percent_axis,
    heading,
    percent_axis,
    seconds_axis,
    whole_axis,
)
from keras_efgsm.pictures.figures import new_figure, save_figure, styled
from keras_efgsm.pictures.labels import EndLabel, draw_line, label_ends
from keras_efgsm.pictures.palette import DARK, LIGHT, PAGE, Palette

__all__ = [
    "DARK",
    "LIGHT",
    "PAGE",
    "EndLabel",
    "Palette",
    "draw_line",
    "fine_percent_axis",
    "heading",
    "label_ends",
    "new_figure",
    "percent_axis",
    "save_figure",
    "seconds_axis",
    "styled",
    "whole_axis",
]
