"""Measurements of every form of an export, on the file that is deployed."""

from keras_efgsm.export.measuring.card import write_measured_card
from keras_efgsm.export.measuring.card_section import card_section
from keras_efgsm.export.measuring.exported_forms import Export, find_export, find_twin
from keras_efgsm.export.measuring.latency import Latency, measure_latencies, runner
from keras_efgsm.export.measuring.measured_export import measure
from keras_efgsm.export.measuring.measurement import measure_export
from keras_efgsm.export.measuring.measurements import FormResult, Measurements

__all__ = [
    "Export",
    "FormResult",
    "Latency",
    "Measurements",
    "card_section",
    "find_export",
    "find_twin",
    "measure",
    "measure_export",
    "measure_latencies",
    "runner",
    "write_measured_card",
]
