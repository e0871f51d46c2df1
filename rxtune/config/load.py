"""A study from a YAML file and the flags of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rxtune.config.augment import FOLDER
from rxtune.config.explain import explain
from rxtune.config.faults import Fault, Key
from rxtune.config.grid import grid_faults
from rxtune.config.overrides import overridden
from rxtune.config.points import point_faults
from rxtune.config.reader import read_space
from rxtune.config.source import Source, read_source
from rxtune.config.space import Units
from rxtune.config.study import Study
from rxtune.config.task_reader import read_task
from rxtune.errors import StudyError

FLAGS: Mapping[str, str] = {
    "task": "--task",
    "model": "--model",
    "units": "--units",
    "search.sampler": "--sampler",
    "search.trials": "--trials",
    "search.seed": "--seed",
    "search.startup_trials": "--startup-trials",
    "search.time_budget": "--time-budget",
    "search.compute_budget": "--compute-budget",
    "search.plateau": "--plateau",
    "search.replicates": "--replicates",
    "search.keep": "--keep",
    "stopping": "--stopper",
    "select.languages": "--languages",
    "select.metric": "--metric",
    "select.objective": "--objective",
    "train.epochs": "--epochs",
    "train.batch_size": "--batch-size",
    "train.max_length": "--max-length",
}
"""Flag of the command line by dotted key of the study."""


def load_study(path: str | PathLike[str], overrides: Mapping[str, Any] | None = None) -> Study:
    """Return the study in the YAML file `path`, with `overrides` in place of the file's values.

    `overrides` goes by dotted key (`{"search.trials": 30}`); None means that a flag was not given.

    Raises:
        StudyError: the file or an override is wrong; the message has one line per fault, with
            the file's line or the flag.
    """
    source = read_source(Path(path))
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    tree, contradictions = overridden(source.tree, given)
    units: Units = "absolute" if tree.get("units") == "absolute" else "relative"
    space, faults = read_space(tree.get("space"), units)
    if "task" in tree:
        folder = Path.cwd() if "task" in given else Path(path).parent
        task, found = read_task(tree.pop("task"), folder)
        faults += [fault.under("task") for fault in found]
        tree |= {} if found else {"task": task}
    try:
        study = Study.model_validate({**tree, "space": space}, context={FOLDER: Path(path).parent})
    except ValidationError as error:
        faults += explain(error)
    else:
        faults += point_faults(study.space, study.search.points)
        faults += grid_faults(study.space, study.search)
    faults += [*source.faults, *contradictions]
    if faults:
        raise StudyError(_report(faults, source, given))
    return study


def _report(faults: list[Fault], source: Source, overrides: Mapping[str, Any]) -> str:
    flagged: list[str] = []
    in_file: list[tuple[int, str]] = []
    for fault in faults:
        flag = _flag(fault, source, overrides)
        if flag:
            flagged.append(f"{flag}: {fault.text}")
        else:
            line = source.line(fault.key)
            in_file.append((line, f"{source.path}:{line}: {fault}"))
    in_file.sort(key=lambda item: item[0])
    return "\n".join(dict.fromkeys([*flagged, *(text for _, text in in_file)]))


def _is_kept(fault: Fault, flag: Key, source: Source) -> bool:
    """Return whether a setting is the file's, though the flag has put it under another rule."""
    inside = (key for key in source.lines if key[: len(flag)] == flag != key)
    return any(key[-1] == fault.key[-1] for key in inside)


def _flag(fault: Fault, source: Source, overrides: Mapping[str, Any]) -> str | None:
    """Return the flag to blame for a fault; None: the file is."""
    for key in overrides:
        parts = tuple(key.split("."))
        if fault.key[: len(parts)] == parts and not _is_kept(fault, parts, source):
            return FLAGS.get(key, key)
    return None
