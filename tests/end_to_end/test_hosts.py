"""Hosts leave and join while a search runs: a spot notice, then a new host with two places."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from rxtune.results import TrialRecord, TrialState

pytestmark = [pytest.mark.slow_end_to_end, pytest.mark.thorough]

SPACE = """\
space: {method: {choice: [standard]}, learning_rate: {log_uniform: [0.3, 3.0]}}
search: {trials: 2, sampler: random}
stopping: {asha: {evaluations: 2, first_rung: 2, reduction_factor: 2}}  # never early
train: {epochs: 4, max_length: 32}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that takes no trials, and nobody else yet."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **MEMORY})
    yield made
    made.shutdown()


MEMORY = {"object_store_memory": 80_000_000}


@dataclass(frozen=True)
class Moved:
    """What a search left that had to leave its host."""

    between: dict[str, Any]
    """What the first trial's checkpoint said while there was no host for it."""
    first: TrialRecord
    """The first trial as it was then."""
    ended: Any
    records: list[TrialRecord]


@pytest.fixture(scope="module")
def moved(workplace: Any, cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Moved:
    """Drain the only host in the first trial; when the trial has left it, another one joins."""
    storage = tmp_path_factory.mktemp("storage")
    space = workplace.folder / "hosts.yaml"
    space.write_text(SPACE)
    leaving = cluster.add_node(num_cpus=1, **MEMORY)
    command = workplace.start(
        "search", "--space", str(space), "--model", str(workplace.encoder), "--name", "moved-on",
        "--address", cluster.address, "--storage", str(storage),
    )  # fmt: skip
    command.wait_until(workplace.has_evaluations("moved-on", 1))
    drain(cluster.address, leaving.node_id)
    checkpoint = storage / "moved-on" / "trial-0000" / "checkpoint" / "checkpoint.safetensors"
    command.wait_until(lambda: is_between(facts(checkpoint)))
    between, first = facts(checkpoint), workplace.records("moved-on")[0]
    cluster.add_node(num_cpus=2, **MEMORY)
    command.wait_until(both_train(lambda: workplace.records("moved-on")))
    return Moved(between, first, command.wait(), workplace.records("moved-on"))


def drain(address: str, node: str) -> None:
    """Announce the end of a node, as cluster/spot-notice.sh does."""
    ray = Path(sys.executable).with_name("ray")
    words = ["--node-id", node, "--reason", "DRAIN_NODE_REASON_PREEMPTION"]
    words += ["--reason-message", "spot notice", "--deadline-remaining-seconds", "110"]
    subprocess.run([ray, "drain-node", "--address", address, *words], check=True)


def facts(checkpoint: Path) -> dict[str, Any]:
    with safe_open(checkpoint, framework="pt") as file:
        return json.loads(file.metadata()["rxtune"])


def is_between(facts: dict[str, Any]) -> bool:
    return facts["updates"] > facts["evaluations"][-1]["updates"]


def both_train(records: Callable[[], list[TrialRecord]]) -> Callable[[], bool]:
    def check() -> bool:
        found = records()
        return len(found) == 2 and all(r.state is TrialState.RUNNING for r in found)

    return check


def test_a_trial_leaves_a_host_with_a_checkpoint_between_two_evaluations(moved: Moved) -> None:
    assert moved.first.state is TrialState.RUNNING
    assert len(moved.first.evaluations) == 1
    assert moved.between["loss_sum"] > 0


def test_it_goes_on_elsewhere_and_ends_as_if_nothing_had_happened(moved: Moved) -> None:
    assert moved.ended.code == 0, moved.ended
    assert [record.state for record in moved.records] == [TrialState.FINISHED] * 2
    assert [[e.number for e in record.evaluations] for record in moved.records] == [[1, 2]] * 2
    assert moved.records[0].evaluations[0] == moved.first.evaluations[0]


def test_the_places_of_a_new_host_are_used_without_being_asked_for(moved: Moved) -> None:
    first, second = moved.records
    assert first.started < second.started < first.ended
