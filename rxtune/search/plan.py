"""The checks that need neither torch nor Ray: a search that passes them may be started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rxtune.config import Study
from rxtune.data.catalogue import find_task
from rxtune.data.languages import resolve_dev_languages
from rxtune.data.task import Task
from rxtune.search.encoders import find_encoder
from rxtune.search.inputs import fingerprint_inputs, require_same_inputs
from rxtune.search.options import SearchOptions
from rxtune.search.run_folder import RunFolder
from rxtune.search.substitutes import read_substitutes

if TYPE_CHECKING:
    from rxtune.data import DataSummary
    from rxtune.search.warm_start import WarmStart


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A study of which task, languages, encoder and data are known to exist."""

    study: Study
    task: Task
    dev_languages: tuple[str, ...]
    encoder: str
    """The encoder's name, as people know it."""
    encoder_folder: Path
    data: DataSummary | None
    """What the checks found in the data; None: embedded, so not checked."""
    inputs: Mapping[str, str]
    """What identifies the content of the files and data sets that a search reads, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Ground):
    """A search that may be started in its run folder."""

    options: SearchOptions
    folder: RunFolder
    warm_start: WarmStart | None
    """What earlier searches teach a new one."""


def examine(study: Study) -> Ground:
    """Check what a study names, what is quick to check first; reads all data of the user's own.

    Raises:
        StudyError: a method of the space needs a table of words, and there is none.
        DataError: unknown task or language, or data that is missing or malformed.
        ModelError: unknown encoder.
    """
    task = find_task(study.task)
    dev_languages = resolve_dev_languages(task, study.select.languages)
    encoder = study.model or task.default_model
    encoder_folder = find_encoder(encoder)
    read_substitutes(study, task)
    return Ground(
        study=study,
        task=task,
        dev_languages=dev_languages,
        encoder=encoder,
        encoder_folder=encoder_folder,
        data=None if task.origin == "embedded" else _checked(task),
        inputs=fingerprint_inputs(study, task),
    )


def _checked(task: Task) -> DataSummary:
    # Only now: it reads Arrow tables, and the refusal of a wrong name should not wait for that.
    from rxtune.data.summary import check_task

    return check_task(task)


def make_plan(study: Study, options: SearchOptions) -> Plan:
    """Check what a study and its options name.

    Raises:
        StudyError: the run's name is taken, invalid or unknown, or its folder cannot be written;
            a file that a resumed search reads has changed; or a method of the space needs a table
            of words, and there is none.
        DataError: unknown task or language, or data that is missing or malformed.
        ModelError: unknown encoder.
    """
    open_folder = RunFolder.existing if options.resume else RunFolder.new
    folder = open_folder(options.root, options.name)
    ground = examine(study)
    if options.resume:
        require_same_inputs(folder.places().inputs, ground.inputs, options.name)
    # Optuna takes a tenth of a second to import, so only where it is needed.
    warm_start = None
    if options.warm_start and not options.resume:
        from rxtune.search.earlier import read_warm_start

        warm_start = read_warm_start(study, options)
    return Plan(
        study=study,
        options=options,
        task=ground.task,
        dev_languages=ground.dev_languages,
        encoder=ground.encoder,
        encoder_folder=ground.encoder_folder,
        data=ground.data,
        inputs=ground.inputs,
        folder=folder,
        warm_start=warm_start,
    )
