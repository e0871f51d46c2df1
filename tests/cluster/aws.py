"""A simulated AWS on this machine (moto), and what `ray up` does there with cluster/gpu.yaml.

No ssh and no request leaves the machine: Ray's bootstrap and node provider are called from here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.cluster.files import CLUSTER, prepared
from tests.cluster.iam import Request, allows, requests_of

ROLE = json.loads((CLUSTER / "aws-head-role.json").read_text())
"""What the head may do."""


@dataclass
class Account:
    """An empty account of the simulated AWS, and all calls to it."""

    ec2: Any
    iam: Any
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def make_roles(self) -> None:
        """Make the two instance profiles, as cluster/aws.md does."""
        for name in ("rxtune-head", "rxtune-worker"):
            self.iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
            self.iam.create_instance_profile(InstanceProfileName=name)
            self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)

    def make_group(self) -> str:
        """Make the security group, as cluster/aws.md does; return its id."""
        vpc = self.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        group = self.ec2.create_security_group(
            GroupName="ray-autoscaler-rxtune", Description="rxtune", VpcId=vpc
        )["GroupId"]
        ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
        mine = {**ssh, "IpRanges": [{"CidrIp": "198.51.100.7/32"}]}
        inside = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[mine, inside])
        return group

    def rules(self, group: str) -> set[tuple[str, Any, str]]:
        """Return protocol, port and source of what a security group lets in."""
        (found,) = self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
        return {
            (rule["IpProtocol"], rule.get("FromPort"), source)
            for rule in found["IpPermissions"]
            for source in (
                *(pair["GroupId"] for pair in rule["UserIdGroupPairs"]),
                *(block["CidrIp"] for block in rule["IpRanges"]),
            )
        }

    def instances(self, kind: str) -> list[dict[str, Any]]:
        """Return the instances that are not terminated, of "head" or "worker"."""
        wanted = [
            {"Name": "tag:ray-node-type", "Values": [kind]},
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
        ]
        found = self.ec2.describe_instances(Filters=wanted)["Reservations"]
        return [instance for group in found for instance in group["Instances"]]

    def tags(self, instance: str) -> dict[str, str]:
        """Return the tags of an instance."""
        (group,) = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"]
        return {tag["Key"]: tag["Value"] for tag in group["Instances"][0]["Tags"]}

    def refused(self) -> list[Request]:
        """Return what the calls so far asked for beyond the head's role; forget the calls."""
        calls, self.calls = list(self.calls), []
        asked = [r for call in calls for r in requests_of(*call, tags_of=self.tags)]
        assert asked
        self.calls = []
        return [request for request in asked if not allows(ROLE, request)]


def filled_in(account: Account) -> dict[str, Any]:
    """Return the file with an image of the simulated AWS, as a user writes one into it."""
    config = prepared("gpu.yaml")
    image = account.ec2.register_image(Name="with a driver")["ImageId"]
    for kind in config["available_node_types"].values():
        kind["node_config"]["ImageId"] = image
    return config


def bootstrapped(account: Account) -> dict[str, Any]:
    """Return what `ray up` hands to the head, everything made that it makes in the account."""
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    return AWSNodeProvider.bootstrap_config(filled_in(account))


def create(config: dict[str, Any], kind: str) -> Any:
    """Start a node as `ray up` starts the head and the head a worker; return the instance."""
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    provider = AWSNodeProvider(config["provider"], config["cluster_name"])
    tags = {"ray-node-type": kind, "ray-user-node-type": kind, "ray-node-name": f"ray-{kind}"}
    node_config = config["available_node_types"][kind]["node_config"]
    (instance,) = provider.create_node(node_config, tags, 1).values()
    return instance


def with_resources(
    account: Account, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Return the file with what each type brings: Ray asks AWS for all types, this for its two."""
    from ray.autoscaler._private.aws import node_provider

    kinds = config["available_node_types"].values()
    types = [kind["node_config"]["InstanceType"] for kind in kinds]
    known = account.ec2.describe_instance_types(InstanceTypes=types)["InstanceTypes"]
    monkeypatch.setattr(node_provider, "list_ec2_instances", lambda *_: known)
    return node_provider.AWSNodeProvider.fillout_available_node_types_resources(config)
