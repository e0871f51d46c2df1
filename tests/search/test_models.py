"""What trials leave on disk, which models stay, and that none is ever lost or half there."""

from __future__ import annotations

import errno
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import fs
from transformers import AutoTokenizer

from rxtune import storage
from rxtune.errors import DiskFullError
from rxtune.search import models
from rxtune.search.models import MARKER, ModelStore

WORDS = "tokenizer.json"
MODEL = ("config.json", "predictions.parquet")
"""What a worker leaves in these tests, the last one at last."""


def leave_model(store: ModelStore, number: int) -> None:
    """Do what a worker does at the end of a trial."""
    files, path = storage.open_place(storage.join(store.folder(number), "model"))
    storage.make_folder(files, path)
    with files.open_output_stream(f"{path}/config.json") as stream:
        stream.write(json.dumps({"trial": number}).encode())
    with files.open_output_stream(f"{path}/predictions.parquet") as stream:
        stream.write(b"written last")


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder of this machine, then one in a bucket."""
    if request.param == "local":
        return str(tmp_path / "checkpoints")
    return str(request.getfixturevalue("bucket").uri(f"{tmp_path.name}/checkpoints"))


@pytest.fixture
def store(place: str, tmp_path: Path) -> ModelStore:
    (tmp_path / "run").mkdir()
    return ModelStore(place, tmp_path / "run" / "best")


@pytest.fixture(scope="module")
def light_tokenizer() -> Iterator[None]:
    """A file stands for the tokenizer: for what is done so often that it would take seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "_copy_tokenizer", lambda _, to: (to / WORDS).write_bytes(b"whole"))
        yield


def left_in(place: str) -> list[str]:
    """Return the names of all files below a place."""
    files, path = storage.open_place(place)
    below = fs.FileSelector(path, recursive=True, allow_not_found=True)
    found = [info for info in files.get_file_info(below) if info.type == fs.FileType.File]
    return sorted(info.path.removeprefix(f"{path}/") for info in found)


def test_every_trial_has_a_folder_of_its_own() -> None:
    store = ModelStore("s3://b/checkpoints?region=r", Path("best"))
    assert store.folder(7) == "s3://b/checkpoints/trial-0007?region=r"
    assert store.folder(12_345) == "s3://b/checkpoints/trial-12345?region=r"


def finish(store: ModelStore, number: int, ranking: list[int], encoder: Path) -> None:
    """Do what happens when a trial ends that is at this place in the ranking."""
    leave_model(store, number)
    store.retain(ranking, encoder)
    store.forget(number)


def contents(store: ModelStore) -> dict[str, int]:
    """Return the kept models: folder below the run's -> the trial whose weights lie in it."""
    run = store.best.parent
    found = run.rglob("config.json")
    return {str(x.parent.relative_to(run)): json.loads(x.read_text())["trial"] for x in found}


def test_the_crowned_model_loads_with_its_tokenizer(store: ModelStore, tiny_encoder: Path) -> None:
    leave_model(store, 3)
    store.retain([3], tiny_encoder)
    assert json.loads((store.best / "config.json").read_text()) == {"trial": 3}
    text = "the dog"
    original = AutoTokenizer.from_pretrained(tiny_encoder)
    assert AutoTokenizer.from_pretrained(store.best)(text) == original(text)


def test_a_better_model_takes_the_place_of_the_old_one(
    store: ModelStore, tiny_encoder: Path, tmp_path: Path
) -> None:
    finish(store, 0, [0], tiny_encoder)
    finish(store, 4, [4, 0], tiny_encoder)
    assert store.crowned == 4
    assert contents(store) == {"best": 4}
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["best"]


def test_as_many_as_asked_for_stay_each_whole(
    place: str, tmp_path: Path, tiny_encoder: Path
) -> None:
    (tmp_path / "run").mkdir()
    store = ModelStore(place, tmp_path / "run" / "best", keep=3)
    for number, ranking in enumerate([[0], [0, 1], [2, 0, 1], [2, 0, 3, 1], [2, 0, 3, 1, 4]]):
        finish(store, number, ranking, tiny_encoder)
    assert contents(store) == {"best": 2, "models/trial-0000": 0, "models/trial-0003": 3}
    # Those that are kept stay in the storage as well: this machine may be lost.
    kept = ("trial-0000/model", "trial-0002/model", "trial-0003/model")
    assert {name.rpartition("/")[0] for name in left_in(place)} == set(kept)
    whole = {path.name for path in store.best.iterdir()}
    assert {MARKER, WORDS} <= whole
    for number in (0, 3):
        folder = tmp_path / "run" / "models" / f"trial-{number:04d}"
        assert {path.name for path in folder.iterdir()} == whole
        assert json.loads((folder / MARKER).read_text()) == {"trial": number}


