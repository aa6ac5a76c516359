"""The keys that dashboards and alarm rules use, as their documents have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dlms_connector import platform_keys
from dlms_connector.platform_keys import Key, Place
from dlms_connector.thingsboard import health, meter_keys
from dlms_connector.thingsboard.aliases import all_devices
from dlms_connector.thingsboard.widgets import Json

Subject = Literal["meter", "gateway"]
_SCOPES: Mapping[str, Place] = {"CLIENT_SCOPE": "client", "SERVER_SCOPE": "server"}


@dataclass(frozen=True, slots=True)
class Use:
    """A key of a time series or of an attribute, and the widget or rule that uses it."""

    key: str
    is_attribute: bool
    subject: Subject
    where: str


def of_dashboard(document: Json) -> Iterator[Use]:
    """Yield what the widgets and filters of a dashboard use."""
    configuration, title = document["configuration"], document["title"]
    of_gateways = all_devices().id
    for widget in configuration["widgets"].values():
        config = widget["config"]
        where = f"{title} / {config.get('title')}"
        for source in [*config.get("datasources", ()), config.get("alarmSource") or {}]:
            subject: Subject = "gateway" if source.get("entityAliasId") == of_gateways else "meter"
            for each in source.get("dataKeys", ()):
                if each["type"] in ("timeseries", "attribute"):
                    yield Use(each["name"], each["type"] == "attribute", subject, where)
    for each in configuration["filters"].values():
        for one in each["keyFilters"]:
            kind = one["key"]["type"]
            if kind in ("ATTRIBUTE", "CLIENT_ATTRIBUTE", "TIME_SERIES"):
                yield Use(one["key"]["key"], kind != "TIME_SERIES", "meter", f"{title} / filter")


def of_rule(document: Json, subject: Subject) -> Iterator[Use]:
    """Yield what a rule uses. Its limits are not sent by anybody: they have a default."""
    for argument in document["configuration"]["arguments"].values():
        reference = argument["refEntityKey"]
        if reference.get("scope") == "SERVER_SCOPE" and "defaultValue" in argument:
            continue
        yield Use(
            reference["key"],
            reference["type"] == "ATTRIBUTE",
            subject,
            f"alarm rule {document['name']}",
        )


def known_keys() -> Mapping[str, Key]:
    """Return all keys that are described, by name."""
    found: dict[str, Key] = {}
    for module in (platform_keys, meter_keys, health):
        for value in vars(module).values():
            for key in value if isinstance(value, tuple) else (value,):
                if isinstance(key, Key):
                    found[key.name] = key
    return found


def needs(name: str, known: Mapping[str, Any]) -> str:
    """Return what a meter must have to send a key; empty if all send it, or it is not known."""
    key = known.get(name)
    return key.needs if isinstance(key, Key) else ""
