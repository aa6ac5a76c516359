"""Finds what a tenant has on the platform: by name, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from dlms_connector.delivery import RestError
from dlms_connector.thingsboard.aliases import gateways
from dlms_connector.thingsboard.widgets import Json

_PAGE, _MOST_PAGES = 100, 500
_HINT = "is it a ThingsBoard 4.3 or later?"


class Rest(Protocol):
    """The part of `delivery.Rest` that is used; raises RestError."""

    def get(self, path: str) -> Any:
        """Return an answer; None if there is no such thing."""

    def post(self, path: str, body: Any) -> Any:
        """Send a document and return the answer."""


def pages(rest: Rest, path: str, **query: str) -> Iterator[Json]:
    """Yield all entities of a list. The platform gives them in pages."""
    for page in range(_MOST_PAGES):
        asked = f"{path}?" + urlencode({"pageSize": _PAGE, "page": page, **query})
        found = _page(rest.get(asked), path)
        yield from found["data"]
        if not found.get("hasNext"):
            return


def _page(found: Any, path: str) -> Json:
    if not isinstance(found, dict) or not isinstance(found.get("data"), list):
        raise RestError(f"{path}: the platform has no such list; {_HINT}")
    return found


def find(rest: Rest, path: str, field: str, name: str, **query: str) -> Json | None:
    """Return the entity of exactly this name: the platform's own search takes parts of it."""
    found = pages(rest, path, textSearch=name, **query)
    return next((each for each in found if each.get(field) == name), None)


def id_of(entity: Mapping[str, Any]) -> str:
    """Return the id of an entity; RestError if the answer has none."""
    found = entity.get("id")
    number = found.get("id") if isinstance(found, dict) else None
    if not isinstance(number, str):
        raise RestError(f"the platform's answer has no id; {_HINT}")
    return number


def gateway_devices(rest: Rest) -> Mapping[str, str]:
    """Return the names of the gateways' devices, and their ids."""
    condition = dict(gateways().key_filters[0])
    predicates = condition.pop("predicates")
    query: Json = {
        "entityFilter": {"type": "entityType", "entityType": "DEVICE"},
        "keyFilters": [{**condition, "predicate": predicates[0]["keyFilterPredicate"]}],
        "entityFields": [{"type": "ENTITY_FIELD", "key": "name"}],
        "latestValues": [],
    }
    result: dict[str, str] = {}
    for page in range(_MOST_PAGES):
        link = {
            "page": page,
            "pageSize": _PAGE,
            "sortOrder": {"key": {"type": "ENTITY_FIELD", "key": "name"}, "direction": "ASC"},
        }
        found = _page(
            rest.post("/api/entitiesQuery/find", {**query, "pageLink": link}), "entitiesQuery"
        )
        for each in found["data"]:
            name = each["latest"]["ENTITY_FIELD"]["name"]["value"]
            result[name] = each["entityId"]["id"]
        if not found.get("hasNext"):
            break
    return result


def rules_path(kind: str, number: str) -> str:
    """Return the path of the alarm rules of a device profile or of a device."""
    return f"/api/alarm/rules/{kind}/{quote(number)}"
