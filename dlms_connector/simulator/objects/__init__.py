"""The COSEM objects of a simulated meter and the values they show.

Objects are shared by all meters of a profile. Each function gets the meter it works for as a
`MeterView`: what a meter offers its objects.
"""

from dlms_connector.simulator.objects import cosem_object, moments
from dlms_connector.simulator.objects.consumption import make_consumption
from dlms_connector.simulator.objects.directory import object_list
from dlms_connector.simulator.objects.image import Image
from dlms_connector.simulator.objects.odd_attributes import odd
from dlms_connector.simulator.objects.overrides import read_overrides
from dlms_connector.simulator.objects.profiles import objects_of
from dlms_connector.simulator.objects.shape import fields, same_shape
from dlms_connector.simulator.objects.supply import Supply
from dlms_connector.simulator.objects.switching import CONNECTED
from dlms_connector.simulator.objects.view import MeterView, Role

__all__ = [
    "CONNECTED",
    "Image",
    "MeterView",
    "Role",
    "Supply",
    "cosem_object",
    "fields",
    "make_consumption",
    "moments",
    "object_list",
    "objects_of",
    "odd",
    "read_overrides",
    "same_shape",
]
