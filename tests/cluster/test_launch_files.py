"""The files for `ray up`: what Ray accepts, who may connect, and what is installed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.cluster.files import CLUSTER, LAUNCH_FILES, REPOSITORY, load, prepared, project

pytestmark = pytest.mark.parametrize("name", LAUNCH_FILES)

EXTRA = {"gpu.yaml": "[aws]", "gcp.yaml": "[gcp]", "on-prem.yaml": ""}


def start_command(config: dict[str, Any], kind: str) -> str:
    """Return the one command of `kind` ("head" or "worker") that starts Ray."""
    (command,) = [c for c in config[f"{kind}_start_ray_commands"] if "ray start" in c]
    return command


# --- what Ray accepts


def test_the_file_follows_rays_schema(name: str) -> None:
    import ray.autoscaler

    schema = Path(ray.autoscaler.__file__).with_name("ray-schema.json")
    jsonschema.validate(load(name), json.loads(schema.read_text()))


def test_ray_accepts_the_file_with_its_defaults(name: str) -> None:
    from ray.autoscaler._private.util import validate_config

    validate_config(prepared(name))


def test_rays_defaults_add_no_command(name: str) -> None:
    config = prepared(name)
    own = load(name)["setup_commands"]
    assert config["head_setup_commands"] == own
    assert config["worker_setup_commands"] == own
    assert config["initialization_commands"] == []


def test_every_mounted_path_exists_in_the_checkout(name: str) -> None:
    local = {p for p in load(name)["file_mounts"].values() if not p.startswith("~")}
    assert {p for p in local if not (REPOSITORY / p).exists()} == set()


def test_only_what_an_installation_needs_is_mounted(name: str) -> None:
    mounts = load(name)["file_mounts"]
    assert not {".", "./", ".git", ".venv", "runs"} & set(mounts.values())
    needed = {"pyproject.toml", "constraints.txt", "rxtune", project()["readme"]}
    assert needed | set(project()["license-files"]) <= set(mounts.values())


def test_every_mounted_file_that_a_command_names_is_there(name: str) -> None:
    config = load(name)
    mounts = {path.removesuffix("/") for path in config["file_mounts"]}
    for commands in (config["setup_commands"], config["worker_start_ray_commands"]):
        used = set(re.findall(r"~/rxtune/[\w.-]+", " ".join(commands)))
        assert used <= mounts


# --- who may connect


def test_the_token_is_brought_to_every_node(name: str) -> None:
    config = load(name)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert "chmod 600 ~/.ray/auth_token" in config["setup_commands"]


@pytest.mark.parametrize("kind", ["head", "worker"])
def test_no_node_starts_without_the_token(name: str, kind: str) -> None:
    before, start = start_command(load(name), kind).split("ray start")
    assert re.search(r"export\b[^;]*\bRAY_AUTH_MODE=token\b", before)
    assert "RAY_AUTH_MODE" not in start


def test_the_driver_uses_the_token_too(name: str) -> None:
    commands = load(name)["setup_commands"]
    assert any("RAY_AUTH_MODE=token" in c and ".bashrc" in c for c in commands)


def test_the_dashboard_listens_on_loopback_only(name: str) -> None:
    assert "--dashboard-host=127.0.0.1" in shlex.split(start_command(load(name), "head"))


# --- what it costs


def test_no_worker_of_a_cloud_waits_idle(name: str) -> None:
    config = prepared(name)
    if config["provider"]["type"] == "local":
        pytest.skip("machines that are there anyway")
    assert config["available_node_types"]["worker"]["min_workers"] == 0
    assert 0 < config["idle_timeout_minutes"] <= 15
    assert config["provider"]["cache_stopped_nodes"] is False
    head = config["available_node_types"][config["head_node_type"]]
    assert head["max_workers"] == 0


# --- what is installed


def test_the_installation_is_pinned(name: str) -> None:
    (install,) = [c for c in load(name)["setup_commands"] if "pip install" in c]
    words = shlex.split(install)
    assert words[words.index("-c") + 1] == "~/rxtune/constraints.txt"
    assert words[-1] == f"$HOME/rxtune{EXTRA[name]}"
    assert EXTRA[name].strip("[]") in {"", *project()["optional-dependencies"]}


def test_the_version_asked_for_is_the_version_of_the_checkout(name: str) -> None:
    (check,) = [c for c in load(name)["setup_commands"] if 'version("rxtune")' in c]
    assert f'assert found == "{project()["version"]}"' in check


def test_the_embedded_python_compiles(name: str) -> None:
    pieces = re.findall(r"bin/python -c '([^']*)'", " ".join(load(name)["setup_commands"]))
    assert len(pieces) == 2
    for piece in pieces:
        compile(piece, "setup command", "exec")


def test_a_gpu_that_torch_cannot_use_ends_the_installation(name: str) -> None:
    assert any("assert torch.cuda.is_available()" in c for c in load(name)["setup_commands"])


def test_every_file_starts_ray_in_the_same_way(name: str) -> None:
    config, first = load(name), load(LAUNCH_FILES[0])
    for kind in ("head", "worker"):
        assert start_command(config, kind) == start_command(first, kind)


def test_every_command_is_a_shell_command(name: str, tmp_path: Path) -> None:
    """Ray wraps each into parentheses."""
    import subprocess

    config = load(name)
    for key in ("setup_commands", "head_start_ray_commands", "worker_start_ray_commands"):
        for command in config[key]:
            subprocess.run(["bash", "-n", "-c", f"true && ({command})"], check=True)


def test_the_file_names_its_page(name: str) -> None:
    page = {"gpu.yaml": "aws.md"}.get(name, name.replace(".yaml", ".md"))
    assert f"cluster/{page} walks" in (CLUSTER / name).read_text()
