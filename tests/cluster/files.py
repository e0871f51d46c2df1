"""What the tests of cluster/ share: its files, and the commands on its pages."""

from __future__ import annotations

import copy
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
CLUSTER = REPOSITORY / "cluster"
LAUNCH_FILES = ("gpu.yaml", "gcp.yaml", "on-prem.yaml")
"""What `ray up` reads."""
PAGES = ("README.md", "aws.md", "gcp.md", "on-prem.md", "kuberay.md", "slurm.md")


def load(name: str) -> dict[str, Any]:
    """Return a file of cluster/ as it is."""
    return yaml.safe_load((CLUSTER / name).read_text())


def prepared(name: str) -> dict[str, Any]:
    """Return a file with Ray's defaults filled in, as `ray up` does before it asks the cloud."""
    from ray.autoscaler._private.util import prepare_config

    return prepare_config(copy.deepcopy(load(name)))


def project() -> dict[str, Any]:
    """Return the [project] table of pyproject.toml."""
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def pin(package: str) -> str:
    """Return the version of a package in constraints.txt."""
    pins = (REPOSITORY / "constraints.txt").read_text().splitlines()
    (found,) = [p for p in pins if re.fullmatch(rf"{package}==[\d.]+", p)]
    return found.partition("==")[2]


def strings(node: Any) -> Iterator[str]:
    """Yield every string in a parsed file, keys included."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from strings(key)
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif isinstance(node, str):
        yield node


def code(page: str) -> str:
    """Return a page's shell blocks, a command per line; comments and here-documents left out."""
    text = (CLUSTER / page).read_text()
    blocks = re.findall(r"^```(?:bash|sh)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    joined = "\n".join(blocks).replace("\\\n", " ")
    return re.sub(r"<<'(\w+)'\n.*?^\1$", "", joined, flags=re.MULTILINE | re.DOTALL)


def commands(page: str, program: str) -> list[list[str]]:
    """Return the words after every `program` on a page, quoted calls within calls included."""
    calls = re.findall(
        rf"(?:^|['\"(]|&& |=\d ){program} ([^'\"\n#>|)]*)", code(page), re.MULTILINE
    )
    return [shlex.split(call) for call in calls]
