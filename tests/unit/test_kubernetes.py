"""The sample manifests for Kubernetes: by its own schemas, and by our own loader."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from dlms_connector.config import load
from tests.support.places import ROOT

FOLDER = ROOT / "gateway-config" / "kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
#: The oldest that is still supported somewhere, and the newest whose schemas are installed.
VERSIONS = ("1.29", kubernetes_validate.latest_version())


def resources() -> Iterator[dict[str, Any]]:
    for path in FILES:
        yield from yaml.safe_load_all(path.read_text("utf-8"))


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = [
        one for one in resources() if one["kind"] == kind and one["metadata"]["name"] == name
    ]
    return found


@pytest.fixture(scope="module")
def pod() -> dict[str, Any]:
    template: dict[str, Any] = named("StatefulSet", "dlms-gateway")["spec"]["template"]
    return template


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_schemas_of_kubernetes_take_them(path: Path, version: str) -> None:
    for resource in yaml.safe_load_all(path.read_text("utf-8")):
        kubernetes_validate.validate(resource, version, strict=True)


def test_the_schemas_refuse_what_is_wrong() -> None:
    wrong = named("StatefulSet", "dlms-gateway")
    wrong["spec"]["replica"] = wrong["spec"].pop("replicas")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_what_they_name_is_there(pod: dict[str, Any]) -> None:
    whole = named("StatefulSet", "dlms-gateway")["spec"]
    labels = pod["metadata"]["labels"].items()
    assert whole["selector"]["matchLabels"].items() <= labels
    assert named("Service", whole["serviceName"])["spec"]["selector"].items() <= labels
    volumes = {one["name"]: one for one in pod["spec"]["volumes"]}
    claims = {one["metadata"]["name"] for one in whole["volumeClaimTemplates"]}
    for container in (*pod["spec"]["initContainers"], *pod["spec"]["containers"]):
        assert {one["name"] for one in container["volumeMounts"]} <= volumes.keys() | claims
        for variable in container.get("env", ()):
            if reference := variable["valueFrom"].get("configMapKeyRef"):
                assert reference["key"] in named("ConfigMap", reference["name"])["data"]
    for volume in volumes.values():
        if "secret" in volume:
            assert named("Secret", volume["secret"]["secretName"])
        else:
            assert named("ConfigMap", volume["configMap"]["name"])


def test_each_pod_has_a_token_and_a_share(pod: dict[str, Any]) -> None:
    whole = named("StatefulSet", "dlms-gateway")
    data = named("ConfigMap", "dlms-gateway")["data"]
    assert data["shard-count"] == str(whole["spec"]["replicas"])
    pods = {f"dlms-gateway-{number}" for number in range(whole["spec"]["replicas"])}
    assert named("Secret", "dlms-gateway-tokens")["stringData"].keys() == pods
    (container,) = pod["spec"]["containers"]
    environment = {one["name"]: one["valueFrom"] for one in container["env"]}
    assert environment["DLMS_SHARD_INDEX"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert environment["DLMS_SHARD_COUNT"]["configMapKeyRef"]["key"] == "shard-count"


def test_the_configuration_is_valid_in_each_pod(tmp_path: Path) -> None:
    data = named("ConfigMap", "dlms-gateway")["data"]
    secrets = tmp_path / "meters"
    secrets.mkdir()
    for name, value in named("Secret", "dlms-gateway-meters")["stringData"].items():
        (secrets / name).write_text(value)
    served = []
    for number in range(int(data["shard-count"])):
        environment = {
            "DLMS_SHARD_INDEX": f"dlms-gateway-{number}",
            "DLMS_SHARD_COUNT": data["shard-count"],
            "DLMS_SECRETS_DIRECTORY": str(tmp_path),
        }
        loaded = load(data["dlms.json"], base=tmp_path, environment=environment)
        assert loaded.every_problem == ()
        served += [device.device_name for device in loaded.configuration.devices]
    assert sorted(served) == ["House 1", "House 2"]
    main = json.loads(data["tb_gateway.json"])
    assert main["connectors"][0]["class"] == "DLMSConnector"


def test_it_ends_by_sigint(pod: dict[str, Any]) -> None:
    (container,) = pod["spec"]["containers"]
    (_, _, script) = container["lifecycle"]["preStop"]["exec"]["command"]
    assert script.startswith("kill -INT 1;")
    assert int(script.rpartition(" ")[2]) < pod["spec"]["terminationGracePeriodSeconds"]
