"""The rule chain that users import into ThingsBoard: its shape, and what it promises."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.places import GATEWAY_CONFIG

CHAIN: dict[str, Any] = json.loads(
    (GATEWAY_CONFIG / "thingsboard" / "rule-chain-delivery-receipts.json").read_text("utf-8")
)
NODES: list[dict[str, Any]] = CHAIN["metadata"]["nodes"]
BY_NAME = {node["name"]: node for node in NODES}


def way(*, first: str, then: str, **turns: str) -> list[str]:
    """Return the names of the nodes that a message passes; `turns` says where it leaves a node."""
    passed, relation = [first], then
    while following := after(passed[-1], relation):
        passed.append(following)
        relation = turns.get(following.rstrip("?").replace(" ", "_"), "Success")
    return passed


def after(name: str, relation: str) -> str | None:
    """Return the name of the node that a relation leads to."""
    found = [
        NODES[wire["toIndex"]]["name"]
        for wire in CHAIN["metadata"]["connections"]
        if NODES[wire["fromIndex"]]["name"] == name and wire["type"] == relation
    ]
    assert len(found) <= 1
    return found[0] if found else None


def test_it_is_what_the_platform_imports() -> None:
    """The importer wants these keys; ids and `root` would be those of another platform."""
    assert set(CHAIN) == {"ruleChain", "metadata"}
    assert CHAIN["ruleChain"]["type"] == "CORE"
    assert not CHAIN["ruleChain"]["root"]
    assert "id" not in json.dumps([list(node) for node in (CHAIN["ruleChain"], *NODES)]).split('"')
    assert NODES[CHAIN["metadata"]["firstNodeIndex"]]["name"] == "Message Type Switch"
    assert len(BY_NAME) == len(NODES)


def test_a_receipt_is_sent_only_after_the_values_were_stored() -> None:
    assert way(first="Message Type Switch", then="Post telemetry", Receipt_wanted="True") == [
        "Message Type Switch",
        "Receipt wanted?",
        "Keep the number",
        "Take it off the values",
        "Save Timeseries with receipt",
        "Write the receipt",
        "Send the receipt",
    ]
    kept = BY_NAME["Keep the number"]["configuration"]
    assert kept == {"copyFrom": "DATA", "keys": ["dlmsReceipt"]}
    assert BY_NAME["Take it off the values"]["configuration"]["keys"] == ["dlmsReceipt"]


def test_a_probe_is_answered_in_the_same_way() -> None:
    passed = way(first="Message Type Switch", then="Post attributes", Probe="True")
    assert passed[1:3] == ["Probe?", "Keep the probe's number"]
    assert passed[-2:] == ["Write the receipt", "Send the receipt"]
    assert BY_NAME["Probe?"]["configuration"]["messageNames"] == ["dlmsReceiptProbe"]


def test_the_receipt_is_pushed_to_the_gateway_whatever_number_was_sent_before() -> None:
    sent = BY_NAME["Send the receipt"]["configuration"]
    assert sent["scope"] == "SHARED_SCOPE"
    assert sent["notifyDevice"] is True
    assert sent["updateAttributesOnlyOnValueChange"] is False
    # The platform pushes only what it also saves.
    assert sent["processingSettings"]["attributes"] == {"type": "ON_EVERY_MESSAGE"}


@pytest.mark.parametrize(
    ("message", "node"),
    [
        ("RPC Request from Device", "Log RPC from Device"),
        ("RPC Request to Device", "RPC Call Request"),
        ("Other", "Log Other"),
    ],
)
def test_other_messages_take_the_way_of_the_default_rule_chain(message: str, node: str) -> None:
    assert after("Message Type Switch", message) == node


def test_messages_that_want_no_receipt_are_stored_as_ever() -> None:
    assert after("Receipt wanted?", "False") == "Save Timeseries"
    assert after("Probe?", "False") == "Save Client Attributes"
    stored = BY_NAME["Save Timeseries"]["configuration"]
    assert stored == BY_NAME["Save Timeseries with receipt"]["configuration"]
    attributes = BY_NAME["Save Client Attributes"]["configuration"]
    assert attributes == BY_NAME["Save the other attributes"]["configuration"]
