"""cluster/gcp.yaml on Google Cloud: what Ray asks for, held against the published API.

Needs the `gcp` extra: its client brings Google's own description of the API with it.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.files import CLUSTER, load, prepared

discovery = pytest.importorskip("googleapiclient.discovery", reason="pip install '.[gcp]'")

PROJECT = "a-project"
ROLE = yaml.safe_load((CLUSTER / "gcp-head-role.yaml").read_text())["includedPermissions"]
ACCOUNT = {"email": "ray-autoscaler-sa-v1@example", "projectId": PROJECT}
DONE = {"name": "operation", "status": "DONE"}
ANSWERS = {
    "cloudresourcemanager.projects.get": {"projectId": PROJECT, "lifecycleState": "ACTIVE"},
    "cloudresourcemanager.projects.getIamPolicy": {"bindings": []},
    "cloudresourcemanager.projects.setIamPolicy": {},
    "iam.projects.serviceAccounts.get": ACCOUNT,
    "compute.projects.get": {"name": PROJECT, "commonInstanceMetadata": {"items": []}},
    "compute.projects.setCommonInstanceMetadata": DONE,
    "compute.globalOperations.get": DONE,
    "compute.zoneOperations.get": DONE,
    "compute.subnetworks.list": {"items": [{"selfLink": "the-default-subnetwork"}]},
    "compute.instances.list": {"items": []},
    "compute.instances.insert": DONE,
    "compute.instances.delete": DONE,
}


@dataclass
class Cloud:
    """Every request that a client builds, in order, and its body."""

    requests: list[tuple[str, Any]] = field(default_factory=list)

    def build(self, _http: Any, _read: Any, _uri: str, **call: Any) -> Any:
        body = json.loads(call["body"]) if call.get("body") else None
        self.requests.append((call["methodId"], body))
        return Answer(ANSWERS[call["methodId"]])

    def bodies(self, method: str) -> list[Any]:
        return [body for name, body in self.requests if name == method]


@dataclass
class Answer:
    """A request whose answer is known."""

    answer: dict[str, Any]

    def execute(self, http: Any = None) -> dict[str, Any]:
        return copy.deepcopy(self.answer)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cloud:
    from google.auth.credentials import AnonymousCredentials
    from ray.autoscaler._private.gcp import config

    monkeypatch.setenv("HOME", str(tmp_path))  # Ray writes the ssh key it makes to ~/.ssh
    cloud = Cloud()
    for service in ("crm", "iam", "compute"):
        name = {"crm": "cloudresourcemanager"}.get(service, service)

        def client(_: Any = None, name: str = name) -> Any:
            who = AnonymousCredentials()
            return discovery.build(name, "v1", credentials=who, requestBuilder=cloud.build)

        monkeypatch.setattr(config, f"_create_{service}", client)
    return cloud


def filled_in() -> dict[str, Any]:
    """Return the file with a project, as a user writes one into it."""
    text = (CLUSTER / "gcp.yaml").read_text()
    named = re.sub(r"\bPROJECT\b", PROJECT, text)
    from ray.autoscaler._private.util import prepare_config

    return prepare_config(yaml.safe_load(named))


def asked_for(cloud: Cloud, kind: str) -> dict[str, Any]:
    """Return the machine that Ray asks for, as head or worker."""
    from ray.autoscaler._private.gcp.node_provider import GCPNodeProvider

    config = GCPNodeProvider.bootstrap_config(filled_in())
    provider = GCPNodeProvider(config["provider"], config["cluster_name"])
    cloud.requests.clear()
    extra = config["head_node"] if kind == "head" else {}  # Ray's order: the file's wins
    node_config = {**extra, **config["available_node_types"][kind]["node_config"]}
    tags = {"ray-node-type": kind, "ray-node-name": f"ray-rxtune-{kind}"}
    provider.create_node(node_config, tags, 1)
    (machine,) = cloud.bodies("compute.instances.insert")
    return machine


def faults(value: Any, schema: dict[str, Any], schemas: dict[str, Any], at: str) -> Iterator[str]:
    """Yield what does not fit a schema of Google's API description."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"]]
    kinds = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
    if not isinstance(value, kinds[schema["type"]]):
        yield f"{at}: {value!r} is no {schema['type']}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is none of {schema['enum']}"
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from faults(item, schema["items"], schemas, f"{at}[{number}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            known = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            if known is None:
                yield f"{at}.{key}: unknown"
            else:
                yield from faults(item, known, schemas, f"{at}.{key}")


@pytest.mark.parametrize("kind", ["head", "worker"])
def test_the_machine_fits_the_published_api(cloud: Cloud, kind: str) -> None:
    documents = Path(discovery.__file__).parent / "discovery_cache" / "documents"
    schemas = json.loads((documents / "compute.v1.json").read_text())["schemas"]
    machine = asked_for(cloud, kind)
    assert list(faults(machine, schemas["Instance"], schemas, kind)) == []
    wrong = {**machine, "scheduling": [{"preemptible": True}]}  # as in Ray's own defaults
    assert list(faults(wrong, schemas["Instance"], schemas, kind)) != []


def test_the_head_is_on_demand_and_workers_are_spot(cloud: Cloud) -> None:
    assert "provisioningModel" not in asked_for(cloud, "head")["scheduling"]
    worker = asked_for(cloud, "worker")["scheduling"]
    assert worker["provisioningModel"] == "SPOT"
    assert worker["instanceTerminationAction"] == "DELETE"
    assert worker["automaticRestart"] is False


@pytest.mark.parametrize(("kind", "size"), [("head", "200"), ("worker", "100")])
def test_the_disk_is_as_the_file_says_and_goes_with_the_machine(
    cloud: Cloud, kind: str, size: str
) -> None:
    (disk,) = asked_for(cloud, kind)["disks"]
    assert disk["initializeParams"]["diskSizeGb"] == size
    assert disk["autoDelete"]


@pytest.mark.parametrize("kind", ["head", "worker"])
def test_every_machine_has_its_own_account_and_never_rays(cloud: Cloud, kind: str) -> None:
    (account,) = asked_for(cloud, kind)["serviceAccounts"]
    assert account["email"] == f"rxtune-{kind}@{PROJECT}.iam.gserviceaccount.com"


def test_the_role_suffices_for_what_the_head_does(cloud: Cloud) -> None:
    from ray.autoscaler._private.gcp.node_provider import GCPNodeProvider

    asked_for(cloud, "worker")
    config = filled_in()
    provider = GCPNodeProvider(config["provider"], config["cluster_name"])
    provider.non_terminated_nodes({"ray-node-type": "worker"})
    provider.terminate_node("ray-rxtune-worker-1-compute")
    methods = {method for method, _ in cloud.requests}
    assert "compute.instances.insert" in methods
    assert {method.replace(".insert", ".create") for method in methods} <= set(ROLE)


def test_zone_and_project_are_the_same_everywhere() -> None:
    provider = load("gcp.yaml")["provider"]
    text = (CLUSTER / "gcp.yaml").read_text()
    assert set(re.findall(r"zones/([\w-]+)/", text)) == {provider["availability_zone"]}
    assert provider["availability_zone"].startswith(provider["region"])
    below = text.partition("\ncluster_name:")[2]
    assert len(re.findall(r"\bPROJECT\b", below)) == 3
    assert "replace PROJECT (three times)" in text


def test_ray_is_told_what_a_worker_brings() -> None:
    """Unlike on AWS, Ray does not look it up."""
    kinds = prepared("gcp.yaml")["available_node_types"]
    cpus = {"g2-standard-4": 4, "g2-standard-8": 8}
    for kind in kinds.values():
        assert kind["resources"] == {"CPU": cpus[kind["node_config"]["machineType"]], "GPU": 1}
