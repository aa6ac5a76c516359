"""Whether each key that an installed widget or rule uses is really sent by a device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal
from urllib.parse import quote, urlencode

from dlms_connector.thingsboard.documents import Documents
from dlms_connector.thingsboard.place import Rest, find, gateway_devices, id_of, pages, rules_path
from dlms_connector.thingsboard.used_keys import (
    Subject,
    Use,
    known_keys,
    needs,
    of_dashboard,
    of_rule,
)

Answer = Literal["sent", "optional", "missing"]


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A key and who uses it. `optional`: nobody sends it, and `note` says what would."""

    key: str
    subject: Subject
    answer: Answer
    where: Sequence[str]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found: keys, things that are not installed at all, and meters of other profiles.

    A platform that is too slow when a gateway connects a meter makes it without its type, as
    `default` (seen on 4.3.1.3): no dashboard shows it then, and no rule holds for it.
    """

    keys: Sequence[KeyUse]
    absent: Sequence[str]
    elsewhere: Sequence[str] = ()

    @property
    def is_well(self) -> bool:
        """Whether all is installed and in its profile, and keys that all should send are sent."""
        return not (self.absent or self.elsewhere) and all(
            each.answer != "missing" for each in self.keys
        )


#: Meters whose profile is looked at, each with a request.
_MOST_METERS = 200


def check(rest: Rest, made: Documents, meters: Mapping[str, str] | None = None) -> Checked:
    """Compare what is installed with what devices have sent. Raises RestError.

    `meters` are the device types of configured meters, by name.
    """
    absent: list[str] = []
    uses = list(_dashboards(rest, made, absent))
    sent: dict[tuple[Subject, bool], set[str]] = {}
    for profile in made.profiles:
        found = find(rest, "/api/deviceProfiles", "name", profile["name"])
        if found is None:
            absent.append(f"device profile {profile['name']}")
            continue
        number = id_of(found)
        uses += _rules(rest, "DEVICE_PROFILE", number, made.meter_rules, "meter", absent)
        for is_attribute in (False, True):
            sent.setdefault(("meter", is_attribute), set()).update(
                _keys_of_profile(rest, number, is_attribute)
            )
    gateways = gateway_devices(rest)
    for name, number in gateways.items():
        uses += _rules(rest, "DEVICE", number, made.gateway_rules, "gateway", absent, name)
        for is_attribute in (False, True):
            sent.setdefault(("gateway", is_attribute), set()).update(
                _keys_of_device(rest, number, is_attribute)
            )
    if not gateways:
        absent.append("a gateway: the tenant has none")
    elsewhere = tuple(_elsewhere(rest, meters or {}))
    return Checked(tuple(_judged(uses, sent)), tuple(absent), elsewhere)


def _elsewhere(rest: Rest, meters: Mapping[str, str]) -> Iterator[str]:
    for name, wanted in islice(meters.items(), _MOST_METERS):
        found = rest.get("/api/tenant/devices?" + urlencode({"deviceName": name}))
        there = found.get("type") if isinstance(found, dict) else None
        if there is not None and there != wanted:
            yield f"{name} has the device profile {there!r} instead of {wanted!r}"


def _dashboards(rest: Rest, made: Documents, absent: list[str]) -> Iterator[Use]:
    for wanted in made.dashboards:
        found = find(rest, "/api/tenant/dashboards", "title", wanted["title"])
        there = rest.get(f"/api/dashboard/{quote(id_of(found))}") if found else None
        if there is None:
            absent.append(f"dashboard {wanted['title']}")
        else:
            yield from of_dashboard(there)


def _rules(
    rest: Rest,
    kind: str,
    number: str,
    wanted: Sequence[Mapping[str, object]],
    subject: Subject,
    absent: list[str],
    owner: str = "",
) -> Iterator[Use]:
    there = {each["name"]: each for each in pages(rest, rules_path(kind, number))}
    for rule in wanted:
        if rule["name"] not in there:
            absent.append(f"alarm rule {rule['name']}" + (f" of {owner}" if owner else ""))
    for each in there.values():
        yield from of_rule(each, subject)


def _keys_of_profile(rest: Rest, number: str, is_attribute: bool) -> Iterable[str]:
    """Return the keys that the devices of a profile have, in one request for the whole fleet."""
    kind = "attributes" if is_attribute else "timeseries"
    query = urlencode({"deviceProfileId": number})
    return rest.get(f"/api/deviceProfile/devices/keys/{kind}?{query}") or ()


def _keys_of_device(rest: Rest, number: str, is_attribute: bool) -> Iterable[str]:
    kind = "attributes" if is_attribute else "timeseries"
    return rest.get(f"/api/plugins/telemetry/DEVICE/{quote(number)}/keys/{kind}") or ()


def _judged(uses: Iterable[Use], sent: Mapping[tuple[Subject, bool], set[str]]) -> Iterator[KeyUse]:
    places: dict[tuple[str, Subject, bool], list[str]] = {}
    for use in uses:
        where = places.setdefault((use.key, use.subject, use.is_attribute), [])
        if use.where not in where:
            where.append(use.where)
    known = known_keys()
    for (key, subject, is_attribute), where in sorted(places.items()):
        if key in sent.get((subject, is_attribute), ()):
            yield KeyUse(key, subject, "sent", where)
        elif needed := needs(key, known):
            yield KeyUse(key, subject, "optional", where, f"sent with {needed}")
        else:
            yield KeyUse(key, subject, "missing", where, f"no {subject} has ever sent it")
