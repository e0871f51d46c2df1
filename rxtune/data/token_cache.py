"""Tokenised splits on disk: made once in bounded memory, found by content, memory-mapped."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rxtune.data.eviction import SCRATCH, evict, mark_used
from rxtune.data.task import Split, Task
from rxtune.data.tokens import tokenise
from rxtune.errors import DataError, StudyError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FORMAT = 1
"""Part of every key: raise it where the same input would give another table."""
CHUNK = 8192
"""Rows that are tokenised at a time; a tokenizer in Rust spreads them over all cores."""
TOKEN_COLUMNS = ("input_ids", "token_type_ids")


def cache_folder() -> Path:
    """Return where tokens are kept; the folder may be deleted at any time."""
    chosen = os.environ.get("RXTUNE_CACHE")
    if chosen:
        return Path(chosen).absolute() / "tokens"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "rxtune" / "tokens"


class TokenReader:
    """Reads splits as tokens, from the cache where they are in it.

    Args:
        tokenizer: of the encoder that will read the tokens.
        max_length: longest sequence in tokens; longer input is cut.
        folder: of the cache; None: `cache_folder()`.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, max_length: int, folder: Path | None = None
    ) -> None:
        self._tokenizer, self._max_length = tokenizer, max_length
        self._folder = folder or cache_folder()
        self._identity = _identity(tokenizer)

    def split(self, task: Task, language: str, split: Split) -> pa.Table:
        """Return `input_ids`, `label` and maybe `token_type_ids`; outside of train also `id`.

        Raises:
            DataError: the task's data is malformed.
            StudyError: texts cut to the longest sequence would have no words left.
        """
        self._require_room(task.is_pair)
        columns = ["text", "text_pair", "label", *(["id"] if split != "train" else [])]

        def read() -> Iterator[pa.Table]:
            table = task.read(language, split)
            yield table.select([name for name in columns if name in table.column_names])

        # The columns too: files of two splits may hold the same bytes.
        return self.tokens(json.dumps([task.fingerprint(language, split), columns]), read)

    def _require_room(self, is_pair: bool) -> None:
        special = self._tokenizer.num_special_tokens_to_add(pair=is_pair)
        least = special + (2 if is_pair else 1)
        if self._max_length < least:
            # Shorter than its special tokens, a tokenizer would not cut a text at all.
            raise StudyError(
                f"max_length: must be at least {least}, for a token of each text beside the"
                f" encoder's {special} special ones, but is {self._max_length}; raise it in the"
                " study's train: or in the task"
            )

    def tokens(self, fingerprint: str, read: Callable[[], Iterable[pa.Table]]) -> pa.Table:
        """Return the tokens of some text, each column one chunk of a memory-mapped file.

        Two processes that make the same at once both succeed, one file stays. A damaged file is
        made anew and a folder that cannot be written is done without, both with a warning.

        Args:
            fingerprint: of everything that `read` depends on.
            read: called only where the cache does not have it; yields tables as `tokenise` takes
                them, maybe with `id`.
        """
        if self._identity is None:
            return tokenise_all(read(), self._tokenizer, self._max_length)
        key = _key(self._identity, self._max_length, fingerprint)
        found = _find(self._folder, key)
        return self._make(key, read) if found is None else found

    def _make(self, key: str, read: Callable[[], Iterable[pa.Table]]) -> pa.Table:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=self._folder) as scratch:
                made = _Flat(Path(scratch))
                made.tokenise(read(), self._tokenizer, self._max_length)
                table = _keep(made.table(), Path(scratch), self._folder, key)
            evict(self._folder)
            return table
        except OSError as error:
            warnings.warn(
                f"{self._folder}: tokens cannot be kept there ({error}), so every start makes them"
                " anew; free the disk, or name another folder in RXTUNE_CACHE",
                stacklevel=2,
            )
            return tokenise_all(read(), self._tokenizer, self._max_length)


