"""The study that is asked for: from a space file, or from the run that is resumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rxtune.config import GROWING, Study, load_study
from rxtune.config.names import show
from rxtune.errors import StudyError
from rxtune.search.encoders import EMBEDDED
from rxtune.search.options import SearchOptions
from rxtune.search.run_folder import RunFolder


def read_study(
    space: str | Path | None,
    options: SearchOptions,
    overrides: Mapping[str, Any] | None = None,
) -> Study:
    """Return the study to search: from a space file or, when a run is resumed, from the run.

    Args:
        space: the space file; may be left out where a run is resumed.
        options: name the run and say whether to resume it.
        overrides: dotted keys and their values, such as `{"search.trials": 60}`.

    Raises:
        StudyError: the file or an override is wrong, or differs from the run that is resumed.
    """
    if not options.resume:
        if space is None:
            raise StudyError("--space: a space file is needed, such as search_spaces/rs.yaml")
        return from_anywhere(load_study(space, overrides))
    folder = RunFolder.existing(options.root, options.name)
    folder.places().require_same(options)
    if options.warm_start:
        raise StudyError(
            f"--warm-start: only a new search starts from others, but run {options.name!r} is"
            " resumed; leave the flag out, or start a new run with another --name"
        )
    kept = from_anywhere(load_study(folder.study))
    if space is None and not overrides:
        return kept
    asked = from_anywhere(load_study(space or folder.study, overrides))
    _require_same(kept, asked, options.name)
    return _with_unsaid(kept, asked)


def _with_unsaid(kept: Study, asked: Study) -> Study:
    """Return the study with the run's own word on what may grow and was not asked for."""
    unsaid = set(GROWING) - asked.search.model_fields_set
    own = {name: getattr(kept.search, name) for name in unsaid}
    return asked.model_copy(update={"search": asked.search.model_copy(update=own)})


def from_anywhere(study: Study) -> Study:
    """Return the study with a local encoder's folder made absolute, for a resume elsewhere."""
    model = study.model
    if model in (None, EMBEDDED) or not Path(model).is_dir():
        return study
    return study.model_copy(update={"model": str(Path(model).absolute())})


def _require_same(kept: Study, asked: Study, name: str) -> None:
    """Refuse to go on with another search than the one that was begun; it may only grow."""
    before, now = _by_dotted_key(kept), _by_dotted_key(asked)
    keys = sorted(key for key in before | now if before.get(key) != now.get(key))
    if keys:
        changes = "; ".join(
            f"{key} was {_value(key, before)}, is {_value(key, now)}" for key in keys
        )
        raise StudyError(
            f"--resume: run {name!r} was begun with another study: {changes}; leave --space and"
            " the flags out to go on with it, or start a new run with another --name"
        )
    if "trials" in asked.search.model_fields_set and asked.search.trials < kept.search.trials:
        raise StudyError(
            f"--trials: run {name!r} has {kept.search.trials} trials and cannot shrink"
            f" to {asked.search.trials}; ask for more, or leave the flag out"
        )


def _value(key: str, study: Mapping[str, Any]) -> str:
    return show(study[key]) if key in study else "not there"


def _by_dotted_key(study: Study) -> dict[str, Any]:
    """Return what must stay the same while a search lives, such as `space.sigma`."""
    plain = study.model_dump(mode="json", exclude={"space": True, "search": set(GROWING)})
    return dict((*_flat(plain), *_flat({"space": study.space.to_plain()}, depth=3)))


def _flat(section: Mapping[str, Any], depth: int = 2) -> Iterator[tuple[str, Any]]:
    """Yield what lies so deep in a section by its dotted key; what lies deeper is one value."""
    for key, value in section.items():
        if isinstance(value, dict) and depth > 1:
            yield from ((f"{key}.{name}", inner) for name, inner in _flat(value, depth - 1))
        else:
            yield key, value
