"""cluster/gpu.yaml and its README: what `ray up` would accept and start, without starting it."""

from __future__ import annotations

import copy
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
CLUSTER = REPOSITORY / "cluster"


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return yaml.safe_load((CLUSTER / "gpu.yaml").read_text())


@pytest.fixture(scope="module")
def prepared(config: dict[str, Any]) -> dict[str, Any]:
    """The file with Ray's defaults for AWS filled in, as `ray up` does before it asks AWS."""
    from ray.autoscaler._private.util import prepare_config

    return prepare_config(copy.deepcopy(config))


def start_command(config: dict[str, Any], kind: str) -> str:
    """Return the one command of `kind` ("head" or "worker") that starts Ray."""
    commands = [c for c in config[f"{kind}_start_ray_commands"] if "ray start" in c]
    assert len(commands) == 1
    return commands[0]


def strings(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from strings(key)
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif isinstance(node, str):
        yield node


# --- what Ray accepts


def test_the_file_follows_rays_schema(config: dict[str, Any]) -> None:
    import ray.autoscaler

    schema = Path(ray.autoscaler.__file__).with_name("ray-schema.json")
    jsonschema.validate(config, json.loads(schema.read_text()))


def test_ray_accepts_the_file_with_its_defaults(prepared: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import validate_config

    validate_config(prepared)


def test_every_mounted_path_exists_in_the_checkout(config: dict[str, Any]) -> None:
    local = {p for p in config["file_mounts"].values() if not p.startswith("~")}
    # The README is the one file that a checkout under construction may still lack.
    assert {p for p in local - {"README.md"} if not (REPOSITORY / p).exists()} == set()


def test_only_what_an_installation_needs_is_mounted(config: dict[str, Any]) -> None:
    assert not {".", "./", ".git", ".venv", "runs"} & set(config["file_mounts"].values())
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    needed = {"pyproject.toml", "constraints.txt", "rxtune", project["readme"]}
    assert needed | set(project["license-files"]) <= set(config["file_mounts"].values())


# --- who may connect


def test_the_token_is_brought_to_every_node(config: dict[str, Any]) -> None:
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert "chmod 600 ~/.ray/auth_token" in config["setup_commands"]


@pytest.mark.parametrize("kind", ["head", "worker"])
def test_no_node_starts_without_the_token(config: dict[str, Any], kind: str) -> None:
    before, start = start_command(config, kind).split("ray start")
    assert re.search(r"export\b[^;]*\bRAY_AUTH_MODE=token\b", before)
    assert "RAY_AUTH_MODE" not in start


def test_the_driver_uses_the_token_too(config: dict[str, Any]) -> None:
    assert any("RAY_AUTH_MODE=token" in c and ".bashrc" in c for c in config["setup_commands"])


def test_the_dashboard_listens_on_loopback_only(config: dict[str, Any]) -> None:
    assert "--dashboard-host=127.0.0.1" in shlex.split(start_command(config, "head"))


def test_no_port_but_ssh_is_opened(config: dict[str, Any]) -> None:
    assert "security_group" not in config["provider"]


@pytest.mark.parametrize("name", ["gpu.yaml", "README.md"])
def test_nothing_looks_like_a_secret(name: str) -> None:
    text = (CLUSTER / name).read_text()
    assert not re.search(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b", text)  # AWS access key ids
    assert not re.search(r"\b(hf|ghp|gho)_\w{16,}|BEGIN [A-Z ]*PRIVATE KEY", text)
    assert not re.search(
        r"(?i)\b(secret|password|passwd|api_?key|auth_token)\s*[:=]\s*['\"\w]", text
    )
    assert not re.search(r"\b[0-9a-f]{32,}\b|://[^/\s]+:[^/\s]+@|\b\d{12}\b", text)


# --- what it costs


def test_the_head_is_on_demand_and_not_a_worker(prepared: dict[str, Any]) -> None:
    head = prepared["available_node_types"][prepared["head_node_type"]]
    assert "InstanceMarketOptions" not in head["node_config"]
    assert head["max_workers"] == 0


def test_workers_are_spot_and_none_waits_idle(prepared: dict[str, Any]) -> None:
    worker = prepared["available_node_types"]["worker"]
    assert worker["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert worker["min_workers"] == 0
    assert 0 < prepared["idle_timeout_minutes"] <= 15


def test_tear_down_leaves_no_disk_behind(config: dict[str, Any]) -> None:
    assert config["provider"]["cache_stopped_nodes"] is False
    for kind in config["available_node_types"].values():
        for disk in kind["node_config"]["BlockDeviceMappings"]:
            assert disk["Ebs"].get("DeleteOnTermination", True)


def test_all_nodes_run_the_same_image(config: dict[str, Any]) -> None:
    kinds = config["available_node_types"].values()
    assert {kind["node_config"]["ImageId"] for kind in kinds} == {"ami-SET-ME"}


# --- what is installed


def test_the_installation_is_pinned(config: dict[str, Any]) -> None:
    installs = [c for c in config["setup_commands"] if "pip install" in c]
    assert len(installs) == 1
    words = shlex.split(installs[0])
    assert words[words.index("-c") + 1] == "~/rxtune/constraints.txt"
    assert words[-1] == "$HOME/rxtune[aws]"


def test_the_version_asked_for_is_the_version_of_the_checkout(config: dict[str, Any]) -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    checks = [c for c in config["setup_commands"] if 'version("rxtune")' in c]
    assert len(checks) == 1
    assert f'assert found == "{version}"' in checks[0]


def test_the_embedded_python_compiles(config: dict[str, Any]) -> None:
    for command in config["setup_commands"]:
        words = shlex.split(command)
        if "-c" in words and words[0].endswith("bin/python") and "pip" not in words:
            compile(words[words.index("-c") + 1], "setup command", "exec")


@pytest.mark.parametrize("name", ["ray", "torch"])
def test_constraints_pin_what_all_nodes_must_share(name: str) -> None:
    pins = (REPOSITORY / "constraints.txt").read_text().splitlines()
    assert [p for p in pins if re.fullmatch(rf"{name}==[\d.]+", p)]


# --- what AWS would be asked for (moto: in process, no network)


@pytest.fixture
def no_cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    from moto import mock_aws

    monkeypatch.setenv("HOME", str(tmp_path))  # Ray writes the ssh key it makes to ~/.ssh
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield


def test_aws_starts_an_on_demand_head_and_spot_workers(
    prepared: dict[str, Any], no_cloud: None
) -> None:
    import boto3
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    asked = copy.deepcopy(prepared)
    ec2 = boto3.client("ec2", region_name=asked["provider"]["region"])
    iam = boto3.client("iam")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    for name, kind in asked["available_node_types"].items():
        iam.create_instance_profile(InstanceProfileName=f"rxtune-{name}")
        kind["node_config"]["ImageId"] = image

    final = AWSNodeProvider.bootstrap_config(asked)
    final = AWSNodeProvider.fillout_available_node_types_resources(final)
    provider = AWSNodeProvider(final["provider"], final["cluster_name"])
    lifecycles = {}
    for name, kind in final["available_node_types"].items():
        assert kind["resources"]["GPU"] == 1
        (instance,) = provider.create_node(kind["node_config"], {}, 1).values()
        assert instance.iam_instance_profile["Arn"].endswith(f"/rxtune-{name}")
        lifecycles[name] = instance.instance_lifecycle
    assert lifecycles == {"head": None, "worker": "spot"}


# --- the README's commands


def readme_commands(program: str) -> list[list[str]]:
    """Return the arguments of every `program` call in the README's code blocks."""
    text = (CLUSTER / "README.md").read_text()
    blocks = re.findall(r"^```(?:bash|sh)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    code = "\n".join(blocks).replace("\\\n", " ")
    calls = re.findall(rf"(?:^|['\"]|&& ){program} ([^'\"\n#]*)", code, re.MULTILINE)
    return [shlex.split(call) for call in calls]


def test_the_readme_goes_from_up_to_down() -> None:
    steps = [words[0] for words in readme_commands("ray")]
    order = ["get-auth-token", "up", "exec", "dashboard", "rsync-down", "down"]
    assert [steps.index(step) for step in order] == sorted(steps.index(step) for step in order)


def test_the_readme_uses_only_options_that_ray_has() -> None:
    from ray.scripts.scripts import cli

    for verb, *words in readme_commands("ray"):
        known = {option for p in cli.commands[verb].params for option in p.opts}
        assert {w.split("=")[0] for w in words if w.startswith("-")} <= known, verb


def test_the_readme_uses_only_options_that_rxtune_has() -> None:
    app = pytest.importorskip("rxtune.cli", exc_type=ImportError)
    if not hasattr(app, "app"):
        pytest.skip("rxtune.cli has no typer app yet")
    import typer.main

    root = typer.main.get_command(app.app)
    calls = readme_commands("rxtune")
    assert calls
    for verb, *words in calls:
        known = {o for p in root.commands[verb].params for o in (*p.opts, *p.secondary_opts)}
        assert {w.split("=")[0] for w in words if w.startswith("-")} <= known, verb
