"""Tokens on disk: the same as tokenised at once, found by content, made anew where damaged."""

from __future__ import annotations

import os
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from rxtune.data import TASKS, Task, tokenise
from rxtune.data.eviction import mark_used
from rxtune.data.token_cache import TokenReader, cache_folder, tokenise_all
from rxtune.errors import DataError, StudyError
from rxtune.testbed.tokenizer import build_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEXTS = pa.table(
    {
        "id": ["a", "b", "c", "d", "e"],
        "text": ["the old king", "this dog", "the river", "a big hat", "the cow saw the dog"],
        "text_pair": ["the king", "this cat", "the forest", "the hat", "the dog"],
        "label": pa.array([0, 1, 2, 1, 0], pa.int64()),
    }
)


class Source:
    """Hands out the texts and counts how often."""

    def __init__(self, *tables: pa.Table) -> None:
        self.tables, self.reads = tables or (TEXTS,), 0

    def __call__(self) -> Iterator[pa.Table]:
        self.reads += 1
        yield from self.tables


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return build_tokenizer()


@pytest.fixture
def reader(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> TokenReader:
    return TokenReader(tokenizer, 16, tmp_path / "cache")


@pytest.fixture
def copied() -> Task:
    """Own files, of which dev and test are copies of train."""
    return Task(
        name="copied",
        title="",
        labels=("a", "b", "c"),
        source_language="en",
        target_languages=("sw",),
        dev_languages=("sw",),
        default_model="tiny",
        epochs=1.0,
        batch_size=8,
        max_length=16,
        read=lambda language, split: TEXTS,
        is_pair=True,
        identify=lambda language, split: "the same bytes",
    )


def files(folder: Path) -> list[Path]:
    return sorted((folder / "cache").iterdir())


def test_chunks_leave_no_trace(
    reader: TokenReader, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rxtune.data.token_cache.CHUNK", 2)
    found = reader.tokens("x", Source(TEXTS, TEXTS.slice(1, 3)))
    at_once = tokenise(pa.concat_tables([TEXTS, TEXTS.slice(1, 3)]), tokenizer, 16)
    assert found.drop_columns(["id"]) == at_once
    assert found["id"].to_pylist() == [*"abcde", *"bcd"]
    assert {found[name].num_chunks for name in found.column_names} == {1}


def test_a_tokenizer_without_token_types_gives_none(tokenizer: Any) -> None:
    def without_types(*texts: list[str], **options: object) -> dict[str, object]:
        return {"input_ids": tokenizer(*texts, **options)["input_ids"]}

    found = tokenise_all([TEXTS.drop_columns(["id"])], without_types, 16)  # type: ignore[arg-type]
    assert found.column_names == ["input_ids", "label"]


def test_the_second_time_nothing_is_read(reader: TokenReader, tmp_path: Path) -> None:
    source = Source()
    first = reader.tokens("x", source)
    assert reader.tokens("x", source) == first
    assert source.reads == 1
    assert [path.suffix for path in files(tmp_path)] == [".arrow"]


def test_the_second_time_no_copy_is_made(reader: TokenReader) -> None:
    reader.tokens("x", Source())
    before = pa.total_allocated_bytes()
    again = reader.tokens("x", Source())
    assert again.nbytes > 300
    assert pa.total_allocated_bytes() - before < 100


@pytest.mark.parametrize("what", ["fingerprint", "length", "tokenizer", "truncation side"])
def test_other_content_is_another_file(what: str, tmp_path: Path) -> None:
    source, tokenizer, length, fingerprint = Source(), build_tokenizer(), 16, "x"
    TokenReader(tokenizer, length, tmp_path).tokens(fingerprint, source)
    if what == "fingerprint":
        fingerprint = "y"
    elif what == "length":
        length = 15
    elif what == "tokenizer":
        tokenizer.add_tokens(["king"])
    else:
        tokenizer.truncation_side = "left"
    TokenReader(tokenizer, length, tmp_path).tokens(fingerprint, source)
    assert source.reads == 2


def test_what_a_tokenizer_did_before_does_not_matter(tmp_path: Path) -> None:
    source, tokenizer = Source(), build_tokenizer()
    TokenReader(tokenizer, 16, tmp_path).tokens("x", source)
    tokenizer("the king", truncation=True, max_length=3, padding="max_length")
    TokenReader(tokenizer, 16, tmp_path).tokens("x", source)
    assert source.reads == 1


@pytest.mark.parametrize("damage", ["cut", "changed", "emptied"])
def test_a_damaged_file_is_made_anew_with_a_warning(
    damage: str, reader: TokenReader, tmp_path: Path
) -> None:
    source = Source()
    whole = reader.tokens("x", source).to_pylist()
    (path,) = files(tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    parts = {"cut": content[:-20], "changed": content, "emptied": b""}
    path.unlink()  # the first table still has it mapped
    path.write_bytes(parts[damage])
    with pytest.warns(UserWarning, match=r"\.arrow: damaged \(.+\); it is made anew"):
        again = reader.tokens("x", source)
    assert again.to_pylist() == whole
    assert source.reads == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reader.tokens("x", source)


def test_a_folder_that_cannot_be_made_is_done_without(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    reader = TokenReader(tokenizer, 16, tmp_path / "file" / "cache")
    with pytest.warns(UserWarning, match="tokens cannot be kept there .+ RXTUNE_CACHE"):
        found = reader.tokens("x", Source())
    assert found.drop_columns(["id"]) == tokenise(TEXTS, tokenizer, 16)


def test_a_place_for_scratch_files_that_cannot_be_written_is_named(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"file: tokens cannot be written there \(.+\); .+ TMPDIR"):
        tokenise_all([TEXTS], tokenizer, 16)


def test_an_error_of_the_data_leaves_nothing_behind(reader: TokenReader, tmp_path: Path) -> None:
    def fail() -> Iterator[pa.Table]:
        yield TEXTS
        raise ValueError("row 6")

    with pytest.raises(ValueError, match="row 6"):
        reader.tokens("x", fail)
    assert files(tmp_path) == []


def test_two_that_make_the_same_at_once_leave_one_file(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    both_are_at_it = threading.Barrier(2)

    def read() -> Iterator[pa.Table]:
        both_are_at_it.wait(timeout=60)
        yield TEXTS

    found: list[pa.Table] = []

    def make() -> None:
        found.append(TokenReader(build_tokenizer(), 16, tmp_path / "cache").tokens("x", read))

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert len(files(tmp_path)) == 1


def test_a_tokenizer_in_python_is_not_cached(tmp_path: Path) -> None:
    class Slow:
        def __call__(self, *texts: list[str], **_: object) -> dict[str, object]:
            return {"input_ids": [[len(text)] for text in texts[0]]}

    source, slow = Source(), Slow()
    reader = TokenReader(slow, 16, tmp_path / "cache")  # type: ignore[arg-type]
    assert reader.tokens("x", source)["input_ids"].to_pylist() == [[12], [8], [9], [9], [19]]
    reader.tokens("x", source)
    assert source.reads == 2
    assert not (tmp_path / "cache").exists()


def test_items_keep_their_ids_outside_of_training(reader: TokenReader) -> None:
    dev = reader.split(TASKS["babel"], "qaa", "dev")
    assert dev["id"].to_pylist() == TASKS["babel"].read("qaa", "dev")["id"].to_pylist()


def test_a_dev_split_with_the_content_of_train_still_has_its_ids(
    reader: TokenReader, copied: Task
) -> None:
    assert "id" not in reader.split(copied, "en", "train").column_names
    assert reader.split(copied, "en", "dev")["id"].to_pylist() == [*"abcde"]


@pytest.mark.parametrize(("is_pair", "least"), [(True, 5), (False, 3)])
def test_a_length_without_room_for_words_is_refused(
    copied: Task,
    tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
    is_pair: bool,
    least: int,
) -> None:
    task = replace(copied, is_pair=is_pair)
    TokenReader(tokenizer, least, tmp_path).split(task, "en", "dev")
    with pytest.raises(
        StudyError, match=f"max_length: must be at least {least}, .*, but is {least - 1}"
    ):
        TokenReader(tokenizer, least - 1, tmp_path).split(task, "en", "dev")


# --- what is not needed goes


def age(path: Path, days: float) -> None:
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def test_a_file_that_no_search_has_used_for_a_month_goes(
    reader: TokenReader, tmp_path: Path
) -> None:
    for name in "xyz":
        reader.tokens(name, Source())
    for path in files(tmp_path):
        age(path, 31)
    reader.tokens("y", Source())  # a use makes it young
    reader.tokens("new", Source())
    source = Source()
    reader.tokens("y", source)
    assert source.reads == 0
    assert len(files(tmp_path)) == 2


def test_above_the_bound_the_longest_unused_go_first_but_none_of_today(
    reader: TokenReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate("abcd"):
        before = set(files(tmp_path)) if number else set()
        reader.tokens(name, Source())
        (path,) = set(files(tmp_path)) - before
        age(path, {"a": 3, "b": 5, "c": 4, "d": 0.1}[name])
    size = sum(path.stat().st_size for path in files(tmp_path)) // 4
    monkeypatch.setattr("rxtune.data.eviction.LARGEST", 3 * size + size // 2)
    reader.tokens("e", Source())  # five, of three and a half: "b" and "c" are the oldest
    sources = {name: Source() for name in "adebc"}
    for name, source in sources.items():
        if name not in "bc":
            reader.tokens(name, source)
    assert [sources[name].reads for name in "ade"] == [0, 0, 0]
    monkeypatch.setattr("rxtune.data.eviction.LARGEST", 0)
    reader.tokens("f", Source())
    reader.tokens("d", sources["d"])
    assert sources["d"].reads == 0, "used today"


def test_a_table_stays_readable_when_its_file_goes(reader: TokenReader, tmp_path: Path) -> None:
    table = reader.tokens("x", Source())
    rows = table.to_pylist()
    for path in files(tmp_path):
        age(path, 31)
    reader.tokens("new", Source())
    assert len(files(tmp_path)) == 1
    assert table.to_pylist() == rows


def test_a_file_that_has_just_gone_is_not_made_by_its_use(tmp_path: Path) -> None:
    mark_used(tmp_path / "gone.arrow")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_and_strange_files_stay(
    reader: TokenReader, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    for name, days in {"making-old": 2.0, "making-now": 0.0, "mine": 90.0}.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "input_ids").write_bytes(b"1")
        age(folder / name, days)
    (folder / "notes.txt").write_text("keep")
    age(folder / "notes.txt", 90)
    reader.tokens("x", Source())
    left = {path.name for path in files(tmp_path) if path.suffix != ".arrow"}
    assert left == {"making-now", "mine", "notes.txt"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"RXTUNE_CACHE": "/a"}, "/a/tokens"),
        ({"RXTUNE_CACHE": "", "XDG_CACHE_HOME": "/b"}, "/b/rxtune/tokens"),
        ({"HOME": "/home/c"}, "/home/c/.cache/rxtune/tokens"),
    ],
)
def test_the_cache_lies_where_the_environment_says(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RXTUNE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setitem(os.environ, name, value)
    assert cache_folder() == Path(expected)
