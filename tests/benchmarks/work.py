"""What is done without a meter: readings on their way up, and rows of profiles."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from statistics import median

from dlms_connector.config.model import Device
from dlms_connector.connector import DLMSConnector
from dlms_connector.cosem import AttributeRef
from dlms_connector.history.profiles import Column, Layout
from dlms_connector.history.rows import rows_of
from dlms_connector.interpret import DEFAULTS, ScalerUnit
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import Data, DataType, array, decode_whole, encode, structure
from dlms_connector.reading import Poll, Reading
from dlms_converters.uplink import DLMSUplinkConverter
from tests.benchmarks import meters
from tests.support.gateway import FakeGateway

RUNS = 7
_POLLS = 2000
_ROWS = 2000


@contextmanager
def undisturbed() -> Iterator[None]:
    """Run ahead of other processes where that is allowed (root): both sides of a comparison.

    On a loaded machine the meters are served late and one by one, and each exchange pays a turn
    of the loop and cold caches: what is measured then is the load.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except (AttributeError, OSError):
        print("not allowed to run ahead of other processes: use an idle machine", file=sys.stderr)
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def cpu_s(work: Callable[[], object]) -> float:
    """Return the median processor time of several runs."""
    took = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        took.append(time.process_time() - start)
    return median(took)


def uplink_us_per_value(folder: Path) -> float:
    """Return the time from a poll's readings until `send_to_storage` has returned, per value.

    The gateway is a stand-in: what its own storage takes is not in it.
    """
    os.environ["TB_GW_LOGS_PATH"] = str(folder)  # where the gateway's loggers write
    section = meters.section(0, 4059, "WRAPPER", ciphered=False)
    device = Device.model_validate(section)
    polls = [_poll(device, number) for number in range(_POLLS)]
    gateway = FakeGateway(folder)
    configuration = {"id": "bench", "name": "Bench", "logLevel": "ERROR", "devices": [section]}
    connector = DLMSConnector(gateway, configuration, "custom")
    converter = DLMSUplinkConverter(device, logging.getLogger("bench"))

    def work() -> None:
        for poll in polls:
            connector.send(converter.convert(device, poll))
        gateway.sent.clear()

    try:
        return cpu_s(work) / (_POLLS * len(device.timeseries)) * 1e6
    finally:
        connector.close()


def _poll(device: Device, number: int) -> Poll:
    return Poll(
        readings=tuple(
            Reading(
                key=item.key, kind="timeseries", obis=item.obis, class_id=3, attribute=2,
                value=Decimal(230_000 + number + at).scaleb(-2), unit="V",
                ts_ms=1_790_000_000_000 + number * 1000,
            )
            for at, item in enumerate(device.timeseries)
        )
    )  # fmt: skip


def profile_rows_per_s(count: int = _ROWS) -> float:
    """Return how many rows of a clock and four registers become values in a second."""
    clock = Column(AttributeRef(8, Obis.parse("0-0:1.0.0"), 2), None)
    registers = (AttributeRef(3, Obis.parse(code), 2) for code in meters.REGISTERS[:4])
    columns = (clock, *(Column(ref, ScalerUnit(-2, "V")) for ref in registers))
    layout = Layout(columns, 900)
    rows = []
    for number in range(count):
        minute = number * 15
        day, hour = divmod(minute // 60, 24)
        day %= 336  # a year of months with 28 days
        date = bytes((0x07, 0xEA, 1 + day // 28, 1 + day % 28, 0xFF))
        moment = date + bytes((hour, minute % 60, 0, 0, 0, 0, 0))
        cells = (Data(DataType.DOUBLE_LONG_UNSIGNED, 23_000 + number + at) for at in range(4))
        rows.append(structure(Data(DataType.OCTET_STRING, moment), *cells))
    octets = encode(array(*rows))
    return count / cpu_s(lambda: rows_of(decode_whole(octets), layout, DEFAULTS))
