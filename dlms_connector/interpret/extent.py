"""How long a value will be, before it is interpreted: dates and texts take time to make."""

from __future__ import annotations

from dlms_connector.protocol.data import Data

#: Bytes of JSON, with the comma: a number has one digit or more, a text its quotes.
_NUMBER, _OTHER = 3, 4
#: Values that are interpreted in no time.
_MANY = 32


def is_longer(data: Data, size: int) -> bool:
    """Whether the value will surely have more bytes as JSON than this.

    Texts count as empty: they may be cut.
    """
    if not isinstance(data.value, tuple):
        return False
    left, waiting = size, [data.value]
    while waiting:
        elements = waiting.pop()
        left -= _OTHER + _NUMBER * len(elements)
        if left < 0:
            return True
        for element in elements:
            value = element.value
            if isinstance(value, tuple):
                waiting.append(value)
            elif not isinstance(value, int | float):
                left -= _OTHER - _NUMBER
    return left < 0


def has_many(data: Data) -> bool:
    """Whether to interpret the data may take long enough to let others run afterwards."""
    return isinstance(data.value, tuple) and is_longer(data, _MANY * _OTHER)
