"""What to try: one table from what a failure looked like to a sentence."""

from dlms_connector.hints.arrived import Framing, looks_like
from dlms_connector.hints.symptom import Symptom
from dlms_connector.hints.table import HINTS, SECTIONS, Hint, sentence, with_options

__all__ = [
    "HINTS",
    "SECTIONS",
    "Framing",
    "Hint",
    "Symptom",
    "looks_like",
    "sentence",
    "with_options",
]
