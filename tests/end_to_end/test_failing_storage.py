"""A search whose storage refuses or cuts off what it is sent, and holds half a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from rxtune.results import TrialRecord
from tests.faulty_store import Fault, FaultyStore, faulty_store

pytestmark = [pytest.mark.slow_end_to_end, pytest.mark.thorough]

FAULTS: tuple[Fault, ...] = ("refuse", "", "deny", "", "cut")
"""What becomes, in turn, of the requests that upload checkpoints; all but `deny` are repeated by
the client."""


def outcome(record: TrialRecord) -> Any:
    """Return all of a trial but its times."""
    values = [(e.updates, e.value, e.train_loss) for e in record.evaluations]
    return record.number, record.configuration, record.state, values, record.zero_shot


@dataclass(frozen=True)
class Searched:
    """A search in a storage that fails, killed once on the way."""

    ended: Any
    store: FaultyStore


class Trouble:
    """Checkpoints of all trials but the first fail in turn, and of that the model."""

    def __init__(self) -> None:
        self.uploads = 0

    def __call__(self, method: str, path: str) -> Fault:
        if method not in ("PUT", "POST"):
            return ""
        if "/trial-0000/model/" in path:
            return "deny"
        if "/checkpoint/" not in path or "/trial-0000/" in path:
            return ""
        self.uploads += 1
        return FAULTS[self.uploads % len(FAULTS)]


@pytest.fixture(scope="module")
def store(s3_endpoint: str) -> Iterator[FaultyStore]:
    with faulty_store(s3_endpoint) as found:
        yield found


def halve_checkpoints(bucket: Any) -> None:
    """Leave the first half of every checkpoint."""
    for key in bucket.keys("shaky/"):
        if key.endswith("checkpoint.safetensors"):
            place = {"Bucket": bucket.name, "Key": key}
            whole = bucket.client.get_object(**place)["Body"].read()
            bucket.client.put_object(**place, Body=whole[: len(whole) // 2])


@pytest.fixture(scope="module")
def searched(workplace: Any, bucket: Any, store: FaultyStore) -> Searched:
    """The search `shaky`: killed amid a trial, whose checkpoint is halved, and resumed."""
    options = f"endpoint_override={store.endpoint}&scheme=http&region=us-east-1"
    storage = ["--storage", f"s3://{bucket.name}/shaky?{options}"]
    store.fault_of = Trouble()
    command = workplace.start(*workplace.new_search("shaky", "--workers", "1", *storage))
    command.wait_until(workplace.has_evaluations("shaky", 2))
    command.kill_all()
    halve_checkpoints(bucket)
    again = ["search", "--name", "shaky", "--resume", "--workers", "1", *storage]
    return Searched(workplace.run(*again), store)


def test_the_search_ends_as_one_whose_storage_never_failed(
    workplace: Any, reference: Any, searched: Searched
) -> None:
    assert searched.ended.code == 0, searched.ended
    here = [outcome(record) for record in workplace.records("reference")]
    assert [outcome(record) for record in workplace.records("shaky")] == here


def test_every_kind_of_fault_was_there(searched: Searched) -> None:
    assert {fault for _, _, fault in searched.store.done} == set(FAULTS)


def test_it_is_told_at_the_end(searched: Searched) -> None:
    told = " ".join(searched.ended.errors.split())
    assert "The storage failed at times: a checkpoint was not read, so the training star" in told
    assert "; its model was not saved, once (last of trial 0: When " in told
    assert "; a checkpoint was not written, " in told
    assert "AWS Error ACCESS_DENIED" in told


def test_a_model_that_could_not_be_saved_is_told_of_and_the_next_best_is_kept(
    workplace: Any, searched: Searched
) -> None:
    best = workplace.run_folder("shaky").best
    assert '{"trial": 0}' not in (best / "rxtune.json").read_text()
    assert (best / "model.safetensors").exists()
