"""Calls that read rows of a profile: the newest ones, or those of a time range."""

from __future__ import annotations

from datetime import datetime

from dlms_connector.commands.moments import moment
from dlms_connector.commands.request import Arguments
from dlms_connector.commands.work import Context, Work
from dlms_connector.errors import CommandError
from dlms_connector.history import Row, by_time, last
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client
from dlms_connector.protocol.directive import Breath
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

#: A profile is read in many blocks, which takes long.
_TIMEOUT_S = 60.0
_MOST_ROWS = 5000

#: Rows that are written without a break.
_AT_ONCE = 1000


def read_profile(context: Context, arguments: Arguments) -> Work:
    """`readProfile`: read rows of any profile."""
    return read_rows(context, arguments.obis(), arguments)


def read_rows(context: Context, obis: Obis, arguments: Arguments) -> Work:
    """Return the work of reading the rows given by `last`, or by `from` and `to`."""
    options, stated = context.options, context.profile(obis)
    standard = context.device.dlms.standard
    if "last" in arguments.values:
        count = arguments.integer("last", None, least=1, most=_MOST_ROWS)

        def newest(client: Client) -> Talk[Value]:
            rows = yield from last(client, obis, count, options, stated, standard)
            return (yield from _shown(rows))

        return Work(talk=newest, what=f"reading {obis}", timeout_s=_TIMEOUT_S)
    start, end = _from(context, arguments), moment(context, arguments, "to") or context.now()
    if end.timestamp() < start.timestamp():
        raise CommandError(f"{arguments.method}: `to` lies before `from`")

    def between(client: Client) -> Talk[Value]:
        rows = yield from by_time(client, obis, start, end, options, context.ways, stated, standard)
        return (yield from _shown(rows))

    return Work(talk=between, what=f"reading {obis}", timeout_s=_TIMEOUT_S)


def _shown(rows: list[Row]) -> Talk[list[Value]]:
    """Return rows as JSON; the loop serves others while there are many."""
    shown: list[Value] = []
    for row in rows:
        shown.append({"time": row.at.isoformat() if row.at else None, **row.values})
        if not len(shown) % _AT_ONCE:
            yield Breath()
    return shown


def _from(context: Context, arguments: Arguments) -> datetime:
    start = moment(context, arguments, "from")
    if start is None:
        raise CommandError(f"{arguments.method}: either `last`, or `from` and `to` are needed")
    return start
