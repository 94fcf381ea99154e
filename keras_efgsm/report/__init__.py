"""The report: one HTML page on one or several runs, complete in itself; and pictures of images."""

from keras_efgsm.report.adversarial_pictures import write_pictures
from keras_efgsm.report.page import render_page, write_report

__all__ = ["render_page", "write_pictures", "write_report"]
