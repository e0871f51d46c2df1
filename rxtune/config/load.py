"""A study from a YAML file and the flags of the command line."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rxtune.config.augment import FOLDER
from rxtune.config.explain import explain
from rxtune.config.faults import Fault
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
    tree = _overridden(source.tree, given)
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
    faults += source.faults
    if faults:
        raise StudyError(_report(faults, source, given))
    return study


def _overridden(tree: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = copy.deepcopy(dict(tree))
    for key, value in overrides.items():
        *parents, name = key.split(".")
        section = result
        for parent in parents:
            if section.get(parent) in (None, "none"):  # not there, or turned off in the file
                section[parent] = {}
            section = section[parent]
            if not isinstance(section, dict):  # wrong in the file: refused as such
                break
        else:
            section[name] = value
    return result


def _report(faults: list[Fault], source: Source, overrides: Mapping[str, Any]) -> str:
    flagged: list[str] = []
    in_file: list[tuple[int, str]] = []
    for fault in faults:
        flag = _flag(fault, overrides)
        if flag:
            flagged.append(f"{flag}: {fault.text}")
        else:
            line = source.line(fault.key)
            in_file.append((line, f"{source.path}:{line}: {fault}"))
    in_file.sort(key=lambda item: item[0])
    return "\n".join(dict.fromkeys([*flagged, *(text for _, text in in_file)]))


def _flag(fault: Fault, overrides: Mapping[str, Any]) -> str | None:
    for key in overrides:
        parts = tuple(key.split("."))
        if fault.key[: len(parts)] == parts:
            return FLAGS.get(key, key)
    return None
