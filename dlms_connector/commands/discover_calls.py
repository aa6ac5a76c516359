"""The call that reads a meter's object list."""

from __future__ import annotations

from dlms_connector.commands.request import Arguments
from dlms_connector.commands.work import Context, Work
from dlms_connector.discovery import brief, describe
from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

#: Every object is read once; these may be some hundreds on a slow line.
_TIMEOUT_S = 120.0


def discover_objects(context: Context, arguments: Arguments) -> Work:
    """`discover`: list the objects, and the items for the device's entry.

    `listOnly` reads no values. `all` adds registers of unknown meaning to the entry too.
    """
    list_only, every = arguments.flag("listOnly"), arguments.flag("all")

    def talk(client: Client) -> Talk[Value]:
        description = yield from describe(
            client,
            referencing=context.device.dlms.referencing,
            options=context.options,
            values=not list_only,
        )
        return brief(description, every=every)

    return Work(talk=talk, what="reading the object list", timeout_s=_TIMEOUT_S)
