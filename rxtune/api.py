"""The verbs of the command line as functions: what a notebook or another program calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rxtune.config import Study, load_study
from rxtune.errors import StudyError
from rxtune.search.options import SearchOptions
from rxtune.search.run_folder import RunFolder

if TYPE_CHECKING:
    from rxtune.data import DataSummary, UnknownShare
    from rxtune.report import Confirmation, Summary
    from rxtune.search.confirmation import OnResult
    from rxtune.search.forecast import Checked
    from rxtune.search.plan import Ground, Plan
    from rxtune.search.views import Conclusion, SearchResult, Watch

__all__ = ["SearchOptions", "check", "confirm", "read_study", "search", "summary_of"]


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
        return _from_anywhere(load_study(space, overrides))
    folder = RunFolder.existing(options.root, options.name)
    folder.places().require_same(options)
    kept = _from_anywhere(load_study(folder.study))
    if space is None and not overrides:
        return kept
    asked = _from_anywhere(load_study(space or folder.study, overrides))
    _require_same(kept, asked, options.name)
    return asked


def _from_anywhere(study: Study) -> Study:
    """Return the study with a local encoder's folder made absolute, for a resume elsewhere."""
    from rxtune.search.encoders import EMBEDDED

    model = study.model
    if model in (None, EMBEDDED) or not Path(model).is_dir():
        return study
    return study.model_copy(update={"model": str(Path(model).absolute())})


def _require_same(kept: Study, asked: Study, name: str) -> None:
    """Refuse to go on with another search than the one that was begun; more trials are fine."""
    before, now = _by_dotted_key(kept), _by_dotted_key(asked)
    different = sorted(key for key in before | now if before.get(key) != now.get(key))
    if different:
        raise StudyError(
            f"--resume: run {name!r} was begun with another {' and '.join(different)}; leave"
            " --space and the flags out to go on with it, or start a new run with another --name"
        )
    if asked.search.trials < kept.search.trials:
        raise StudyError(
            f"--trials: run {name!r} was begun with {kept.search.trials} trials and cannot shrink"
            f" to {asked.search.trials}; ask for more, or leave the flag out"
        )


def _by_dotted_key(study: Study) -> dict[str, Any]:
    """Return what must stay the same while a search lives, such as `space.sigma`."""
    plain = study.model_dump(mode="json", exclude={"space": True, "search": {"trials"}})
    found: dict[str, Any] = {}
    for key, value in {**plain, "space": study.space.to_plain()}.items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        found |= {f"{key}.{part}".rstrip("."): setting for part, setting in parts}
    return found


def check(
    study: Study,
    *,
    on_data: Callable[[Ground, DataSummary, tuple[UnknownShare, ...]], None] | None = None,
) -> Checked:
    """Validate a study with its data and encoder, and forecast its cost; trains nothing.

    Args:
        study: from `rxtune.config.load_study`.
        on_data: called when the data is checked, which is before the encoder is timed.

    Raises:
        RxtuneError: one of its kinds; see `rxtune.errors`.
    """
    from rxtune.search.plan import examine

    ground = examine(_from_anywhere(study))
    # Only now: torch takes seconds to import, and a refusal should not.
    from rxtune.search.forecast import check_ground

    return check_ground(ground, on_data=on_data or (lambda ground, data, unknown: None))


def search(
    study: Study,
    options: SearchOptions,
    *,
    watch: Watch | None = None,
    plan: Plan | None = None,
) -> SearchResult:
    """Search the study's space and return how it ended; the best model lies in the run's folder.

    Args:
        study: from `read_study` or `rxtune.config.load_study`.
        options: where and with what.
        watch: a context manager that is entered with a `SearchView` while trials run.
        plan: what `make_plan` made of the same study and options, if it was asked already: it
            reads all data.

    Raises:
        RxtuneError: one of its kinds; see `rxtune.errors`.
    """
    from rxtune.search.plan import make_plan

    plan = plan or make_plan(_from_anywhere(study), options)
    # Only now: torch and Ray take seconds to import, and a refusal should not.
    from rxtune.search.tuner import run_search

    return run_search(plan, watch=watch or (lambda view: nullcontext()), conclude=_conclude)


def confirm(
    options: SearchOptions, *, seeds: int = 5, top: int = 1, on_result: OnResult | None = None
) -> Confirmation:
    """Retrain what a search chose on fresh seeds, test each once, and return what that settles.

    What an earlier call has tested is not tested again, so an interrupted confirmation goes on,
    and a finished one can be extended by more seeds or configurations.

    Args:
        options: name the run, and say where and with what to train.
        seeds: retrainings of each configuration.
        top: how many of the best robust trials to confirm, beside plain fine-tuning.
        on_result: told of every run that ends, how many have ended, and how many there are.

    Raises:
        RxtuneError: one of its kinds; see `rxtune.errors`.
    """
    from rxtune.search.confirmation import run_confirmation
    from rxtune.search.plan import make_plan

    options = replace(options, resume=True)
    plan = make_plan(read_study(None, options), options)
    runs = run_confirmation(
        plan, seeds=seeds, top=top, on_result=on_result or (lambda run, done, total: None)
    )
    from rxtune.report import weigh

    return weigh(runs)


def summary_of(result: SearchResult) -> Summary:
    """Return what a search found, and what to doubt about it."""
    from rxtune.report import summarise

    view = result.view
    return summarise(
        result.records,
        evaluations=view.study.stopping.evaluations,
        space=view.study.space,
        examples=view.dev_examples,
    )


def _conclude(result: SearchResult) -> Conclusion:
    """Return what MLflow shows of the whole search: the winner's figures and the comparison."""
    from rxtune.report import comparison_table, describe, markdown
    from rxtune.search.views import Conclusion

    summary = summary_of(result)
    head = (
        f"**rxtune search `{result.view.name}`** of `{result.view.encoder}` on"
        f" `{result.view.task.name}`. Reproduce: `rxtune search --space study.yaml` with the"
        " artifact `study.yaml`."
    )
    return Conclusion(
        metrics=_winner_metrics(summary),
        tags=_winner_tags(summary),
        description=f"{head}\n\n{describe(summary, result.view.name)}",
        artifacts={"summary.md": markdown(comparison_table(summary))},
    )


def _winner_metrics(summary: Summary) -> dict[str, float]:
    winner = summary.winner
    if winner is None or winner.zero_shot is None or winner.value is None:
        return {}
    zero_shot = winner.zero_shot
    metrics = {
        "dev_accuracy": winner.value,
        "target_mean": zero_shot.target_mean,
        "held_out_mean": zero_shot.held_out_mean,
        "source_accuracy": zero_shot.source_accuracy,
    }
    if zero_shot.worst_language is not None:
        metrics["worst_language_accuracy"] = zero_shot.accuracy[zero_shot.worst_language]
    if zero_shot.generalized_mean is not None:
        metrics["generalized_mean"] = zero_shot.generalized_mean
    if summary.gain is not None:
        metrics["gain_over_best_plain"] = summary.gain
    # NaN where there is no such language: MLflow's tables show it as a number. Six decimals are
    # more than any count of examples gives, and a mean of thirds has sixteen.
    return {name: round(value, 6) for name, value in metrics.items() if value == value}


def _winner_tags(summary: Summary) -> dict[str, str]:
    if summary.winner is None:
        return {}
    searched = summary.winner.configuration.searched()
    return {"best.trial": str(summary.winner.number)} | {
        f"best.{name}": _tag(value) for name, value in searched.items()
    }


def _tag(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)