@given(values=st.lists(st.integers(0, 3), min_size=1, max_size=7), keep=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_after_every_trial_exactly_the_best_are_there(
    values: list[int], keep: int, light_tokenizer: None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        store = ModelStore(str(run / "checkpoints"), run / "best", keep)
        for number in range(len(values)):
            ranking = sorted(range(number + 1), key=lambda n: (-values[n], n))
            finish(store, number, ranking, run)
            best, *others = ranking[:keep]
            expected = {"best": best} | {f"models/trial-{n:04d}": n for n in others}
            assert contents(store) == expected
            assert store.kept == set(ranking[:keep])


def test_a_larger_keep_brings_nothing_back_and_a_smaller_one_deletes(
    store: ModelStore, tiny_encoder: Path
) -> None:
    finish(store, 0, [0], tiny_encoder)
    finish(store, 1, [1, 0], tiny_encoder)
    store.keep = 3
    store.retain([1, 0], tiny_encoder)
    assert contents(store) == {"best": 1}
    finish(store, 2, [1, 2, 0], tiny_encoder)
    assert contents(store) == {"best": 1, "models/trial-0002": 2}
    store.keep = 1
    store.retain([1, 2, 0], tiny_encoder)
    assert contents(store) == {"best": 1}


def test_on_one_file_system_a_model_is_moved_and_not_copied(
    tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.fs, "copy_files", lambda *_, **__: 1 / 0)
    store = ModelStore(str(tmp_path / "checkpoints"), tmp_path / "best", keep=2)
    for number, ranking in enumerate([[0], [1, 0], [1, 2, 0]]):
        finish(store, number, ranking, tiny_encoder)
    assert contents(store) == {"best": 1, "models/trial-0002": 2}


def part_file_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let checkpoints lie on another file system than the run's folder (a mock of two)."""
    rename = Path.rename

    def within_one(path: Path, target: Path) -> Path:
        if "checkpoints" in path.parts:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", within_one)


def test_from_another_file_system_a_model_is_copied(
    tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ModelStore(str(tmp_path / "checkpoints"), tmp_path / "best")
    part_file_systems(monkeypatch)
    leave_model(store, 0)
    store.retain([0], tiny_encoder)
    assert store.has_model(0)
    store.forget(0)
    assert contents(store) == {"best": 0}


# --- crashes


class Killed(BaseException):
    """Stands for `kill -9`: nothing catches it, and nothing is tidied on the way."""


def kill_at(monkeypatch: pytest.MonkeyPatch, last: int) -> list[str]:
    """Let the operation with this number on the disk happen by half, or not at all.

    Returns:
        The operations so far; grows.
    """
    done: list[str] = []

    def killing(
        owner: Any, name: str, half: Callable[..., object] = lambda *_, **__: None
    ) -> None:
        original = getattr(owner, name)

        def operation(*arguments: Any, **more: Any) -> Any:
            done.append(name)
            if len(done) == last:
                half(*arguments, **more)
                raise Killed
            return original(*arguments, **more)

        monkeypatch.setattr(owner, name, operation)

    def half_deleted(folder: Any, **_: Any) -> None:
        if (Path(folder) / "config.json").exists():
            (Path(folder) / "config.json").unlink()

    def half_copied(source: str, target: str, **_: Any) -> None:
        (Path(target) / "half").touch()

    killing(Path, "rename")
    killing(Path, "mkdir")
    killing(Path, "write_text", lambda path, _: path.touch())
    killing(models.shutil, "rmtree", half_deleted)
    killing(models.fs, "copy_files", half_copied)
    killing(models, "_copy_tokenizer", lambda _, target: (target / WORDS).touch())
    killing(models.storage, "delete_folder")
    return done


def is_somewhere(store: ModelStore, number: int) -> bool:
    """Return whether a trial's model can still be had."""
    marks = [x for x in store.best.parent.rglob(MARKER) if x.with_name("config.json").exists()]
    kept = {json.loads(x.read_text() or "{}").get("trial") for x in marks}
    return number in kept or store.has_model(number)


@pytest.mark.parametrize("keep", [1, 2])
@pytest.mark.parametrize("disks", [1, 2])
def test_killed_between_any_two_operations_it_loses_nothing_and_is_made_up(
    keep: int,
    disks: int,
    tmp_path: Path,
    light_tokenizer: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if disks == 2:
        part_file_systems(monkeypatch)
    ranking, kills, ended = [3, 0, 2, 1], 0, False
    while not ended:
        kills += 1
        run = tmp_path / f"killed-{kills}"
        store = ModelStore(str(run / "checkpoints"), run / "best", keep)
        for number, before in enumerate([[0], [0, 1], [0, 2, 1]]):
            finish(store, number, before, tmp_path)
        with pytest.MonkeyPatch.context() as crash:
            done = kill_at(crash, kills)
            try:
                finish(store, 3, ranking, tmp_path)
                ended = True
            except Killed:
                pass
        assert is_somewhere(store, 3), done
        assert is_somewhere(store, 0) or (keep == 1 and store.crowned == 3), done
        resumed = ModelStore(store.place, store.best, keep)
        resumed.retain(ranking, tmp_path)
        resumed.forget_others(set())
        kept = {"best": 3} | ({"models/trial-0000": 0} if keep == 2 else {})
        assert contents(resumed) == kept, done
        assert {(run / folder / WORDS).read_bytes() for folder in kept} == {b"whole"}
        files = {f"{folder}/{x}" for folder in kept for x in (*MODEL, MARKER, WORDS)}
        assert set(left_in(str(run))) == files, done
    assert kills > 6 * disks


def test_a_crash_before_the_new_model_is_whole_leaves_the_old_one_in_place(
    store: ModelStore, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(store, 0, [0], tiny_encoder)
    leave_model(store, 1)
    with monkeypatch.context() as crashing:
        crashing.setattr(models, "_copy_tokenizer", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.retain([1, 0], tiny_encoder)
    assert store.crowned == 0
    store.retain([1, 0], tiny_encoder)
    assert store.crowned == 1


def test_a_full_disk_while_crowning_keeps_what_was_there_and_names_the_place(
    place: str, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    store = ModelStore(place, tmp_path / "run" / "best")
    finish(store, 0, [0], tiny_encoder)
    leave_model(store, 1)

    def fill(_: Path, target: Path) -> None:  # a mock of a full disk
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(models, "_copy_tokenizer", fill)
        with pytest.raises(DiskFullError, match=r"models/trial-0001: the disk is full: a model "):
            store.retain([1, 0], tiny_encoder)
    assert contents(store).get("best") == 0
    assert list((tmp_path / "run").rglob("*.new")) == []
    store.retain([1, 0], tiny_encoder)
    store.forget(1)
    assert contents(store) == {"best": 1}


def test_leftovers_of_killed_generations_go_and_what_is_the_users_stays(
    store: ModelStore, tiny_encoder: Path, tmp_path: Path
) -> None:
    finish(store, 0, [0], tiny_encoder)
    run = tmp_path / "run"
    for name in (
        "best.new",
        "best.old",
        "models/trial-0007.new",
        "models/trial-0008",
        "models/my",
    ):
        (run / name).mkdir(parents=True)
    for number in (1, 2, 5):
        leave_model(store, number)
    store.retain([0], tiny_encoder)
    store.forget_others({2})
    assert sorted(path.name for path in run.iterdir()) == ["best", "models"]
    assert [path.name for path in (run / "models").iterdir()] == ["my"]
    assert [store.has_model(number) for number in (1, 2, 5)] == [False, True, False]


def test_a_model_that_is_kept_is_not_looked_for_again(
    store: ModelStore, tiny_encoder: Path
) -> None:
    finish(store, 0, [0], tiny_encoder)
    store.retain([0], tiny_encoder)  # there is nothing left to copy
    assert store.crowned == 0


def test_a_best_model_that_somebody_deleted_is_left_out(
    store: ModelStore, tiny_encoder: Path
) -> None:
    store.retain([1, 0], tiny_encoder)
    assert store.crowned is None
    assert store.kept == set()


@pytest.mark.parametrize("marker", ["", "{}", '{"trial": null}', "[]", '{"trial": "x"}'])
def test_a_damaged_mark_is_no_mark(store: ModelStore, marker: str) -> None:
    store.best.mkdir()
    (store.best / MARKER).write_text(marker)
    assert store.crowned is None


def test_a_model_is_there_until_its_trial_is_forgotten(store: ModelStore) -> None:
    assert not store.has_model(0)
    leave_model(store, 0)
    leave_model(store, 1)
    assert store.has_model(0)
    store.forget(0)
    store.forget(0)
    assert not store.has_model(0)
    assert store.has_model(1)


def test_an_empty_folder_in_the_storage_goes_and_a_full_one_stays(
    store: ModelStore, place: str
) -> None:
    store.tidy()
    leave_model(store, 0)
    leave_model(store, 1)
    store.forget(0)
    store.tidy()
    assert left_in(place) == [f"trial-0001/model/{name}" for name in MODEL]
    store.forget(1)
    store.tidy()
    files, path = storage.open_place(place)
    assert files.get_file_info(path).type == fs.FileType.NotFound


def test_of_a_model_that_a_better_one_replaced_no_folder_stays_in_the_storage(
    store: ModelStore, place: str, tiny_encoder: Path
) -> None:
    finish(store, 0, [0], tiny_encoder)
    finish(store, 1, [1, 0], tiny_encoder)
    files, path = storage.open_place(place)
    left = [info.base_name for info in files.get_file_info(fs.FileSelector(path))]
    assert left == ["trial-0001"]


def test_the_folder_of_a_run_is_left_as_it_is(tmp_path: Path) -> None:
    store = ModelStore(str(tmp_path / "run" / "checkpoints"), tmp_path / "run" / "best")
    leave_model(store, 0)
    store.forget(0)
    store.tidy()
    assert (tmp_path / "run" / "checkpoints").exists()


@pytest.fixture
def local_store(tmp_path: Path) -> ModelStore:
    return ModelStore("s3://never-opened/x", tmp_path / "best")


def test_rays_folder_lies_in_the_run_and_is_gone_afterwards(
    local_store: ModelStore, tmp_path: Path
) -> None:
    with local_store.ray_folder() as folder:
        (Path(folder) / "state").mkdir(parents=True)
        assert Path(folder).parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_driver_left_of_rays_folder_goes_with_the_next(
    local_store: ModelStore, tmp_path: Path
) -> None:
    killed = local_store.ray_folder()
    (Path(killed.__enter__()) / "state").mkdir(parents=True)
    with local_store.ray_folder() as folder:
        assert not (Path(folder) / "state").exists()
    assert list(tmp_path.iterdir()) == []


def test_storage_by_uri_is_the_same_place(tmp_path: Path, tiny_encoder: Path) -> None:
    store = ModelStore((tmp_path / "checkpoints").as_uri() + "/", tmp_path / "best")
    assert store.folder(1) == f"{(tmp_path / 'checkpoints').as_uri()}/trial-0001"
    finish(store, 1, [1], tiny_encoder)
    assert store.crowned == 1
    assert left_in(str(tmp_path / "checkpoints")) == []


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_a_trial_takes_over_what_an_interrupted_one_left(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "checkpoints"
    store = ModelStore(str(place), tmp_path / "run" / "best")
    if kind == "remote":
        # A mock: a file system that can only copy, as a bucket's.
        store.__dict__["_opened"] = (fs.SubTreeFileSystem("/", fs.LocalFileSystem()), str(place))
    left = place / "trial-0003" / "checkpoint" / "checkpoint.safetensors"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"weights")
    store.adopt(3, 5)
    taken = place / "trial-0005" / "checkpoint" / "checkpoint.safetensors"
    assert taken.read_bytes() == b"weights"
    assert not (place / "trial-0003").exists()
    store.adopt(3, 6)  # nothing is left: the new one starts from the beginning
    assert not (place / "trial-0006").exists()


def test_a_model_of_which_a_part_is_gone_is_none(store: ModelStore) -> None:
    leave_model(store, 4)
    files, path = storage.open_place(storage.join(store.folder(4), "model"))
    files.delete_file(f"{path}/predictions.parquet")
    assert not store.has_model(4)


# --- a storage that fails


@pytest.fixture
def failing(store: ModelStore, place: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that makes the storage fail to give some trials' models (a mock)."""
    if not place.startswith("s3"):
        pytest.skip("a storage elsewhere")
    bring = ModelStore._bring

    def fail(*numbers: int) -> None:
        def bring_or_fail(self: ModelStore, number: int, tokenizer_folder: Path) -> None:
            if number in numbers:
                raise OSError("AWS Error NETWORK_CONNECTION\nmore")
            bring(self, number, tokenizer_folder)

        monkeypatch.setattr(ModelStore, "_bring", bring_or_fail)

    return fail


def test_a_model_that_the_storage_does_not_give_is_owed_and_stays_there(
    store: ModelStore, tiny_encoder: Path, failing: Callable[..., None]
) -> None:
    finish(store, 0, [0], tiny_encoder)
    failing(1)
    finish(store, 1, [1, 0], tiny_encoder)
    assert store.owed == {1: "AWS Error NETWORK_CONNECTION"}
    assert store.has_model(1)
    assert store.crowned == 0  # a worse one until then

    failing()
    store.retain([1, 0], tiny_encoder)
    assert store.owed == {}
    assert contents(store) == {"best": 1}


def test_the_second_best_is_crowned_as_long_as_the_best_is_owed(
    store: ModelStore, tiny_encoder: Path, failing: Callable[..., None]
) -> None:
    store.keep = 2
    failing(0)
    finish(store, 0, [0], tiny_encoder)
    finish(store, 1, [0, 1], tiny_encoder)
    assert contents(store) == {"best": 1}
    failing()
    store.retain([0, 1], tiny_encoder)
    assert contents(store) == {"best": 0, "models/trial-0001": 1}


def test_an_owed_model_that_is_not_wanted_any_more_goes(
    store: ModelStore, place: str, tiny_encoder: Path, failing: Callable[..., None]
) -> None:
    failing(0)
    finish(store, 0, [0], tiny_encoder)
    finish(store, 1, [1, 0], tiny_encoder)
    assert store.owed == {}
    assert not store.has_model(0)
    assert contents(store) == {"best": 1}


def test_the_next_best_takes_the_place_of_a_model_that_was_not_saved(
    store: ModelStore, tiny_encoder: Path
) -> None:
    store.leave_out(0)
    store.retain([0], tiny_encoder)
    finish(store, 1, [0, 1], tiny_encoder)
    assert contents(store) == {"best": 1}


def test_after_a_resume_too_a_model_that_was_not_saved_keeps_no_other_out(
    store: ModelStore, tiny_encoder: Path
) -> None:
    store.leave_out(0)
    finish(store, 1, [0, 1], tiny_encoder)
    resumed = ModelStore(store.place, store.best)
    resumed.retain([0, 1], tiny_encoder)
    assert contents(resumed) == {"best": 1}
    finish(resumed, 2, [0, 2, 1], tiny_encoder)
    assert contents(resumed) == {"best": 2}


def test_a_model_that_is_nowhere_is_looked_for_once(
    store: ModelStore, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    has_model = ModelStore.has_model
    monkeypatch.setattr(
        ModelStore, "has_model", lambda self, n: asked.append(n) or has_model(self, n)
    )
    leave_model(store, 3)
    leave_model(store, 4)
    store.retain([0, 3, 1, 4], tiny_encoder)
    store.retain([0, 3, 1, 4], tiny_encoder)
    assert asked == [0, 3]  # and none below those that are enough
    assert contents(store) == {"best": 3}


def test_an_owed_model_holds_its_place_and_one_that_is_nowhere_does_not(
    store: ModelStore, tiny_encoder: Path, failing: Callable[..., None]
) -> None:
    store.keep = 2
    for number in (1, 2, 3):
        leave_model(store, number)
    failing(1)
    store.retain([0, 1, 2, 3], tiny_encoder)
    assert store.owed.keys() == {1}
    assert contents(store) == {"best": 2}
    failing()
    store.retain([0, 1, 2, 3], tiny_encoder)
    assert contents(store) == {"best": 1, "models/trial-0002": 2}


def test_what_else_a_storage_refuses_a_resume_can_do_without(
    store: ModelStore, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("AWS Error SLOW_DOWN")  # a mock of a storage that fails

    leave_model(store, 0)
    for name in ("delete_folder", "bytes_below"):
        monkeypatch.setattr(storage, name, refuse)
    monkeypatch.setattr(ModelStore, "_adopt", refuse)
    store.adopt(0, 1)
    store.forget_others(set())
    store.forget(0)
    store.retain([], Path())
    assert store.has_model(0)