def tokenise_all(
    tables: Iterable[pa.Table], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> pa.Table:
    """Return the tokens of all tables, kept nowhere.

    They lie in mapped files that no longer have a name: the system frees them with the table, and
    may page them out before.

    Raises:
        DataError: the folder of temporary files cannot be written, or is full.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="rxtune-tokens-") as scratch:
            made = _Flat(Path(scratch))
            made.tokenise(tables, tokenizer, max_length)
            return made.table()
    except OSError as error:
        raise DataError(
            f"{tempfile.gettempdir()}: tokens cannot be written there ({error}); free the disk,"
            " or name another folder in TMPDIR"
        ) from error


def _identity(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Return all that tokens depend on; None for a tokenizer in Python, which does not tell."""
    import tokenizers
    import transformers

    if not getattr(tokenizer, "is_fast", False):
        return None
    backend: Any = tokenizer.backend_tokenizer
    # Left over from the last call, and set anew by the next: no part of what it is.
    backend.no_truncation()
    backend.no_padding()
    facts = {
        "class": type(tokenizer).__name__,
        "content": hashlib.sha256(backend.to_str().encode()).hexdigest(),
        "inputs": tokenizer.model_input_names,
        "truncation": tokenizer.truncation_side,
        "versions": [transformers.__version__, tokenizers.__version__],
    }
    return json.dumps(facts, sort_keys=True)


def _key(*parts: str | int) -> str:
    return hashlib.sha256(json.dumps([FORMAT, *parts]).encode()).hexdigest()[:32]


def _find(folder: Path, key: str) -> pa.Table | None:
    """Return the table under a key if its file is whole: its name holds its checksum."""
    for path in sorted(folder.glob(f"{key}-*.arrow")):
        try:
            mapped = _map(path)
            if f"{key}-{zlib.crc32(mapped):08x}" == path.stem:
                mark_used(path)
                return pa.ipc.open_file(mapped).read_all()
            problem = "its checksum is not that of its name"
        except FileNotFoundError:  # deleted between the two looks
            continue
        except (OSError, pa.ArrowInvalid) as error:
            problem = str(error)
        warnings.warn(f"{path}: damaged ({problem}); it is made anew", stacklevel=2)
        _delete(path)
    return None


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a folder of another user: found damaged again next time
        return


def _keep(table: pa.Table, scratch: Path, folder: Path, key: str) -> pa.Table:
    """Put a table into the cache, where it appears whole or not at all, and return it mapped."""
    new = scratch / "new.arrow"
    with pa.OSFile(str(new), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    mapped = _map(new)
    new.replace(folder / f"{key}-{zlib.crc32(mapped):08x}.arrow")
    return pa.ipc.open_file(mapped).read_all()


def _map(path: Path) -> pa.Buffer:
    with pa.memory_map(str(path)) as file:
        return file.read_buffer()


class _Flat:
    """Tokens of many chunks, one after another in raw files: no chunk borders, little memory.

    In memory stay 12 bytes a row (length and label) and, where asked for, its id.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._types: dict[str, pa.DataType] = {}
        self._lengths: list[NDArray[np.integer[Any]]] = []
        self._rest: list[pa.Table] = []

    def tokenise(
        self, tables: Iterable[pa.Table], tokenizer: PreTrainedTokenizerBase, max_length: int
    ) -> None:
        for table in tables:
            for start in range(0, table.num_rows, CHUNK):
                chunk = table.slice(start, CHUNK)
                kept = [name for name in ("label", "id") if name in chunk.column_names]
                self._append(tokenise(chunk, tokenizer, max_length), chunk.select(kept))

    def _append(self, tokens: pa.Table, rest: pa.Table) -> None:
        for name in TOKEN_COLUMNS:
            if name in tokens.column_names:
                column = tokens.column(name).chunk(0)
                self._types[name] = column.type.value_type
                with self._path(name).open("ab") as file:
                    column.flatten().to_numpy().tofile(file)
        self._lengths.append(np.diff(tokens.column("input_ids").chunk(0).offsets.to_numpy()))
        self._rest.append(rest)

    def table(self) -> pa.Table:
        """Return all that was appended; each column is one chunk."""
        offsets = np.concatenate([[0], *self._lengths]).cumsum()
        columns = {name: self._lists(name, offsets) for name in self._types}
        rest = pa.concat_tables(self._rest).combine_chunks() if self._rest else pa.table({})
        for name in rest.column_names:
            columns[name] = rest.column(name)
        return pa.table(columns)

    def _lists(self, name: str, offsets: NDArray[np.int64]) -> pa.Array:
        count, kind = int(offsets[-1]), self._types[name]
        values = pa.Array.from_buffers(kind, count, [None, _map(self._path(name))])
        if count > np.iinfo(np.int32).max:
            return pa.LargeListArray.from_arrays(pa.array(offsets), values)
        return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)

    def _path(self, name: str) -> Path:
        return self._scratch / name
