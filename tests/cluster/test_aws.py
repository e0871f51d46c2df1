"""cluster/gpu.yaml on AWS: what is asked of a simulated one, and what the head's role allows."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.cluster.aws import ROLE, Account, bootstrapped, create, filled_in, with_resources
from tests.cluster.files import load
from tests.cluster.iam import ARN, Request, allows

# --- what is started


def test_the_head_is_on_demand_and_workers_are_spot(account: Account) -> None:
    account.make_roles()
    config = bootstrapped(account)
    assert create(config, "head").instance_lifecycle is None
    assert create(config, "worker").instance_lifecycle == "spot"


@pytest.mark.parametrize("kind", ["head", "worker"])
def test_an_instance_is_as_the_file_says(account: Account, kind: str) -> None:
    account.make_roles()
    asked = load("gpu.yaml")["available_node_types"][kind]["node_config"]
    config = bootstrapped(account)
    instance = create(config, kind)
    assert instance.instance_type == asked["InstanceType"]
    assert instance.iam_instance_profile["Arn"].endswith(f"/rxtune-{kind}")
    assert instance.key_name == "ray-autoscaler_us-west-2"
    (root,) = [d for d in instance.block_device_mappings if d["DeviceName"] == "/dev/sda1"]
    assert root["Ebs"]["DeleteOnTermination"]
    (volume,) = account.ec2.describe_volumes(VolumeIds=[root["Ebs"]["VolumeId"]])["Volumes"]
    (disk,) = asked["BlockDeviceMappings"]
    assert volume["Size"] == disk["Ebs"]["VolumeSize"]
    assert volume["VolumeType"] == "gp3"
    assert volume["Encrypted"]


def test_ray_knows_what_a_worker_brings_before_it_has_one(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_resources(account, filled_in(account), monkeypatch)
    worker = config["available_node_types"]["worker"]
    assert worker["resources"]["GPU"] == 1
    assert worker["resources"]["accelerator_type:A10G"] == 1


def test_all_nodes_run_the_same_image_which_the_user_chooses() -> None:
    kinds = load("gpu.yaml")["available_node_types"].values()
    assert {kind["node_config"]["ImageId"] for kind in kinds} == {"ami-SET-ME"}


def test_no_node_gives_away_its_role_without_a_session_token() -> None:
    for kind in load("gpu.yaml")["available_node_types"].values():
        assert kind["node_config"]["MetadataOptions"] == {"HttpTokens": "required"}


# --- who gets in


def test_the_ssh_key_is_made_once_and_kept_to_its_owner(account: Account, tmp_path: Path) -> None:
    account.make_roles()
    first = bootstrapped(account)["auth"]["ssh_private_key"]
    assert bootstrapped(account)["auth"]["ssh_private_key"] == first
    assert Path(first).parent == tmp_path / ".ssh"
    assert stat.S_IMODE(Path(first).stat().st_mode) == 0o600
    assert len(account.ec2.describe_key_pairs()["KeyPairs"]) == 1


def test_a_security_group_made_beforehand_stays_as_it_is(account: Account) -> None:
    account.make_roles()
    group = account.make_group()
    before = account.rules(group)
    config = bootstrapped(account)
    for kind in config["available_node_types"].values():
        assert kind["node_config"]["SecurityGroupIds"] == [group]
    assert account.rules(group) == before == {("tcp", 22, "198.51.100.7/32"), ("-1", None, group)}


def test_without_one_no_port_but_ssh_is_opened(account: Account) -> None:
    account.make_roles()
    config = bootstrapped(account)
    (group,) = config["available_node_types"]["head"]["node_config"]["SecurityGroupIds"]
    rules = account.rules(group)
    assert {(protocol, port) for protocol, port, source in rules if source != group} == {
        ("tcp", 22)
    }


# --- what the head's role lets it do


def test_the_role_suffices_for_what_the_head_does(account: Account) -> None:
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    account.make_roles()
    config = bootstrapped(account)
    create(config, "head")
    account.calls.clear()  # so far: the user's own
    worker = create(config, "worker")
    provider = AWSNodeProvider(config["provider"], config["cluster_name"])
    assert len(provider.non_terminated_nodes({"ray-node-type": "worker"})) == 1
    assert provider.internal_ip(worker.id)
    provider.set_node_tags(worker.id, {"ray-node-status": "setting-up"})
    assert account.refused() == []
    provider.terminate_nodes([worker.id])
    assert account.refused() == []
    assert account.instances("worker") == []


def test_the_role_names_what_the_file_starts() -> None:
    config = load("gpu.yaml")
    (start,) = [s for s in ROLE["Statement"] if s["Sid"] == "StartWorkersOfThisClusterOnly"]
    worker = config["available_node_types"]["worker"]["node_config"]
    condition = start["Condition"]["StringEquals"]
    assert condition["ec2:InstanceType"] == worker["InstanceType"]
    assert condition["aws:RequestTag/ray-cluster-name"] == config["cluster_name"]


WORKER = {
    "aws:RequestTag/ray-cluster-name": "rxtune",
    "aws:RequestTag/ray-node-type": "worker",
    "ec2:InstanceType": "g5.xlarge",
}
OURS = {"aws:ResourceTag/ray-cluster-name": "rxtune", "aws:ResourceTag/ray-node-type": "worker"}


@pytest.mark.parametrize(
    ("why", "request_"),
    [
        ("a larger type", {"ec2:InstanceType": "p5.48xlarge"}),
        ("another cluster", {"aws:RequestTag/ray-cluster-name": "other"}),
        ("a second head", {"aws:RequestTag/ray-node-type": "head"}),
    ],
)
def test_the_role_starts_nothing_else(why: str, request_: dict[str, str]) -> None:
    run = Request("ec2:RunInstances", f"{ARN}instance/*", WORKER)
    assert allows(ROLE, run)
    assert not allows(ROLE, Request(run.action, run.resource, {**WORKER, **request_})), why


def test_the_role_ends_no_other_instance_and_gives_no_other_role() -> None:
    end = Request("ec2:TerminateInstances", f"{ARN}instance/i-1", OURS)
    assert allows(ROLE, end)
    assert not allows(ROLE, Request(end.action, end.resource))
    head = {**OURS, "aws:ResourceTag/ray-node-type": "head"}
    assert not allows(ROLE, Request(end.action, end.resource, head))
    service = {"iam:PassedToService": "ec2.amazonaws.com"}
    roles = "arn:aws:iam::123456789012:role/"
    assert allows(ROLE, Request("iam:PassRole", f"{roles}rxtune-worker", service))
    for other in ("rxtune-head", "admin"):
        assert not allows(ROLE, Request("iam:PassRole", roles + other, service))
    for action in ("ec2:CreateTags", "ec2:StopInstances", "iam:CreateRole", "s3:GetObject"):
        assert not allows(ROLE, Request(action, f"{ARN}instance/i-1"))
