"""What `read` writes for machines: JSON, CSV, and the text format of Prometheus."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from io import StringIO

import simplejson

from dlms_connector.cli.sent import as_sent, items_of, plain, unsent
from dlms_connector.config import Device
from dlms_connector.meter import Outcome
from dlms_connector.reading import Failure, Value

Results = Sequence[tuple[Device, Outcome]]

_CSV = (
    "device", "kind", "key", "obis", "class", "attribute", "value", "unit", "time", "ts",
    "quality", "error",
)  # fmt: skip


def object_failures(outcome: Outcome) -> list[Failure]:
    """Return the failures of single objects, not those caused by the meter's own error."""
    return [failure for failure in outcome.poll.failures if failure.error is not outcome.error]


def as_json(results: Results) -> str:
    """Return an object for each meter with its readings and failures; decimals stay exact."""
    return str(simplejson.dumps(
        [_object(*result) for result in results], use_decimal=True, indent=2, ensure_ascii=False
    ))  # fmt: skip


def _object(device: Device, outcome: Outcome) -> dict[str, object]:
    items = items_of(device)
    result: dict[str, object] = {"device": device.device_name}
    if outcome.error:
        result |= {"error": str(outcome.error), "hint": outcome.error.hint}
    readings = []
    for reading in outcome.poll.readings:
        value, unit = as_sent(reading, items[reading.kind, reading.key])
        readings.append({
            "key": reading.key, "kind": reading.kind, "obis": str(reading.obis),
            "class": reading.class_id, "attribute": reading.attribute,
            "value": value, "unit": unit, "ts": reading.ts_ms, "quality": reading.quality,
        })  # fmt: skip
    result["readings"] = readings
    result["failures"] = [
        {"key": failure.key, "kind": failure.kind, "obis": str(failure.obis),
         "error": str(failure.error), "hint": failure.error.hint}
        for failure in object_failures(outcome)
    ] + [
        {"key": reading.key, "kind": reading.kind, "obis": str(reading.obis), "error": why}
        for reading, why in unsent(device, outcome.poll)
    ]  # fmt: skip
    return result


def as_csv(results: Results) -> str:
    """Return a line for each reading, failure, and meter that could not be read."""
    written = StringIO()
    writer = csv.DictWriter(written, _CSV, lineterminator="\n")
    writer.writeheader()
    for device, outcome in results:
        writer.writerows(_lines(device, outcome))
    return written.getvalue().rstrip("\n")


def _lines(device: Device, outcome: Outcome) -> Iterator[dict[str, object]]:
    name, items = device.device_name, items_of(device)
    if outcome.error:
        yield {"device": name, "error": str(outcome.error)}
    kept_back = {(one.kind, one.key): why for one, why in unsent(device, outcome.poll)}
    for one in outcome.poll.readings:
        value, unit = as_sent(one, items[one.kind, one.key])
        at = datetime.fromtimestamp(one.ts_ms / 1000, timezone.utc)
        yield {
            "device": name, "kind": one.kind, "key": one.key, "obis": str(one.obis),
            "class": one.class_id, "attribute": one.attribute, "value": plain(value),
            "unit": unit or "", "time": at.isoformat(timespec="milliseconds"), "ts": one.ts_ms,
            "quality": one.quality, "error": kept_back.get((one.kind, one.key), ""),
        }  # fmt: skip
    for failure in object_failures(outcome):
        yield {
            "device": name, "kind": failure.kind, "key": failure.key, "obis": str(failure.obis),
            "error": str(failure.error),
        }  # fmt: skip


def as_prometheus(results: Results) -> str:
    """Return metrics in the text format, for the node exporter's textfile collector.

    It takes no timestamps, so the time of a meter's reading is a metric of its own. Values that are
    no numbers have no place there.
    """
    up, at, values, failed = [], [], [], []
    for device, outcome in results:
        name, items = device.device_name, items_of(device)
        up.append(_metric("dlms_up", {"device": name}, int(outcome.error is None)))
        count = len(object_failures(outcome))
        failed.append(_metric("dlms_failed_objects", {"device": name}, count))
        if newest := max((one.ts_ms for one in outcome.poll.readings), default=None):
            seconds = Decimal(newest).scaleb(-3)
            at.append(_metric("dlms_read_timestamp_seconds", {"device": name}, seconds))
        for one in outcome.poll.readings:
            value, unit = as_sent(one, items[one.kind, one.key])
            if isinstance(value, int | Decimal):
                labels = {"device": name, "key": one.key, "obis": str(one.obis)}
                labels |= {"kind": one.kind, "unit": unit or "", "quality": one.quality}
                values.append(_metric("dlms_value", labels, value))
    families = (
        ("dlms_up", "Whether the meter answered.", up),
        ("dlms_failed_objects", "Objects that the meter did not give.", failed),
        ("dlms_read_timestamp_seconds", "When the meter was read, Unix time.", at),
        ("dlms_value", "A value of the meter, as it is sent to the platform.", values),
    )
    lines = []
    for metric, means, samples in families:
        if samples:
            lines += [f"# HELP {metric} {means}", f"# TYPE {metric} gauge", *samples]
    return "\n".join(lines)


def _metric(name: str, labels: Mapping[str, str], value: Value) -> str:
    told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    number = value if isinstance(value, Decimal) else Decimal(int(value))  # type: ignore[arg-type]
    return f"{name}{{{told}}} {number:f}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


#: The formats for machines, by name.
FORMATS: Mapping[str, Callable[[Results], str]] = {
    "csv": as_csv,
    "json": as_json,
    "prometheus": as_prometheus,
}
