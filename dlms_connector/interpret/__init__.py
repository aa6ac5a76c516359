"""What the meter's data means: exact values with units, text, dates, and readable JSON.

Use `interpret` for a value and its unit, `examine` for its quality too. Nothing here does IO.
"""

from dlms_connector.interpret.attributes import Examiner, examine, interpret
from dlms_connector.interpret.context import DEFAULTS, Interpretation, Options, options_of
from dlms_connector.interpret.extent import has_many, is_longer
from dlms_connector.interpret.moments import aware, moment_of, of_unix_time
from dlms_connector.interpret.objects import shape_of
from dlms_connector.interpret.octets import is_date_time
from dlms_connector.interpret.scaling import ScalerUnit, is_number, scaler_unit
from dlms_connector.interpret.shapes import hidden
from dlms_connector.interpret.zone_error import zone_error

__all__ = [
    "DEFAULTS",
    "Examiner",
    "Interpretation",
    "Options",
    "ScalerUnit",
    "aware",
    "examine",
    "has_many",
    "hidden",
    "interpret",
    "is_date_time",
    "is_longer",
    "is_number",
    "moment_of",
    "of_unix_time",
    "options_of",
    "scaler_unit",
    "shape_of",
    "zone_error",
]
