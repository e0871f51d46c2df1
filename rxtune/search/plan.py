"""The checks that need neither torch nor Ray: a search that passes them may be started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rxtune.config import Study
from rxtune.data.catalogue import find_task
from rxtune.data.languages import resolve_dev_languages
from rxtune.data.task import Task
from rxtune.search.encoders import find_encoder
from rxtune.search.options import SearchOptions
from rxtune.search.run_folder import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A search of which task, languages, encoder and run folder are known to exist."""

    study: Study
    options: SearchOptions
    task: Task
    dev_languages: tuple[str, ...]
    encoder: str
    """The encoder's name, as people know it."""
    encoder_folder: Path
    folder: RunFolder


def make_plan(study: Study, options: SearchOptions) -> Plan:
    """Check what a study and its options name.

    Raises:
        StudyError: the run's name is taken, invalid or unknown, or its folder cannot be written.
        DataError: unknown task or language.
        ModelError: unknown encoder.
    """
    task = find_task(study.task)
    dev_languages = resolve_dev_languages(task, study.select.languages)
    encoder = study.model or task.default_model
    open_folder = RunFolder.existing if options.resume else RunFolder.new
    return Plan(
        study=study,
        options=options,
        task=task,
        dev_languages=dev_languages,
        encoder=encoder,
        encoder_folder=find_encoder(encoder),
        folder=open_folder(options.root, options.name),
    )
