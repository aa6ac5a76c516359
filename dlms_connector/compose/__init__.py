"""JSON values into COSEM data, exactly or not at all: the inverse of `interpret`.

Use `compose`; a `Target` tells what is known of the attribute or argument.
"""

from dlms_connector.compose.attributes import compose
from dlms_connector.compose.target import Target
from dlms_connector.compose.values import data_type, is_text, typed

__all__ = ["Target", "compose", "data_type", "is_text", "typed"]
