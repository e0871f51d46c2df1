"""cluster/kuberay.yaml and its image: what Kubernetes and the KubeRay operator would read."""

from __future__ import annotations

import copy
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.cluster.files import CLUSTER, REPOSITORY, pin, project

SCHEMA = yaml.safe_load(Path(__file__).with_name("rayjob_schema.yaml").read_text())


def objects() -> dict[str, dict[str, Any]]:
    """Return the objects of the file by their kind."""
    return {o["kind"]: o for o in yaml.safe_load_all((CLUSTER / "kuberay.yaml").read_text())}


def validate(kind: str, given: dict[str, Any]) -> None:
    jsonschema.validate(given, {"$defs": SCHEMA["$defs"], **SCHEMA[kind]})


@pytest.fixture
def job() -> dict[str, Any]:
    return objects()["RayJob"]["spec"]


@pytest.fixture
def cluster(job: dict[str, Any]) -> dict[str, Any]:
    return job["rayClusterSpec"]


def pods(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the pods of head and workers."""
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


# --- what Kubernetes and the operator accept


@pytest.mark.parametrize("kind", ["PersistentVolumeClaim", "ServiceAccount", "RayJob"])
def test_every_object_follows_its_schema(kind: str) -> None:
    validate(kind, objects()[kind])


def test_the_schema_lets_no_misspelt_field_through() -> None:
    job = objects()["RayJob"]
    job["spec"]["rayClusterSpec"]["enableInTreeAutoscalling"] = True
    with pytest.raises(jsonschema.ValidationError, match="enableInTreeAutoscalling"):
        validate("RayJob", job)


def test_the_job_follows_the_published_definition() -> None:
    """The check that an API server makes, and stricter: a field it would drop is a fault."""
    place = os.environ.get("RXTUNE_RAYJOB_CRD")
    if place is None:
        pytest.skip("RXTUNE_RAYJOB_CRD=FILE: `kubectl get crd rayjobs.ray.io -o yaml > FILE`")
    definition = yaml.safe_load(Path(place).read_text())
    (version,) = [v for v in definition["spec"]["versions"] if v["name"] == "v1"]
    jsonschema.validate(objects()["RayJob"], strict(version["schema"]["openAPIV3Schema"]))


def strict(schema: Any) -> Any:
    """Return a schema of a definition under which an unknown field is a fault."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items() if key != "format"}
    if "properties" in made and made.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


def test_an_unknown_field_is_a_fault_under_a_published_definition() -> None:
    published = {"type": "object", "properties": {"known": {"type": "string"}}}
    jsonschema.validate({"known": "x"}, strict(published))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"unknown": "x"}, strict(published))


def test_the_pods_follow_kubernetes_own_description(cluster: dict[str, Any]) -> None:
    models = pytest.importorskip("kubernetes.client.models", reason="pip install kubernetes")
    for pod in pods(cluster):
        assert list(unknown_fields(pod, "V1PodSpec", models, "pod")) == []
    claim = objects()["PersistentVolumeClaim"]
    assert list(unknown_fields(claim, "V1PersistentVolumeClaim", models, "claim")) == []
    wrong = copy.deepcopy(pods(cluster)[0])
    wrong["containers"][0]["volumeMount"] = []
    assert list(unknown_fields(wrong, "V1PodSpec", models, "pod")) == [
        "pod.containers[0].volumeMount"
    ]


def unknown_fields(value: Any, kind: str, models: Any, at: str) -> Iterator[str]:
    """Yield the fields that a type of Kubernetes' API does not have."""
    if kind.startswith("List["):
        for number, item in enumerate(value):
            yield from unknown_fields(item, kind[5:-1], models, f"{at}[{number}]")
    elif model := getattr(models, kind, None):
        types = {model.attribute_map[name]: kind for name, kind in model.openapi_types.items()}
        for key, item in value.items():
            if key not in types:
                yield f"{at}.{key}"
            else:
                yield from unknown_fields(item, types[key], models, f"{at}.{key}")


def test_the_operator_accepts_the_autoscaler(cluster: dict[str, Any]) -> None:
    """Rules of KubeRay's own validation that no schema states."""
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["autoscalerOptions"]["version"] == "v2"
    for pod in pods(cluster):
        assert pod.get("restartPolicy", "Never") == "Never"
        names = {variable["name"] for c in pod["containers"] for variable in c.get("env", [])}
        assert "RAY_enable_autoscaler_v2" not in names


