"""The key `files` of a task: patterns become one absolute path per language and split."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rxtune.config.faults import Fault
from rxtune.config.names import did_you_mean, nearest, show
from rxtune.config.task_file import ENDINGS

SLOT = "{language}"
_CODE = "[A-Za-z0-9_-]+"
_EXAMPLE = f'write "train-{SLOT}.tsv", with the quotes, or {{en: train.tsv}}'
_SPLITS = ("train", "dev", "test")

Found = dict[str, dict[str, str]]


def absolute(path: str, folder: Path) -> str:
    """Return a path that holds from anywhere; a relative one starts from `folder`."""
    return os.path.abspath(folder / Path(path).expanduser())


def find_files(
    task: Mapping[str, Any], folder: Path
) -> tuple[Found, tuple[str, ...], list[Fault]]:
    """Return the files by split and language, the target languages they imply, and all faults.

    A pattern is filled with the languages of the task; where those are not named, with every
    language for which a test file exists.

    Args:
        task: the mapping of the task as written.
        folder: what relative paths start from.
    """
    files = task.get("files")
    if not isinstance(files, Mapping):
        return {}, (), [Fault(("files",), f"one file per split is required; {_EXAMPLE}")]
    faults = [
        Fault(("files", split), f"unknown split; {did_you_mean(split, _SPLITS)}")
        for split in files
        if split not in _SPLITS
    ]
    faults += [
        Fault(("files",), f"{split} is missing: name its file; {_EXAMPLE}")
        for split in _SPLITS
        if split not in files
    ]
    source = task.get("source_language")
    named = task.get("target_languages")
    targets = named if isinstance(named, list | tuple) else None
    found: Found = {}
    for split in ("test", "dev", "train"):
        if split in files:
            wanted = _wanted(split, source, targets, found)
            found[split], problems = _split_files(files[split], split, wanted, folder)
            faults += problems
    faults += _twice(found)
    languages = [*found.get("test", {}), *found.get("dev", {})]
    implied = tuple(dict.fromkeys(language for language in languages if language != source))
    return {split: found.get(split, {}) for split in _SPLITS}, implied, faults


def _wanted(
    split: str, source: Any, targets: Iterable[Any] | None, found: Found
) -> tuple[str, ...] | None:
    """Return the languages whose files a pattern must match, or None: those that it matches."""
    if split == "train":
        return (str(source),)
    return None if targets is None else (str(source), *map(str, targets))


def _split_files(
    value: Any, split: str, wanted: tuple[str, ...] | None, folder: Path
) -> tuple[dict[str, str], list[Fault]]:
    key = ("files", split)
    if isinstance(value, str) and SLOT in value:
        found, faults = _matches(value, key, wanted, folder)
    elif isinstance(value, str) and split == "train" and wanted:
        found, faults = {wanted[0]: absolute(value, folder)}, []
    elif isinstance(value, Mapping) and value and all(isinstance(v, str) for v in value.values()):
        found, faults = {language: absolute(path, folder) for language, path in value.items()}, []
    else:
        text = f"one file per language or a pattern is required, got {show(value)}; {_EXAMPLE}"
        return {}, [Fault(key, text)]
    faults += [
        Fault(key, f"{path} has no ending that tells its format; {_formats()}")
        for path in found.values()
        if Path(path).suffix.lower() not in ENDINGS
    ]
    return found, faults


def _formats() -> str:
    return f"known: {', '.join(ENDINGS)}"


def _matches(
    pattern: str, key: tuple[str, ...], wanted: tuple[str, ...] | None, folder: Path
) -> tuple[dict[str, str], list[Fault]]:
    """Return the one file of each language that a pattern with `{language}` stands for."""
    pattern = absolute(pattern, folder)
    every = _existing(pattern)
    languages = tuple(every) if wanted is None else wanted
    faults = []
    for language in languages:
        paths = every.get(language, [])
        if len(paths) > 1:
            text = f"two files for {show(language)}: {paths[0]} and {paths[1]}; narrow the pattern"
            faults.append(Fault(key, text))
    is_partial = key[-1] == "dev"  # a target language may lack dev data
    missing = [language for language in languages if language not in every]
    if not every:
        faults.append(Fault(key, f"no file matches {pattern}; {_near(pattern)}"))
    elif missing and not (is_partial and languages[0] in every):
        faults += [Fault(key, _absent(pattern, language, every)) for language in missing]
    return {language: every[language][0] for language in languages if language in every}, faults


def _absent(pattern: str, language: str, every: Mapping[str, Any]) -> str:
    near = nearest(language, every)
    hint = f"did you mean {show(near)}?" if near else f"there are {', '.join(every)}"
    return f"no file {pattern.replace(SLOT, language)} for {show(language)}; {hint}"


def _near(pattern: str) -> str:
    folder = Path(pattern.split(SLOT)[0].split("*")[0]).parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    names = sorted(item.name for item in folder.iterdir())[:5]
    return f"{folder} holds {', '.join(names) or 'nothing'}"


def _existing(pattern: str) -> dict[str, list[str]]:
    """Return the files that match, by language, sorted."""
    anchor = Path(Path(pattern).anchor)
    relative = str(Path(pattern).relative_to(anchor))
    first, *others = re.escape(pattern).replace(r"\*", "[^/]*").split(re.escape(SLOT))
    expression = re.compile(f"{first}(?P<language>{_CODE})" + "(?P=language)".join(others))
    found: dict[str, list[str]] = {}
    for path in sorted(anchor.glob(relative.replace(SLOT, "*"))):
        match = expression.fullmatch(str(path))
        if match and path.is_file():
            found.setdefault(match["language"], []).append(str(path))
    return found


def _twice(found: Found) -> list[Fault]:
    """Return a fault for every file that stands for two splits or two languages."""
    seen: dict[str, str] = {}
    faults = []
    for split in _SPLITS:
        for language, path in found.get(split, {}).items():
            here = f"{split} in {show(language)}"
            if path in seen:
                text = f"{path} is {seen[path]} already; every split needs a file of its own"
                faults.append(Fault(("files", split), f"{here}: {text}"))
            seen.setdefault(path, here)
    return faults
