"""A run as Python reads it: its trials and results as data frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rxtune.api import frames
from rxtune.api.findings import read_trials
from rxtune.config import Study
from rxtune.errors import StudyError
from rxtune.results import TrialRecord
from rxtune.search.run_folder import RunFolder

if TYPE_CHECKING:
    from pandas import DataFrame

    from rxtune.report import Confirmation, Summary
    from rxtune.report.page.data_facts import DataFacts


@dataclass(frozen=True, kw_only=True)  # without slots: it keeps what it has computed
class Run:
    """A search at one moment; `load_run` reads it again.

    Every data frame is made anew when it is asked for, so changing one changes nothing here.
    """

    name: str
    folder: Path
    """Where everything of it lies."""
    is_running: bool
    """Whether a process was searching when it was read."""
    study: Study = field(repr=False)
    records: tuple[TrialRecord, ...] = field(repr=False)
    """All trials by number, as the journal has them."""

    @property
    def trials(self) -> DataFrame:
        """A row per trial: state, parameters, scores, cost. See `frames.trials_frame`."""
        return frames.trials_frame(self.records, self.study.space)

    @property
    def zero_shot(self) -> DataFrame:
        """Dev accuracy and macro-F1 by trial and language, with the language's role."""
        return frames.zero_shot_frame(self.records)

    @property
    def curves(self) -> DataFrame:
        """Dev accuracy by trial, evaluation and language, while the trials trained."""
        return frames.curves_frame(self.records)

    @cached_property
    def summary(self) -> Summary:
        """The winner beside the best plain trial, what was spent, and what to doubt."""
        from rxtune.report import summarise

        return summarise(
            self.records,
            evaluations=self.study.stopping.evaluations,
            space=self.study.space,
            examples=self._facts.score_examples,
            objective=self.study.select.objective[0],
        )

    @property
    def best_model(self) -> Path | None:
        """Folder of the best model, as `transformers` loads it; None: there is none yet."""
        folder = RunFolder(self.folder).best
        return folder if folder.is_dir() else None

    @cached_property
    def confirmation(self) -> Confirmation | None:
        """What `confirm` settled; None: it has tested nothing yet.

        Raises:
            StudyError: the file of the confirmed runs cannot be read.
        """
        from rxtune.report.page.confirmed import read_confirmed

        folder = RunFolder(self.folder)
        found, problem = read_confirmed(
            folder.confirmation, folder.predictions, self.records, self._facts
        )
        if problem is not None:
            raise StudyError(f"{folder.confirmation}: {problem}; restore it from a backup")
        return None if found is None else found.confirmation

    @property
    def confirmed(self) -> DataFrame:
        """Test accuracy by configuration, fresh seed and language; empty before `confirm`."""
        found = self.confirmation
        return frames.confirmed_frame(
            run for one in (found.configurations if found else ()) for run in one.runs
        )

    @property
    def contrasts(self) -> DataFrame:
        """Differences to plain fine-tuning with intervals and p values; empty before `confirm`."""
        found = self.confirmation
        return frames.contrasts_frame(found.contrasts if found else ())

    @cached_property
    def _facts(self) -> DataFacts:
        """What the data tells, as far as it is still there."""
        from rxtune.report.page.data_facts import read_facts

        return read_facts(self.study, self.records)

    @property
    def verdict(self) -> str | None:
        """What `confirm` settled, in a sentence; None before it."""
        from rxtune.report.page.confirmed import settled

        return None if self.confirmation is None else settled(self.confirmation)


def load_run(name: str, root: str | Path = "runs") -> Run:
    """Return a run as it stands: ended, running, failed, or still without a trial.

    Args:
        name: of the run.
        root: folder of all runs.

    Raises:
        StudyError: there is no such run, or its journal cannot be read.
    """
    folder = RunFolder.existing(Path(root), name)
    is_running = folder.has_driver
    study, records = read_trials(folder)
    return Run(
        name=name,
        folder=folder.path,
        is_running=is_running,
        study=study,
        records=tuple(records),
    )
