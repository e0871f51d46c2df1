"""`rxtune check --address`: what it tells of a cluster before anything is spent there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rxtune.cli.cluster import show_cluster
from rxtune.search.cluster import Capacity
from rxtune.search.cluster_check import ClusterReport
from rxtune.search.nodes import NodeFacts
from tests.two_nodes import two_nodes

Run = Callable[..., Any]
CAPACITY = Capacity(workers=3, cpus_per_trial=1.0, gpus_per_trial=1.0, nodes=2, can_grow=True)


def test_nodes_are_shown_with_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    mine = (("Python", "3.11.7"), ("rxtune", "0.1.0"))
    older = (("Python", "3.11.7"), ("rxtune", ""))
    head = NodeFacts(host="head", address="10.0.0.1", cpus=8.0, gpus=0.0, versions=mine)
    gpus = {"gpus": 2.0, "gpu_names": ("A10G", "A10G"), "gpu_memory": (24.1, 24.1)}
    same = NodeFacts(host="w1", address="10.0.0.2", cpus=4.0, versions=mine, **gpus)
    other = NodeFacts(host="w2", address="10.0.0.3", cpus=4.0, gpus=0.0, versions=older)
    show_cluster(ClusterReport(nodes=(head, same, other), capacity=CAPACITY, storage=None))
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["head", "10.0.0.1", "8", "–"] in shown
    assert ["w1", "10.0.0.2", "4", "2", "×", "A10G", "24", "GB", "the", "driver's"] in shown
    assert ["w2", "10.0.0.3", "4", "–", "rxtune", "missing"] in shown
    text = " ".join(" ".join(line) for line in shown)
    assert "The driver has Python 3.11.7, rxtune 0.1.0. 3 trials at a time" in text
    assert "More nodes may be added by the autoscaler" in text


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with two_nodes() as found:
        yield found


@pytest.fixture
def study(write_own: Run, folder: Path) -> list[str]:
    write_own()
    with (folder / "mine.yaml").open("a") as file:
        file.write("\nmax_length: 32\n")
    return ["--space", "space.yaml", "--task", "mine.yaml", "--model", "babel-tiny"]


@pytest.mark.slow_end_to_end
def test_the_forecast_is_the_clusters(
    rxtune: Run, study: list[str], address: str, folder: Path
) -> None:
    storage = ["--storage", str(folder / "shared")]
    ended = rxtune("check", *study, "--address", address, *storage)
    assert ended.code == 0, ended
    assert "3 trials at a time, each with 1 CPU and 0 GPU" in " ".join(ended.output.split())
    assert "with 3 at a time (what this cluster holds)" in " ".join(ended.output.split())
    assert not (folder / "shared").exists()
    assert not (folder / "runs").exists()


@pytest.mark.slow_end_to_end
def test_a_cluster_without_a_storage_is_refused_after_its_nodes_are_shown(
    rxtune: Run, study: list[str], address: str
) -> None:
    ended = rxtune("check", *study, "--address", address)
    assert ended.code == 4, ended
    assert "--storage: the cluster has 2 nodes" in ended.errors
    assert "Cluster, the driver's node first" in ended.output


def test_a_cluster_that_is_not_there_is_refused(rxtune: Run, study: list[str]) -> None:
    ended = rxtune("check", *study, "--address", "127.0.0.1:1")
    assert ended.code == 4, ended
    assert "no Ray cluster at '127.0.0.1:1'" in ended.errors


def test_a_storage_that_cannot_be_written_is_told_without_a_cluster_too(
    rxtune: Run, study: list[str], folder: Path
) -> None:
    (folder / "file").touch()
    ended = rxtune("check", *study, "--storage", str(folder / "file" / "x"))
    assert ended.code == 4, ended
    assert "--storage: file/x must be writable" in ended.errors


def test_an_mlflow_server_that_is_not_there_is_told_before_anything_is_timed(
    rxtune: Run, study: list[str]
) -> None:
    ended = rxtune("check", *study, "--tracking-uri", "http://127.0.0.1:1")
    assert ended.code == 4, ended
    assert "MLflow at http://127.0.0.1:1" in ended.errors
    assert "Forecast" not in ended.output


def test_flags_of_a_cluster_without_one_are_refused_and_not_ignored(
    rxtune: Run, study: list[str]
) -> None:
    ended = rxtune("check", *study, "--workers", "4")
    assert ended.code == 2, ended
    assert "need --address" in ended.errors
