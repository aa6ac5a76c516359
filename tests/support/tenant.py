"""What a tenant has on ThingsBoard, over the stand-in's REST API, with the real server's traps.

As measured on ThingsBoard CE 4.3.1.3: lists come in pages; a search finds parts of names, in any
case; a stale `version` is refused with 409, a profile's name that exists with 400; documents come
back with fields that nobody sent, and numbers of rules as decimals; the token expires.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from dlms_connector.demo.platform_rest import PlatformRest
from dlms_connector.demo.platform_store import Store

Json = dict[str, Any]
#: The lists of entities: path, kind, and the field that is searched.
_LISTS = {
    "/api/ruleChains": ("ruleChain", "name"),
    "/api/deviceProfiles": ("deviceProfile", "name"),
    "/api/tenant/dashboards": ("dashboard", "title"),
}
_SAVES = {
    "/api/ruleChain": "ruleChain",
    "/api/deviceProfile": "deviceProfile",
    "/api/dashboard": "dashboard",
    "/api/alarm/rule": "alarmRule",
}
#: What the default root rule chain of ThingsBoard CE 4.3 has.
_ROOT_TYPES = (
    "org.thingsboard.rule.engine.telemetry.TbMsgTimeseriesNode",
    "org.thingsboard.rule.engine.telemetry.TbMsgAttributesNode",
    "org.thingsboard.rule.engine.filter.TbMsgTypeSwitchNode",
    "org.thingsboard.rule.engine.action.TbLogNode",
    "org.thingsboard.rule.engine.rpc.TbSendRPCRequestNode",
)


class Tenant(PlatformRest):
    """A tenant with the default root rule chain. `posted` has the paths of what was sent."""

    def __init__(self, store: Store, users: dict[str, str], *, most_in_page: int = 2) -> None:
        super().__init__(store, users)
        self.entities: dict[str, dict[str, Json]] = {
            kind: {}
            for kind in ("ruleChain", "deviceProfile", "dashboard", "alarmRule", "metadata")
        }
        #: Keys that devices of a profile, or a gateway, have sent: (id, kind) to names.
        self.sent: dict[tuple[str, str], list[str]] = {}
        self.gateways: dict[str, str] = {}
        #: The device profiles of devices, by name.
        self.types: dict[str, str] = {}
        self.posted: list[str] = []
        #: Somebody else saves a document between our look at it and our post, so many times.
        self.rivals = 0
        #: The gateway makes this profile just before ours arrives.
        self.late_profile: str | None = None
        self._most_in_page = most_in_page
        root = self.add("ruleChain", {"name": "Root Rule Chain", "root": True, "type": "CORE"})
        self.entities["metadata"][root] = {
            "version": 1,
            "nodes": [{"type": each, "name": each} for each in _ROOT_TYPES],
        }

    def add(self, kind: str, entity: Mapping[str, Any]) -> str:
        """Add an entity, and return its id."""
        number = str(uuid4())
        self.entities[kind][number] = {
            **copy.deepcopy(dict(entity)),
            "id": {"entityType": kind.upper(), "id": number},
            "version": 1,
            "createdTime": 1_780_000_000_000,
        }
        return number

    def named(self, kind: str, name: str) -> Json:
        """Return the entity of a name; KeyError if there is none."""
        for entity in self.entities[kind].values():
            if name in (entity.get("name"), entity.get("title")):
                return entity
        raise KeyError(name)

    def _answer(self, method: str, target: str, token: str, body: bytes) -> tuple[int, Any]:
        code, content = super()._answer(method, target, token, body)
        parts = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path == "/api/tenant/devices" and query["deviceName"] in self.types:
            return 200, {"id": {"id": str(uuid4())}, "type": self.types[query["deviceName"]]}
        if code != 404 or parts.path == "/api/tenant/devices":
            return code, content
        if method == "GET":
            return self._get(parts.path, query)
        return self._post(parts.path, json.loads(body))

    def _get(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        if path in _LISTS:
            kind, field = _LISTS[path]
            found = list(self.entities[kind].values())
            if kind == "dashboard":  # a list has no configurations
                found = [{k: v for k, v in each.items() if k != "configuration"} for each in found]
            return 200, self._page(found, field, query)
        match path.split("/")[2:]:
            case ["alarm", "rules", _, number]:
                rules = self.entities["alarmRule"].values()
                mine = [each for each in rules if each["entityId"]["id"] == number]
                return 200, self._page(mine, "name", query)
            case ["alarm", "rule", number]:
                return self._one("alarmRule", number)
            case ["ruleChain", number, "metadata"]:
                return 200, self.entities["metadata"].get(number, {"nodes": [], "version": 1})
            case [("ruleChain" | "deviceProfile" | "dashboard") as kind, number]:
                return self._one(kind, number)
            case ["deviceProfile", "devices", "keys", kind]:
                return 200, self.sent.get((query["deviceProfileId"], kind), [])
            case ["plugins", "telemetry", "DEVICE", number, "keys", kind]:
                return 200, self.sent.get((number, kind), [])
        return 404, {"message": "no such thing"}

    def _page(self, found: list[Json], field: str, query: Mapping[str, str]) -> Json:
        wanted = query.get("textSearch", "").lower()
        found = [each for each in found if wanted in str(each[field]).lower()]
        size = min(int(query["pageSize"]), self._most_in_page)
        start = int(query["page"]) * size
        more = len(found) > start + size
        return {"data": found[start : start + size], "hasNext": more, "totalElements": len(found)}

    def _one(self, kind: str, number: str) -> tuple[int, Any]:
        entity = self.entities[kind].get(number)
        return (404, {"message": "not found"}) if entity is None else (200, copy.deepcopy(entity))

    def _post(self, path: str, body: Json) -> tuple[int, Any]:
        self.posted.append(path)
        if path == "/api/entitiesQuery/find":
            condition = body["keyFilters"][0]["predicate"]["value"]["defaultValue"]
            found = self.gateways if condition == '"gateway":true' else {}
            return 200, {
                "data": [
                    {
                        "entityId": {"entityType": "DEVICE", "id": number},
                        "latest": {"ENTITY_FIELD": {"name": {"ts": 0, "value": name}}},
                    }
                    for name, number in found.items()
                ],
                "hasNext": False,
            }
        if path == "/api/ruleChain/metadata":
            return self._save_metadata(body)
        if path not in _SAVES:
            return 404, {"message": "no such thing"}
        return self._save(_SAVES[path], body)

    def _save_metadata(self, body: Json) -> tuple[int, Any]:
        number = body["ruleChainId"]["id"]
        before = self.entities["metadata"].get(number)
        if before and self._stale(before, body):
            return 409, {"message": "Entity has been changed by someone else"}
        kept = {**_returned(body), "version": (before or {"version": 0})["version"] + 1}
        self.entities["metadata"][number] = kept
        return 200, kept

    def _save(self, kind: str, body: Json) -> tuple[int, Any]:
        number = (body.get("id") or {}).get("id")
        if number is None:
            if kind == "deviceProfile" and self.late_profile:
                self.add(kind, {"name": self.late_profile, "defaultRuleChainId": None})
                self.late_profile = None
            names = [each.get("name") for each in self.entities["deviceProfile"].values()]
            if kind == "deviceProfile" and body["name"] in names:
                return 400, {"message": "Device profile with such name already exists!"}
            number = self.add(kind, _returned(body))
            return 200, self.entities[kind][number]
        before = self.entities[kind].get(number)
        if before is None:
            return 404, {"message": "not found"}
        if self._stale(before, body):
            return 409, {"message": "Entity has been changed by someone else"}
        kept = {**_returned(body), "version": before["version"] + 1}
        self.entities[kind][number] = kept
        return 200, kept

    def _stale(self, before: Json, body: Json) -> bool:
        if self.rivals:
            self.rivals -= 1
            before["version"] += 1
        version: int | None = body.get("version")
        return version is not None and version != before["version"]


def _returned(value: Any) -> Any:
    """Return a document as it comes back: with more fields, and limits as decimals."""
    if isinstance(value, dict):
        made = {key: _returned(each) for key, each in value.items()}
        if "staticValue" in made and type(made["staticValue"]) is int:
            made["staticValue"] = float(made["staticValue"])
        if "refEntityKey" in made:
            made |= {"refEntityId": None, "limit": None, "timeWindow": None}
        return made
    return [_returned(each) for each in value] if isinstance(value, list) else value