# --- who may connect, and what it costs


def test_the_cluster_has_a_token_and_no_outer_address(cluster: dict[str, Any]) -> None:
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert not cluster["headGroupSpec"].get("enableIngress")


def test_nothing_is_left_to_be_billed_but_the_volume(job: dict[str, Any]) -> None:
    assert job["shutdownAfterJobFinishes"] is True
    assert job["ttlSecondsAfterFinished"] <= 600
    assert job["activeDeadlineSeconds"] <= 2 * 24 * 3600
    for group in job["rayClusterSpec"]["workerGroupSpecs"]:
        assert group["minReplicas"] == 0
    assert job["rayClusterSpec"]["autoscalerOptions"]["idleTimeoutSeconds"] <= 900


def test_only_workers_take_a_gpu(cluster: dict[str, Any]) -> None:
    head, *workers = pods(cluster)
    assert "nvidia.com/gpu" not in head["containers"][0]["resources"]["limits"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for worker in workers:
        assert worker["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


# --- what runs


def test_what_the_job_writes_is_on_the_volume(
    job: dict[str, Any], cluster: dict[str, Any]
) -> None:
    head = pods(cluster)[0]
    (mount,) = head["containers"][0]["volumeMounts"]
    (volume,) = head["volumes"]
    claim = objects()["PersistentVolumeClaim"]["metadata"]["name"]
    assert volume == {"name": mount["name"], "persistentVolumeClaim": {"claimName": claim}}
    words = shlex.split(job["entrypoint"])
    assert words[words.index("--runs") + 1].startswith(f"{mount['mountPath']}/")
    tracking = words[words.index("--tracking-uri") + 1]
    assert tracking.startswith(f"sqlite:///{mount['mountPath']}/")


def test_as_many_trials_run_as_there_may_be_gpus(
    job: dict[str, Any], cluster: dict[str, Any]
) -> None:
    words = shlex.split(job["entrypoint"])
    gpus = sum(group["maxReplicas"] for group in cluster["workerGroupSpecs"])
    assert int(words[words.index("--workers") + 1]) == gpus


def test_the_entrypoint_needs_no_shell(job: dict[str, Any]) -> None:
    assert not re.search(r"[$&;|<>`'\"*?()]", job["entrypoint"])


def test_every_account_that_a_pod_names_is_made(cluster: dict[str, Any]) -> None:
    made = objects()["ServiceAccount"]["metadata"]["name"]
    assert {pod["serviceAccountName"] for pod in pods(cluster)} == {made}


# --- the image


def test_all_pods_run_one_image_of_this_version(cluster: dict[str, Any]) -> None:
    images = {c["image"] for pod in pods(cluster) for c in pod["containers"]}
    assert images == {f"REGISTRY/rxtune:{project()['version']}"}


def test_the_image_and_the_job_name_the_pinned_ray(cluster: dict[str, Any]) -> None:
    assert cluster["rayVersion"] == pin("ray")
    (base,) = re.findall(r"^FROM (\S+)$", (CLUSTER / "Dockerfile").read_text(), re.MULTILINE)
    assert re.fullmatch(rf"rayproject/ray:{re.escape(pin('ray'))}-py31[12]", base)


def test_the_image_installs_this_version_pinned() -> None:
    text = (CLUSTER / "Dockerfile").read_text()
    assert "pip install --no-cache-dir -c rxtune-source/constraints.txt" in text
    assert f'assert version("rxtune") == "{project()["version"]}"' in text
    assert f"REGISTRY/rxtune:{project()['version']}" in text


def test_the_image_copies_only_what_its_ignore_file_lets_in() -> None:
    copied = re.findall(r"^COPY (?:--\S+ )*(.*) \S+$", (CLUSTER / "Dockerfile").read_text(), re.M)
    sources = {source for line in copied for source in line.split()}
    ignore = (CLUSTER / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in ignore
    assert {line[1:] for line in ignore if line.startswith("!")} == sources
    assert {source for source in sources if not (REPOSITORY / source).exists()} == set()


def test_the_job_starts_what_the_image_holds(job: dict[str, Any]) -> None:
    words = shlex.split(job["entrypoint"])
    text = (CLUSTER / "Dockerfile").read_text()
    assert f"cluster/{words[0]} /usr/local/bin/" in text
    assert (REPOSITORY / words[words.index("--space") + 1]).exists()  # the working folder's
