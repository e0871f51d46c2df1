"""Earlier searches, looked up for a warm start."""

from __future__ import annotations

from pathlib import Path

from rxtune.config import Study
from rxtune.errors import StudyError
from rxtune.search.decisions import SearchStudy
from rxtune.search.options import SearchOptions
from rxtune.search.run_folder import RunFolder
from rxtune.search.warm_start import Earlier, WarmStart, learn


def read_warm_start(study: Study, options: SearchOptions) -> WarmStart | None:
    """Return what the runs of `options.warm_start` teach a search; None: it names none.

    A run may still be going on: what it knows by now is taken.

    Raises:
        StudyError: a run is not there, has no result to compare with, or has none in the space.
    """
    if not options.warm_start:
        return None
    warm = WarmStart(earlier=tuple(_earlier(name, study, options) for name in options.warm_start))
    if not any(one.gains for one in warm.earlier):
        dropped = sum(one.dropped for one in warm.earlier)
        raise StudyError(
            f"--warm-start: none of the {dropped} trials of {', '.join(options.warm_start)} lies"
            " in this space; widen the space, or leave the flag out"
        )
    return warm


def _earlier(name: str, study: Study, options: SearchOptions) -> Earlier:
    folder = _existing(options.root, name)
    with SearchStudy.open(folder.journal, read_only=True) as search:
        return learn(name, search.study, search.records(), study)


def _existing(root: Path, name: str) -> RunFolder:
    try:
        return RunFolder.existing(root, name)
    except StudyError as error:
        # The way out that is offered there is to start such a run, which is not what is wanted.
        raise StudyError(f"--warm-start: {str(error).rpartition(';')[0]}") from error
