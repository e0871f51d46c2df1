"""A task of a user's own files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rxtune.config import TaskFile, nearest
from rxtune.config.task_file import ENDINGS
from rxtune.data.faults import refuse
from rxtune.data.task import Split, Task

if TYPE_CHECKING:
    import pyarrow as pa

    from rxtune.data.formats import Layout


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """Reads what a task file describes."""

    description: TaskFile

    def read(self, language: str, split: Split) -> pa.Table:
        """Return the examples of a file.

        Raises:
            FaultyDataError: the file is missing, or rows of it break rules; all are named.
        """
        from rxtune.data.checks import find_faults, to_examples
        from rxtune.data.formats import read_raw

        path = self.path(language, split)
        raw, faults = read_raw(path, self._layout(path))
        if not faults or raw.num_rows:
            faults += find_faults(raw, str(path), self.description.labels, split)
        refuse(faults)
        if self.description.parallel == "row" and "id" in raw.column_names:
            raw = raw.drop_columns(["id"])  # ids are what matches items: here, row numbers
        return to_examples(_numbered(raw), self.description.labels)

    def path(self, language: str, split: Split) -> Path:
        """Return the file of a language and split."""
        return Path(getattr(self.description.files, split)[language])

    def identify(self, language: str, split: Split) -> str:
        """Return a hash of the file's bytes and of how they are read.

        Raises:
            FaultyDataError: there is no such file.
        """
        path = self.path(language, split)
        plain = self.description.model_dump(
            mode="json",
            include={"labels", "columns", "header", "delimiter", "quoting", "parallel"},
        )
        digest = hashlib.sha256(json.dumps([plain, path.suffix.lower()]).encode())
        try:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            refuse([f"{path}: cannot be read: {error.strerror}"])
        return digest.hexdigest()

    def _layout(self, path: Path) -> Layout:
        from rxtune.data.formats import Layout

        kind = ENDINGS[path.suffix.lower()]
        quoting = self.description.quoting or ("standard" if kind == "csv" else "none")
        return Layout(
            format=kind,
            columns=self.description.columns.used(),
            header=self.description.header,
            delimiter=self.description.delimiter or ("," if kind == "csv" else "\t"),
            quoted=quoting == "standard",
        )


def _numbered(raw: pa.Table) -> pa.Table:
    """Return the rows with numbers from 1 in place of lines, which depend on header and breaks."""
    import pyarrow as pa

    numbers = pa.array(range(1, raw.num_rows + 1), pa.int64())
    return raw.set_column(raw.column_names.index("line"), "line", numbers)


def own_task(description: TaskFile) -> Task:
    """Return the task that a user's files make; they are not opened yet.

    Raises:
        FaultyDataError: files do not exist.
    """
    files = OwnFiles(description)
    refuse(_missing(description))
    languages = (description.source_language, *description.target_languages)
    return Task(
        name=description.name,
        title=description.title,
        labels=description.labels,
        source_language=description.source_language,
        target_languages=description.target_languages,
        dev_languages=description.dev_languages,
        default_model=description.model,
        epochs=description.epochs,
        batch_size=description.batch_size,
        max_length=description.max_length,
        read=files.read,
        is_pair=description.columns.text_pair is not None,
        parallel=description.parallel,
        with_dev=tuple(language for language in languages if language in description.files.dev),
        origin="own files",
        identify=files.identify,
    )


def _missing(description: TaskFile) -> list[str]:
    return [
        f"{path}: no such file ({split} in {language}); {_neighbours(Path(path))}"
        for split, paths in description.files
        for language, path in paths.items()
        if not Path(path).is_file()
    ]


def _neighbours(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    names = sorted(item.name for item in path.parent.iterdir())
    near = nearest(path.name, names)
    return f"did you mean {near}?" if near else f"the folder holds {', '.join(names[:8])}"
