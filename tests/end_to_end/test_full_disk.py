"""A disk that fills up ends the search with one clear message, and nothing is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rxtune.results import TrialRecord, TrialState

pytestmark = [pytest.mark.slow_end_to_end, pytest.mark.thorough]

SMALL, LARGE = "1400k", "64m"
"""Room for one trial's two checkpoints beside one or two kept models, but not beside three."""


def outcome(record: TrialRecord) -> Any:
    """Return all of a trial but its times."""
    values = [
        (e.number, e.updates, e.value, e.accuracy, e.train_loss, e.forward_equivalents)
        for e in record.evaluations
    ]
    return record.number, record.configuration, record.state, values, record.zero_shot


def mount(folder: Path, *options: str) -> bool:
    """Mount memory as a disk; return whether this machine lets us."""
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:  # there is no such command
        return False


@pytest.fixture(scope="module")
def disk(workplace: Any) -> Iterator[Path]:
    """A file system so small that a search fills it."""
    folder: Path = workplace.folder / "disk"
    folder.mkdir()
    if not mount(folder, f"size={SMALL}"):
        pytest.skip("this machine does not let us mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def full(workplace: Any, disk: Path) -> Any:
    """The search `full` until the disk is full; then what is on the disk, and the resume."""
    space = (workplace.folder / "space.yaml").read_text()
    (workplace.folder / "keeping.yaml").write_text(
        space.replace("trials: 6", "trials: 6, keep: 3")
    )
    flags = ["--runs", str(disk), "--workers", "1"]
    command = workplace.new_search("full", *flags)
    command[command.index("space.yaml")] = "keeping.yaml"
    ended = workplace.run(*command)
    files = sorted(str(path.relative_to(disk)) for path in disk.rglob("*") if path.is_file())
    room = mount(disk, "remount", f"size={LARGE}")
    assert room, "the disk cannot be made larger"
    resumed = workplace.run("search", "--name", "full", "--resume", *flags)
    return ended, files, resumed


def test_the_search_ends_with_the_place_the_size_and_what_to_do(full: Any) -> None:
    ended, _, _ = full
    assert ended.code == 1, ended
    (message,) = ended.errors.strip().splitlines()
    assert message.startswith("error: ")
    for part in (
        "/full/checkpoints/trial-",
        "the disk is full: a checkpoint needs ",
        " are free. Nothing that was finished is lost: make room there, then go on with --resume",
    ):
        assert part in message


def test_what_will_not_fit_was_told_before_the_first_trial(full: Any) -> None:
    ended, _, _ = full
    told, first = ended.output.index("note: this search needs up to 1."), ended.output.index("1/6")
    assert told < first


def test_no_half_of_a_file_stays_and_what_had_ended_is_there(full: Any) -> None:
    _, files, _ = full
    assert [name for name in files if name.endswith((".new", ".old", ".tmp"))] == []
    assert "full/best/model.safetensors" in files
    assert any(name.startswith("full/models/trial-") for name in files)


def test_with_more_room_it_ends_as_if_nothing_had_happened(
    workplace: Any, reference: Any, disk: Path, full: Any
) -> None:
    _, _, resumed = full
    assert resumed.code == 0, resumed
    runs = Path("..", disk.name)  # as seen from the folder of all other runs
    records = workplace.records(str(runs / "full"))
    assert {record.state for record in records} <= {TrialState.FINISHED, TrialState.STOPPED}
    assert [outcome(r) for r in records] == [outcome(r) for r in workplace.records("reference")]


def test_the_best_models_stay_each_whole_and_the_peak_is_told(
    workplace: Any, disk: Path, full: Any
) -> None:
    _, _, resumed = full
    models = [disk / "full" / "best", *(disk / "full" / "models").iterdir()]
    assert len(models) == 3
    whole = {path.name for path in models[0].iterdir()}
    assert {"model.safetensors", "tokenizer.json", "rxtune.json"} <= whole
    assert all({path.name for path in model.iterdir()} == whole for model in models)
    assert "MB on disk (forecast 1." in resumed.output
