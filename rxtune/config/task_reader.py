"""A task file, or a mapping in its place, read into a `TaskFile`; every fault is collected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rxtune.config.explain import Sections, explain_section
from rxtune.config.faults import Fault
from rxtune.config.names import did_you_mean, nearest, show
from rxtune.config.source import read_source
from rxtune.config.task_file import Columns, Files, TaskChoice, TaskFile
from rxtune.config.task_paths import absolute, find_files
from rxtune.errors import StudyError

Setting = str | TaskFile | TaskChoice
SPLITS = ("train", "dev", "test")
_CHOICE = tuple(TaskChoice.model_fields)


def read_task(value: Any, folder: Path) -> tuple[Setting | None, list[Fault]]:
    """Return the task that the value of the key `task` describes, or None and all its faults.

    Args:
        value: a name, `NAME@FOLDER`, the name of a YAML file, or a mapping.
        folder: what relative paths start from.
    """
    if isinstance(value, Mapping):
        return _read_mapping(value, folder)
    if not isinstance(value, str):
        return value, []  # refused by the study, with the rest of it
    if value.endswith((".yaml", ".yml")):
        return _read_file(folder / Path(value).expanduser())
    name, at, place = value.partition("@")
    if at and name:
        return TaskChoice(catalogue=name, folder=absolute(place, folder)), []
    return value, []


def load_task(text: str) -> Setting:
    """Return the task that a word of the command line names; paths start from where we are.

    Raises:
        StudyError: the task file is wrong; the message has one line per fault.
    """
    setting, faults = read_task(text, Path.cwd())
    if setting is None:
        raise StudyError("\n".join(fault.text for fault in faults))
    return setting


def _read_file(path: Path) -> tuple[Setting | None, list[Fault]]:
    """Read a file of its own; its faults carry its own lines."""
    try:
        source = read_source(path)
    except StudyError as error:
        text = str(error).replace("start with `space:` and a `method:`", _START)
        text = text.replace("start with `space:`", _START)
        hint = "; a path with {language} needs quotes around it" if "not YAML" in text else ""
        return None, [Fault((), text + hint)]
    tree = {"name": path.stem, **source.tree} if "catalogue" not in source.tree else source.tree
    setting, faults = _read_mapping(tree, path.parent)
    faults = sorted([*source.faults, *faults], key=lambda fault: source.line(fault.key))
    told = [Fault((), f"{path}:{source.line(fault.key)}: {fault}") for fault in faults]
    return (None if told else setting), told


_START = "start with `labels:`"


def _read_mapping(section: Mapping[str, Any], folder: Path) -> tuple[Setting | None, list[Fault]]:
    if "catalogue" in section:
        return _read_choice(section, folder)
    unknown = [key for key in section if key not in TaskFile.model_fields]
    if misspelt := nearest("catalogue", unknown):
        return None, [Fault((misspelt,), "unknown key; did you mean 'catalogue'?")]
    plain = {"name": "own", **section}
    files, languages, faults = find_files(plain, folder)
    plain["files"] = files
    if plain.get("target_languages") is None:
        plain["target_languages"] = languages
    model = plain.get("model")
    if isinstance(model, str) and (folder / model).is_dir():
        plain["model"] = absolute(model, folder)
    try:
        task = TaskFile.model_validate(plain)
    except ValidationError as error:
        missing = {fault.key[:1] for fault in faults}
        sections: Sections = {(): TaskFile, ("columns",): Columns, ("files",): Files}
        found = explain_section(error, sections)
        faults += [fault for fault in found if fault.key[:1] not in missing]
        return None, [*faults, *_faults_beside(faults, plain)]
    faults = faults or _language_faults(task)
    return (None if faults else task), faults


def _faults_beside(faults: Sequence[Fault], plain: Mapping[str, Any]) -> list[Fault]:
    """Return what contradicts in a task whose faulty keys are left out, if one remains."""
    wrong = {fault.key[0] for fault in faults}
    try:
        rest = TaskFile.model_validate({k: v for k, v in plain.items() if k not in wrong})
    except ValidationError:
        return []
    return _language_faults(rest)


def _read_choice(section: Mapping[str, Any], folder: Path) -> tuple[Setting | None, list[Fault]]:
    plain = dict(section)
    for key in ("folder", "source_folder"):
        if isinstance(plain.get(key), str):
            plain[key] = absolute(plain[key], folder)
    try:
        return TaskChoice.model_validate(plain), []
    except ValidationError as error:
        return None, list(explain_section(error, {(): TaskChoice}))


def _language_faults(task: TaskFile) -> list[Fault]:
    """Return what contradicts between languages and files."""
    faults = []
    languages = (task.source_language, *task.target_languages)
    if task.source_language in task.target_languages:
        text = f"{show(task.source_language)} is the source language; a target is another one"
        faults.append(Fault(("target_languages",), text))
    if not task.target_languages:
        text = "no language but the source has test data; a task needs one to transfer to"
        faults.append(Fault(("target_languages",), text))
    faults += _split_faults(task, languages)
    for language in task.dev_languages:
        if language not in languages:
            hint = did_you_mean(language, languages)
            faults.append(
                Fault(("dev_languages",), f"the task has no language {show(language)}; {hint}")
            )
        elif language not in task.files.dev:
            having = ", ".join(item for item in task.files.dev if item in task.target_languages)
            text = f"{show(language)} has no dev data; choose among {having or 'none: add a file'}"
            faults.append(Fault(("dev_languages",), text))
    return faults


def _split_faults(task: TaskFile, languages: tuple[str, ...]) -> list[Fault]:
    faults = []
    source = task.source_language
    for split in ("train", "dev"):
        if source not in getattr(task.files, split):
            hint = "; set some training rows aside" if split == "dev" else ""
            text = f"the source language {show(source)} needs a {split} file, got none{hint}"
            faults.append(Fault(("files", split), text))
    for language in languages:
        if language not in task.files.test:
            text = f"{show(language)} has no test data; add its file, or leave the language out"
            faults.append(Fault(("files", "test"), text))
    for split in SPLITS:
        for language in getattr(task.files, split):
            if language not in languages:
                text = f"is no language of the task; {did_you_mean(language, languages)}"
                faults.append(Fault(("files", split, language), text))
    for language in task.files.train:
        if language in task.target_languages:
            text = "training data is in the source language only (zero-shot); delete the line"
            faults.append(Fault(("files", "train", language), text))
    return faults
