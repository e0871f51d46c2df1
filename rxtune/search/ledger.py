"""The Optuna study in its journal: how a search is stored, not what it decides."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import optuna
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, Trial

from rxtune.config import GROWING, SearchSettings, Study, TaskChoice, TaskFile
from rxtune.config.reader import read_space
from rxtune.errors import StudyError
from rxtune.search.condensed import Condensed
from rxtune.search.in_rungs import InRungs
from rxtune.search.journal import JournalFile
from rxtune.search.rungs import STUDY_NAME, build_pruner, watch_rungs

FORMAT = 2
"""Version of what rxtune writes into a journal."""

Sync = Callable[[int], None]


class Ledger:
    """A search as Optuna stores it, with `decision` to change it in whole groups."""

    study: Study
    """The resolved study that the journal carries, what may grow in it as it is now."""
    optuna: optuna.Study
    """The study as Optuna sees it, on this journal."""
    in_rungs: InRungs
    """Its trials that have reached a rung."""

    def __init__(self, journal: JournalFile) -> None:
        self.journal = journal

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        study: Study,
        *,
        sync: Sync,
        attributes: Mapping[str, Any],
    ) -> Self:
        """Write a new search into a new journal, with attributes of its own.

        Raises:
            StudyError: The journal holds a search already, or cannot be opened.
        """
        ledger = cls(JournalFile(path, sync=sync))
        with ledger._closed_on_error():
            if ledger.journal.size:
                raise StudyError(
                    f"{path} holds a search already; continue it with --resume, or give this one "
                    "another --name"
                )
            with ledger.journal.group():
                ledger._write(study, attributes)
            ledger.connect()
        return ledger

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, sync: Sync, read_only: bool) -> Self:
        """Read the search of a journal.

        Raises:
            StudyError: There is no search, or it is in use, damaged, or of another version.
        """
        if not Path(path).exists():
            raise StudyError(f"{path}: no such search; start it without --resume")
        ledger = cls(JournalFile(path, sync=sync, read_only=read_only))
        with ledger._closed_on_error():
            if not ledger.journal.size:
                raise StudyError(f"{path} holds no search yet; start it without --resume")
            ledger.connect()
        return ledger

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.journal.close()
            raise

    def _write(self, study: Study, attributes: Mapping[str, Any]) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # Optuna announces every new study
        self._storage = JournalStorage(self.journal)
        self.optuna = optuna.create_study(
            storage=self._storage,
            study_name=STUDY_NAME,
            directions=[
                "minimize" if name == "compute" else "maximize" for name in study.select.objective
            ],
        )
        self.study = study
        self.optuna.set_user_attr("format", FORMAT)
        self.optuna.set_user_attr("study", _study_to_json(study))
        for name, value in attributes.items():
            self.optuna.set_user_attr(name, value)
        self.grow(study.search)

    def connect(self) -> None:
        """Build everything in memory from the journal.

        Raises:
            StudyError: The journal is not this version's.
        """
        self._storage = JournalStorage(Condensed(self.journal))
        attributes = self._study_attributes()
        if attributes.get("format") != FORMAT:
            raise StudyError(
                f"{self.journal.path}: not the journal of a search by this version of rxtune "
                f"(format {attributes.get('format')}, needed {FORMAT}); use the version that "
                "wrote it, or start a new search"
            )
        self.study = _grown(_study_from_json(attributes["study"]), attributes["growing"])
        self.in_rungs = watch_rungs(self.study.stopping, self.trials)
        self.optuna = optuna.load_study(
            storage=self._storage,
            study_name=STUDY_NAME,
            sampler=optuna.samplers.RandomSampler(),  # proposes nothing: `ask` brings its own
            pruner=build_pruner(self.study.stopping, self.in_rungs),
        )
        self._trials = self.optuna.get_trials(deepcopy=False)
        self._running = {t.number for t in self._trials if not t.state.is_finished()}

    def _study_attributes(self) -> dict[str, Any]:
        try:
            self._study_id = self._storage.get_study_id_from_name(STUDY_NAME)
        except KeyError:
            return {}
        return self._storage.get_study_user_attrs(self._study_id)

    @contextmanager
    def decision(self) -> Iterator[None]:
        """Make the block one group; after an exception, forget what it did in memory as well."""
        try:
            with self.journal.group():
                yield
        except BaseException:
            if self.journal.is_usable:
                self.connect()
            raise

    def grow(self, search: SearchSettings) -> None:
        """Write how long the search goes on and what it keeps, as it is to be from now on."""
        growing = search.model_dump(mode="json", include=set(GROWING))
        self.optuna.set_user_attr("growing", growing)
        self.study = _grown(self.study, growing)

    def attribute(self, name: str) -> Any:
        """Return what the search was created with under this name, or None."""
        return self._study_attributes().get(name)

    def add(self, trial: FrozenTrial) -> int:
        """Begin a trial and return its number."""
        number = len(self._trials)
        self.optuna.add_trial(trial)
        self._trials.append(self.trial(number))
        self._running.add(number)
        return number

    def trials(self) -> Sequence[FrozenTrial]:
        """Return all trials by number: Optuna's own records, not copies, so read only."""
        for number in tuple(self._running):  # the others change no more
            trial = self._trials[number] = self.trial(number)
            if trial.state.is_finished():
                self._running.discard(number)
        return self._trials

    def trial(self, number: int) -> FrozenTrial:
        """Return one trial: Optuna's own record, so read only."""
        return self._storage.get_trial(self._trial_id(number))

    def handle(self, number: int) -> Trial:
        """Return Optuna's handle on a running trial, whoever asked for it."""
        return Trial(self.optuna, self._trial_id(number))

    def keep(self, number: int, attributes: dict[str, Any]) -> None:
        """Write user attributes of a running trial."""
        for key, value in attributes.items():
            self._storage.set_trial_user_attr(self._trial_id(number), key, value)

    def _trial_id(self, number: int) -> int:
        try:
            return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        except KeyError:
            raise AssertionError(f"there is no trial {number}") from None


def _study_to_json(study: Study) -> dict[str, Any]:
    plain = study.model_dump(mode="json", exclude={"space"})
    return {**plain, "space": study.space.to_plain()}


def _study_from_json(plain: dict[str, Any]) -> Study:
    space, faults = read_space(plain["space"], plain["units"])
    assert not faults, f"the journal's space was valid when it was written: {faults}"
    return Study.model_validate({**plain, "space": space, "task": _task_from_json(plain["task"])})


def _task_from_json(plain: str | dict[str, Any]) -> str | TaskFile | TaskChoice:
    if isinstance(plain, str):
        return plain
    # Without a look at its files: the search has tokens of them, and says so if it needs more.
    kind = TaskChoice if "catalogue" in plain else TaskFile
    return kind.model_validate(plain)


def _grown(study: Study, growing: Mapping[str, Any]) -> Study:
    search = study.search.model_dump(mode="json") | dict(growing)
    return study.model_copy(update={"search": SearchSettings.model_validate(search)})
