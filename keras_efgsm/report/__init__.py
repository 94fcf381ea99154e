"""The report: one HTML page on one or several runs, complete in itself."""

from keras_efgsm.report.page import render_page, write_report

__all__ = ["render_page", "write_report"]
