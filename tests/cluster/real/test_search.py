"""`ray up`, a search, `ray down`: the commands of cluster/on-prem.md, on hosts of this machine."""

from __future__ import annotations

import json
import stat

import pytest

from rxtune.results import TrialState
from tests.cluster.real.conftest import PATIENCE, Searched
from tests.cluster.real.documented import script
from tests.cluster.real.hosts import REPOSITORY, Host, wait_until
from tests.cluster.real.launched import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow_end_to_end]

ELSEWHERE = f"""\
mkdir -p elsewhere; cd elsewhere
rxtune search --space {REPOSITORY}/search_spaces/quick.yaml --name big --address head:6379; echo $?
"""


def logs(host: Host, pattern: str) -> list[str]:
    return [path.read_text() for path in (host.folder / "tmp" / "ray").glob(pattern)]


def test_head_and_workers_have_joined(cluster: Cluster) -> None:
    assert set(cluster.alive()) == {host.address for host in cluster.nodes}


def test_every_host_has_the_token_and_only_its_owner_reads_it(cluster: Cluster) -> None:
    tokens = [host.home / ".ray" / "auth_token" for host in (cluster.client, *cluster.nodes)]
    assert len({token.read_text() for token in tokens}) == 1
    assert {stat.S_IMODE(token.stat().st_mode) for token in tokens} == {0o600}


def test_without_the_token_a_driver_is_refused_and_told_what_to_do(cluster: Cluster) -> None:
    stranger = cluster.network.add("stranger")
    printed = " ".join(stranger.run(ELSEWHERE).split())
    assert "error: --address: the cluster at 'head:6379' asks for its token" in printed
    assert "~/.ray/auth_token" in printed
    assert "Traceback" not in printed
    assert printed.endswith(" 4")
    assert not (stranger.home / "elsewhere" / "runs").exists()


def test_a_driver_on_no_node_of_the_cluster_is_told_where_to_run(cluster: Cluster) -> None:
    printed = " ".join(cluster.client.run(ELSEWHERE).split())
    assert "error: --address:" in printed
    assert "ray exec" in printed
    assert printed.endswith(" 4")


def test_all_trials_have_ended_with_a_result_or_a_reason(searched: Searched) -> None:
    records = searched.records()
    assert [record.number for record in records] == [0, 1, 2, 3]
    for record in records:
        assert record.state in (TrialState.FINISHED, TrialState.STOPPED)
        assert (record.zero_shot is not None) == (record.state is TrialState.FINISHED)
        assert (record.reason is not None) == (record.state is TrialState.STOPPED)


def test_trials_ran_on_the_workers_too(cluster: Cluster, searched: Searched) -> None:
    for host in cluster.workers:
        assert any("ImplicitFunc" in text for text in logs(host, "session_2*/logs/worker-*.out"))


def test_mlflow_has_the_search_and_every_trial_once(searched: Searched) -> None:
    search, *trials = searched.runs()
    records = searched.records()
    assert search.data.tags["state"] == "finished"
    assert [int(run.data.tags["rxtune.trial"]) for run in trials] == [r.number for r in records]
    for run, record in zip(trials, records, strict=True):
        assert run.info.status == "FINISHED"
        if record.zero_shot is not None:
            assert run.data.metrics["target_mean"] == pytest.approx(record.zero_shot.target_mean)


def test_the_best_model_lies_on_the_head_and_loads(searched: Searched) -> None:
    from transformers import AutoModelForSequenceClassification

    finished = [r for r in searched.records() if r.state is TrialState.FINISHED]
    model = AutoModelForSequenceClassification.from_pretrained(searched.folder.best)
    assert model.config.num_labels == 3
    assert finished


def test_only_the_best_model_stays_in_the_storage(cluster: Cluster, searched: Searched) -> None:
    best = json.loads((searched.folder.best / "rxtune.json").read_text())["trial"]
    (left,) = cluster.network.shared.rglob("*.safetensors")
    assert left.parent.parent.name == f"trial-{best:04d}"


def test_ray_down_leaves_no_process(cluster: Cluster, searched: Searched) -> None:
    cluster.at_client(script("Results, and down", cluster), seconds=PATIENCE)
    assert (cluster.checkout / "runs" / "big" / "journal.log").exists()
    for host in cluster.nodes:
        wait_until(
            lambda host=host: not host.processes("ray"), f"{host.name} is idle", seconds=PATIENCE
        )
