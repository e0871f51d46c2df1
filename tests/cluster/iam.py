"""Amazon's access rules as far as cluster/aws-head-role.json uses them; AWS itself is the judge.

A request is allowed if one statement allows it: action, resource and every condition must match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

ARN = "arn:aws:ec2:us-west-2:123456789012:"
PARTS = ("volume", "network-interface", "security-group", "subnet", "key-pair")
"""What else `RunInstances` needs a permission for, beside instance and image."""


@dataclass(frozen=True)
class Request:
    """What one call asks for; a call asks for several."""

    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict)


def allows(policy: dict[str, Any], request: Request) -> bool:
    """Return whether a policy of Allow statements lets a request through."""
    return any(_matches(statement, request) for statement in policy["Statement"])


def _matches(statement: dict[str, Any], request: Request) -> bool:
    conditions = statement.get("Condition", {})
    assert statement["Effect"] == "Allow"
    assert set(conditions) <= {"StringEquals"}
    return (
        any(fnmatchcase(request.action, action) for action in _several(statement["Action"]))
        and any(fnmatchcase(request.resource, arn) for arn in _several(statement["Resource"]))
        and all(
            request.context.get(key) in _several(values)
            for key, values in conditions.get("StringEquals", {}).items()
        )
    )


def _several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def requests_of(
    service: str, operation: str, params: dict[str, Any], tags_of: Callable[[str], dict[str, str]]
) -> Iterator[Request]:
    """Yield what a call asks for.

    Args:
        service: Such as "ec2".
        operation: Such as "RunInstances".
        params: Of the call.
        tags_of: Returns the tags of an instance that is there.
    """
    action = f"{service}:{operation}"
    if action == "ec2:RunInstances":
        yield from _of_run_instances(params)
    elif action in ("ec2:CreateTags", "ec2:TerminateInstances"):
        for instance in params.get("Resources", params.get("InstanceIds")):
            yield Request(
                action, f"{ARN}instance/{instance}", _tags("Resource", tags_of(instance))
            )
    else:
        yield Request(action, "*")


def _of_run_instances(params: dict[str, Any]) -> Iterator[Request]:
    (specification,) = params["TagSpecifications"]
    assert specification["ResourceType"] == "instance"
    tags = _tags("Request", {tag["Key"]: tag["Value"] for tag in specification["Tags"]})
    instance = f"{ARN}instance/*"
    yield Request(
        "ec2:RunInstances", instance, {**tags, "ec2:InstanceType": params["InstanceType"]}
    )
    yield Request("ec2:RunInstances", f"arn:aws:ec2:us-west-2::image/{params['ImageId']}")
    spot = ("spot-instances-request",) if "InstanceMarketOptions" in params else ()
    for part in (*PARTS, *spot):
        yield Request("ec2:RunInstances", f"{ARN}{part}/*")
    yield Request("ec2:CreateTags", instance, {**tags, "ec2:CreateAction": "RunInstances"})
    role = params["IamInstanceProfile"]["Name"]
    yield Request(
        "iam:PassRole",
        f"arn:aws:iam::123456789012:role/{role}",
        {"iam:PassedToService": "ec2.amazonaws.com"},
    )


def _tags(whose: str, tags: dict[str, str]) -> dict[str, str]:
    return {f"aws:{whose}Tag/{key}": value for key, value in tags.items()}
