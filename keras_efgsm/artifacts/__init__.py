"""What is deployed: every form of an export, measured on its own file."""

from keras_efgsm.artifacts.card_section import HEADING, card_section
from keras_efgsm.artifacts.forms import Export, find_export, find_twin, size_in_bytes
from keras_efgsm.artifacts.latency import Latency, measure_latencies, runner
from keras_efgsm.artifacts.measurement import measure_export
from keras_efgsm.artifacts.measurements import FormResult, Measurements

__all__ = [
    "HEADING",
    "Export",
    "FormResult",
    "Latency",
    "Measurements",
    "card_section",
    "find_export",
    "find_twin",
    "measure_export",
    "measure_latencies",
    "runner",
    "size_in_bytes",
]
