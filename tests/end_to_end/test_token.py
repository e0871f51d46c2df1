"""A real cluster with a token, and clients that have it, or none, or another one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rxtune.results import TrialState

pytestmark = pytest.mark.slow_end_to_end

HEAD = """
from ray.cluster_utils import Cluster
memory = {"object_store_memory": 80_000_000}
cluster = Cluster(
    initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **memory}
)
print(cluster.address, flush=True)
input()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a cluster is whose user has a token."""
    home = tmp_path_factory.mktemp("head")
    put(home, "1" * 64)
    process = subprocess.Popen(
        [sys.executable, "-c", HEAD],
        env={**os.environ, "HOME": str(home), "RAY_AUTH_MODE": "token"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.communicate("\n", timeout=120)


def put(home: Path, token: str) -> None:
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text(token)


@pytest.mark.parametrize("token", [None, "2" * 64])
def test_without_its_token_a_search_is_refused_at_once(
    workplace: Any,
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    token: str | None,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    if token is not None:
        put(tmp_path, token)
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
    ended = workplace.run(*workplace.new_search("unknown", "--address", address))
    assert ended.code == 4, ended
    (line,) = ended.errors.splitlines()  # Ray says nothing of its own
    assert line.startswith(f"error: --address: the cluster at '{address}' asks for its token, and")
    assert ("is not it" if token else "there is none") in line
    assert not workplace.run_folder("unknown").path.exists()


def test_with_its_token_a_search_runs_there_and_goes_on_there(
    workplace: Any, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    put(tmp_path, "1" * 64)
    there = ["--address", address, "--storage", str(tmp_path / "storage")]
    first = workplace.run(*workplace.new_search("there", *there, "--trials", "1"))
    assert first.code == 0, first
    second = workplace.run("search", "--name", "there", "--resume", "--trials", "2", *there)
    assert second.code == 0, second
    assert [record.state for record in workplace.records("there")] == [TrialState.FINISHED] * 2
