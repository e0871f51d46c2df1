"""A task of the catalogue: where its data lies on the hub, and how rows become examples."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rxtune.data.faults import refuse
from rxtune.data.task import Parallel, Split, Task

if TYPE_CHECKING:
    import pyarrow as pa

    from rxtune.data.hub_cache import Loaded

SPLIT_NAMES: Mapping[Split, str] = {"train": "train", "dev": "validation", "test": "test"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HubTask:
    """What rxtune knows about a data set of the hub."""

    name: str
    title: str
    hub: str
    """Id of the data set."""
    labels: tuple[str, ...]
    """Labels in the order of their class ids, the same for all languages."""
    source_language: str
    target_languages: tuple[str, ...]
    dev_languages: tuple[str, ...]
    text: str
    """Column of the text, or of the first of a pair."""
    text_pair: str | None = None
    label: str = "label"
    """Column of the label: text, or class ids with names; plain numbers only by `also`."""
    id: str | None = None
    """Column of the item; None: the row's number is the id."""
    parallel: Parallel | None = None
    also: Mapping[str, str] = field(default_factory=dict)
    """Other spellings of labels in the data: spelling to label."""
    drop_labels: tuple[str, ...] = ()
    """Rows with these labels are no examples."""
    drop_texts: tuple[str, ...] = ("",)
    """Rows with these texts are no examples."""
    configs: Mapping[str, str] = field(default_factory=dict)
    """Configuration of a language, where it is not called as the language."""
    splits: Mapping[Split, str] = field(default_factory=lambda: SPLIT_NAMES)
    """What the data set calls the splits."""
    borrows: tuple[Split, ...] = ()
    """Splits of the source language that another data set gives, `lender`."""
    lender: HubTask | None = None
    revision: str | None = None
    """Commit of the data set; None: what the cache holds, else the newest."""
    default_model: str = "FacebookAI/xlm-roberta-base"
    epochs: float
    batch_size: int = 32
    max_length: int = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSource:
    """Reads a task of the catalogue."""

    entry: HubTask
    folder: str | None = None
    """Local copy in hub layout; None: the hub's cache, or the hub."""
    lent: str | None = None
    """The same for the data set that the entry borrows from."""

    def read(self, language: str, split: Split) -> pa.Table:
        """Return the examples of a split.

        Raises:
            DataError: it cannot be had, or its rows break rules.
        """
        from rxtune.data.checks import find_faults, to_examples

        lender = self._lender(language, split)
        if lender:
            return lender.read(lender.entry.source_language, split)
        loaded = self._load(language, split)
        raw = self._raw(loaded, language, split)
        kept = self._kept(raw)
        refuse(find_faults(kept, self._where(language, split), self.entry.labels, split))
        return to_examples(kept, self.entry.labels, dropped=raw.num_rows - kept.num_rows)

    def identify(self, language: str, split: Split) -> str:
        """Return a hash of the data set's commit or files, and of how its rows are read.

        Raises:
            DataError: the data cannot be had.
        """
        lender = self._lender(language, split)
        if lender:
            return lender.identify(lender.entry.source_language, split)
        identity = self._load(language, split).identity
        entry = self.entry
        reading = (entry.labels, entry.text, entry.text_pair, entry.label, entry.id)
        rules = (sorted(entry.also.items()), entry.drop_labels, entry.drop_texts)
        key = repr((identity, self._config(language), split, reading, rules))
        return hashlib.sha256(key.encode()).hexdigest()

    def is_local(self) -> bool:
        """Return whether the data can be read without network, as far as a look at it tells."""
        from rxtune.data.hub_cache import is_cached

        lender = self._lender(self.entry.source_language, "train")
        own = self.folder is not None or is_cached(self.entry.hub, self.entry.revision)
        return own and (lender is None or lender.is_local())

    def _lender(self, language: str, split: Split) -> HubSource | None:
        entry = self.entry
        if entry.lender and split in entry.borrows and language == entry.source_language:
            return HubSource(entry=entry.lender, folder=self.lent)
        return None

    def _config(self, language: str) -> str:
        return self.entry.configs.get(language, language)

    def _where(self, language: str, split: Split) -> str:
        place = self.folder or self.entry.hub
        return f"{place} {self._config(language)} {self.entry.splits[split]}"

    def _load(self, language: str, split: Split) -> Loaded:
        from rxtune.data.hub_cache import load

        entry = self.entry
        return load(
            entry.hub,
            self._config(language),
            entry.splits[split],
            revision=entry.revision,
            folder=Path(self.folder) if self.folder else None,
        )

    def _raw(self, loaded: Loaded, language: str, split: Split) -> pa.Table:
        """Return the rows as a raw table (see `checks`); `line` counts rows from 1."""
        import pyarrow as pa

        from rxtune.data.checks import missing_column

        entry, where = self.entry, self._where(language, split)
        wanted = {"id": entry.id, "text": entry.text, "text_pair": entry.text_pair}
        used = {role: name for role, name in wanted.items() if name is not None}
        names = loaded.table.column_names
        absent = [name for name in (*used.values(), entry.label) if name not in names]
        refuse([missing_column(where, name, names) for name in absent])
        columns = {
            role: loaded.table.column(name).cast(pa.string()) for role, name in used.items()
        }
        columns["label"] = self._labels(loaded, where)
        numbers = pa.array(range(1, loaded.table.num_rows + 1), pa.int64())
        return pa.table({"line": numbers, **columns})

    def _labels(self, loaded: Loaded, where: str) -> pa.ChunkedArray:
        """Return labels as the task spells them; what it does not know stays as it is."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = loaded.table.column(self.entry.label)
        names = loaded.class_names.get(self.entry.label)
        if names is None and not pa.types.is_string(column.type):
            self._require_numbers_known(where)
        texts = column.cast(pa.string())
        spelled = {label: label for label in self.entry.labels} | dict(self.entry.also)
        if names is not None:
            self._require_names(names, where)
            spelled = {str(number): spelled[name] for number, name in enumerate(names)}
        values, labels = pa.array(spelled, pa.string()), pa.array(spelled.values(), pa.string())
        return pc.coalesce(labels.take(pc.index_in(texts, value_set=values)), texts)

    def _require_names(self, names: tuple[str, ...], where: str) -> None:
        strange = [name for name in names if name not in (*self.entry.labels, *self.entry.also)]
        if strange:
            refuse(
                [
                    f"{where}: its label {strange[0]!r} is none of the task's"
                    f" ({', '.join(self.entry.labels)}); is it the right data set?"
                ]
            )

    def _require_numbers_known(self, where: str) -> None:
        if not all(str(number) in self.entry.also for number in range(len(self.entry.labels))):
            refuse(
                [
                    f"{where}: labels are numbers without names, so their order is not known;"
                    f" give them as text ({', '.join(self.entry.labels)}) or with class names"
                ]
            )

    def _kept(self, raw: pa.Table) -> pa.Table:
        """Return the rows that are examples."""
        import pyarrow as pa
        import pyarrow.compute as pc

        def among(name: str, values: tuple[str, ...]) -> pa.ChunkedArray:
            column = pc.utf8_trim_whitespace(pc.fill_null(raw.column(name), ""))
            return pc.is_in(column, value_set=pa.array(values, pa.string()))

        out = among("label", self.entry.drop_labels)
        for name in ("text", "text_pair"):
            if name in raw.column_names:
                out = pc.or_(out, among(name, self.entry.drop_texts))
        return raw.filter(pc.invert(out))


def hub_task(
    entry: HubTask,
    *,
    folder: str | None = None,
    source_folder: str | None = None,
    target_languages: tuple[str, ...] | None = None,
    dev_languages: tuple[str, ...] | None = None,
) -> Task:
    """Return the task of an entry; nothing is looked up yet.

    Args:
        entry: of the catalogue.
        folder: local copy of its data set.
        source_folder: local copy of the data set that it borrows from.
        target_languages: other targets than the entry's.
        dev_languages: other dev languages than the entry's.
    """
    source = HubSource(entry=entry, folder=folder, lent=source_folder)
    targets = target_languages or entry.target_languages
    dev = dev_languages or tuple(code for code in entry.dev_languages if code in targets)
    return Task(
        name=entry.name,
        title=entry.title,
        labels=entry.labels,
        source_language=entry.source_language,
        target_languages=targets,
        dev_languages=dev,
        default_model=entry.default_model,
        epochs=entry.epochs,
        batch_size=entry.batch_size,
        max_length=entry.max_length,
        read=source.read,
        is_pair=entry.text_pair is not None,
        parallel=entry.parallel,
        origin=folder or f"hub: {entry.hub}",
        identify=source.identify,
        is_local=source.is_local,
    )
