"""What a storage has refused is told in a line per kind, however often it happened."""

from __future__ import annotations

from rxtune.search.storage_trouble import StorageTrouble


def test_nothing_is_told_of_a_storage_that_worked() -> None:
    assert StorageTrouble().told() == ()


def test_each_kind_is_counted_and_the_last_one_is_shown() -> None:
    trouble = StorageTrouble()
    trouble.add(1, "a checkpoint was not written (When uploading (part): AWS Error X)")
    trouble.add(4, "its model was not saved (HTTP 500)")
    trouble.add(3, "a checkpoint was not written (timed out)")
    assert trouble.told() == (
        "a checkpoint was not written, 2 times (last of trial 3: timed out)",
        "its model was not saved, once (last of trial 4: HTTP 500)",
    )
