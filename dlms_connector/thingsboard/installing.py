"""Brings dashboards, device profile, alarm rules and the rule chain onto the platform.

What is there already, by name, keeps its id and is changed only where it differs. The gateway may
make the device profile at any time; that profile is taken over with all its settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from dlms_connector.delivery import RestError
from dlms_connector.thingsboard.documents import Documents
from dlms_connector.thingsboard.place import (
    Rest,
    find,
    gateway_devices,
    id_of,
    pages,
    rules_path,
)
from dlms_connector.thingsboard.sameness import holds
from dlms_connector.thingsboard.widgets import Json

Did = Literal["created", "updated", "unchanged", "left"]
#: Whether the device profile leads messages to the chain that sends receipts: `auto` only where
#: the tenant's root chain is the default one, which this chain contains.
Receipts = Literal["auto", "always", "never"]

#: How often a document is sent that somebody else changes at the same time.
_TRIES = 3
_CONFLICT, _REFUSED = 409, 400


@dataclass(frozen=True, slots=True)
class Step:
    """What was done, or would be, with one thing on the platform."""

    kind: str
    name: str
    did: Did
    note: str = ""


class Installer:
    """Installs `made`. With `dry_run` nothing is changed, and the same steps are returned."""

    def __init__(
        self,
        rest: Rest,
        made: Documents,
        chain: Json,
        *,
        dry_run: bool = False,
        receipts: Receipts = "auto",
    ) -> None:
        self._rest, self._made, self._chain = rest, made, chain
        self._dry, self._receipts = dry_run, receipts

    def steps(self) -> Iterator[Step]:
        """Install one thing after the other, and tell each. Raises RestError."""
        chain_id: str | None = None
        if self._receipts != "never":
            step, chain_id = self._install_chain()
            yield step
        for profile in self._made.profiles:
            step, profile_id = self._install_profile(profile, chain_id)
            yield step
            yield from self._install_rules("DEVICE_PROFILE", profile_id, self._made.meter_rules)
        for each in self._made.dashboards:
            yield self._install_dashboard(each)
        found = gateway_devices(self._rest)
        for name, number in found.items():
            yield from self._install_rules("DEVICE", number, self._made.gateway_rules, name)
        if not found:
            for rule in self._made.gateway_rules:
                yield Step(
                    "alarm rule", rule["name"], "left",
                    "the tenant has no gateway yet; install again when it has",
                )  # fmt: skip

    # Rule chain

    def _install_chain(self) -> tuple[Step, str | None]:
        wanted, metadata = self._chain["ruleChain"], self._chain["metadata"]
        name = wanted["name"]
        found = find(self._rest, "/api/ruleChains", "name", name, type="CORE")
        did: Did = "unchanged"
        if found is None:
            did = "created"
            if self._dry:
                return Step("rule chain", name, did), None
            found = self._rest.post("/api/ruleChain", wanted)
        number = id_of(found)
        path = f"/api/ruleChain/{quote(number)}/metadata"
        there = self._rest.get(path) or {}
        if not _same_chain(there, metadata):
            did = "created" if did == "created" else "updated"
            if not self._dry:
                self._save(
                    "/api/ruleChain/metadata",
                    lambda now: {
                        **metadata,
                        "ruleChainId": {"entityType": "RULE_CHAIN", "id": number},
                        "version": now.get("version"),
                    },
                    lambda: self._rest.get(path) or {},
                )
        return Step("rule chain", name, did), number

    def _root_is_default(self) -> tuple[bool, str]:
        """Tell if the tenant's root chain does nothing that ours does not, and its name."""
        ours = {node["type"] for node in self._chain["metadata"]["nodes"]}
        for each in pages(self._rest, "/api/ruleChains", type="CORE"):
            if each.get("root"):
                there = self._rest.get(f"/api/ruleChain/{quote(id_of(each))}/metadata") or {}
                types = {node.get("type") for node in there.get("nodes") or ()}
                return types <= ours and not there.get("ruleChainConnections"), str(each["name"])
        return False, "none"

    # Device profile

    def _install_profile(self, wanted: Json, chain_id: str | None) -> tuple[Step, str | None]:
        name = wanted["name"]
        note, leads = self._leads(chain_id)
        chain = {"entityType": "RULE_CHAIN", "id": chain_id} if leads and chain_id else None
        found = self._profile(name)
        if found is None:
            if self._dry:
                return Step("device profile", name, "created", note), None
            try:
                made = self._rest.post(
                    "/api/deviceProfile", {**wanted, "defaultRuleChainId": chain}
                )
                return Step("device profile", name, "created", note), id_of(made)
            except RestError as error:
                found = self._profile(name)
                if error.code != _REFUSED or found is None:
                    raise
        # The gateway has made it, or somebody who had reasons for the settings.
        number, own_chain = id_of(found), found.get("defaultRuleChainId")
        if own_chain and chain_id and own_chain.get("id") != chain_id:
            note = "it keeps its own rule chain, so there are no delivery receipts"
        if own_chain or not leads:
            return Step("device profile", name, "unchanged", note), number
        if not self._dry:
            path = f"/api/deviceProfile/{quote(number)}"
            self._save(
                "/api/deviceProfile",
                lambda now: {**now, "defaultRuleChainId": chain},
                lambda: self._rest.get(path) or {},
            )
        return Step("device profile", name, "updated", note), number

    def _profile(self, name: str) -> Json | None:
        return find(self._rest, "/api/deviceProfiles", "name", name)

    def _leads(self, chain_id: str | None) -> tuple[str, bool]:
        """Tell whether profiles lead to the chain of receipts, and why not."""
        if self._receipts == "never":
            return "", False
        if self._receipts == "always":
            return "its messages pass the chain of receipts", True
        default, root = self._root_is_default()
        if root == self._chain["ruleChain"]["name"]:
            return "", False  # all messages pass it already
        if default:
            return "its messages pass the chain of receipts", True
        return (
            f"no delivery receipts: the root rule chain {root!r} does more than the default one; "
            "see the guide, or give --receipts always",
            False,
        )

    # Alarm rules

    def _install_rules(
        self, kind: str, number: str | None, rules: Sequence[Json], owner: str = ""
    ) -> Iterator[Step]:
        there: Mapping[str, Json] = {}
        if number is not None:
            there = {each["name"]: each for each in pages(self._rest, rules_path(kind, number))}
        for rule in rules:
            name, found = rule["name"], there.get(rule["name"])
            shown = f"{name} ({owner})" if owner else name
            if found is not None and holds(found.get("configuration"), rule["configuration"]):
                yield Step("alarm rule", shown, "unchanged")
                continue
            if not self._dry and number is not None:
                self._save_rule(kind, number, rule, found)
            yield Step("alarm rule", shown, "created" if found is None else "updated")

    def _save_rule(self, kind: str, number: str, rule: Json, found: Json | None) -> None:
        entity = {"entityId": {"entityType": kind, "id": number}}
        if found is None:
            self._rest.post("/api/alarm/rule", {**rule, **entity})
            return
        path = f"/api/alarm/rule/{quote(id_of(found))}"
        self._save(
            "/api/alarm/rule",
            lambda now: {**now, **rule},
            lambda: self._rest.get(path) or {},
        )

    # Dashboards

    def _install_dashboard(self, wanted: Json) -> Step:
        title = wanted["title"]
        found = find(self._rest, "/api/tenant/dashboards", "title", title)
        if found is None:
            if not self._dry:
                self._rest.post("/api/dashboard", wanted)
            return Step("dashboard", title, "created")
        path = f"/api/dashboard/{quote(id_of(found))}"
        there = self._rest.get(path) or {}
        if holds(there.get("configuration"), wanted["configuration"]):
            return Step("dashboard", title, "unchanged")
        if not self._dry:
            self._save(
                "/api/dashboard",
                lambda now: {**now, "configuration": wanted["configuration"]},
                lambda: self._rest.get(path) or {},
            )
        return Step("dashboard", title, "updated")

    def _save(self, path: str, changed: Callable[[Json], Json], look: Callable[[], Json]) -> Any:
        """Change what `look` returns; look again if somebody else was faster (409)."""
        for left in reversed(range(_TRIES)):
            try:
                return self._rest.post(path, changed(look()))
            except RestError as error:
                if error.code != _CONFLICT or not left:
                    raise
        return None


#: What of a node makes it what it is; ids, times and places in the picture do not.
_NODE_KEYS = ("type", "name", "configuration")


def _same_chain(there: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """Tell if a rule chain has our nodes and connections. The platform gives them in any order."""
    nodes, wanted = there.get("nodes") or [], ours["nodes"]
    by_name = {node.get("name"): node for node in nodes}
    if len(nodes) != len(wanted) or len(by_name) != len(wanted):
        return False
    for node in wanted:
        found = by_name.get(node["name"], {})
        if not all(holds(found.get(key), node[key]) for key in _NODE_KEYS):
            return False
    first, first_wanted = there.get("firstNodeIndex"), ours["firstNodeIndex"]
    if first is None or nodes[first].get("name") != wanted[first_wanted]["name"]:
        return False
    return _wires(there, nodes) == _wires(ours, wanted)


def _wires(chain: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> set[tuple[str, ...]]:
    return {
        (nodes[wire["fromIndex"]]["name"], nodes[wire["toIndex"]]["name"], wire["type"])
        for wire in chain.get("connections") or ()
    }
