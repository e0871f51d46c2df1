"""Tokens on disk: the same as tokenised at once, found by content, made anew where damaged."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from rxtune.data import TASKS, tokenise
from rxtune.data.token_cache import TokenReader, cache_folder, tokenise_all
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
