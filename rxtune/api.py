"""The verbs of the command line as functions: what a notebook or another program calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rxtune.config import GROWING, Configuration, Study, load_study
from rxtune.config.names import show
from rxtune.errors import StudyError
from rxtune.search.options import SearchOptions
from rxtune.search.run_folder import RunFolder

if TYPE_CHECKING:
    from rxtune.data import DataSummary, UnknownShare
    from rxtune.report import Audit, Confirmation, Summary, Table
    from rxtune.search.confirmation import FreshRuns, OnResult
    from rxtune.search.forecast import Checked
    from rxtune.search.plan import Ground, Plan
    from rxtune.search.views import Conclusion, SearchResult, Watch

__all__ = [
    "SearchOptions",
    "audit",
    "check",
    "confirm",
    "front_of",
    "read_study",
    "search",
    "summary_of",
]


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
    if options.warm_start:
        raise StudyError(
            f"--warm-start: only a new search starts from others, but run {options.name!r} is"
            " resumed; leave the flag out, or start a new run with another --name"
        )
    kept = _from_anywhere(load_study(folder.study))
    if space is None and not overrides:
        return kept
    asked = _from_anywhere(load_study(space or folder.study, overrides))
    _require_same(kept, asked, options.name)
    return _with_unsaid(kept, asked)


def _with_unsaid(kept: Study, asked: Study) -> Study:
    """Return the study with the run's own word on what may grow and was not asked for."""
    unsaid = set(GROWING) - asked.search.model_fields_set
    own = {name: getattr(kept.search, name) for name in unsaid}
    return asked.model_copy(update={"search": asked.search.model_copy(update=own)})


def _from_anywhere(study: Study) -> Study:
    """Return the study with a local encoder's folder made absolute, for a resume elsewhere."""
    from rxtune.search.encoders import EMBEDDED

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
    with plan.folder.held():
        # Only now: torch and Ray take seconds to import, and a refusal should not.
        from rxtune.search.tuner import run_search

        return run_search(plan, watch=watch or (lambda view: nullcontext()), conclude=_conclude)


def confirm(
    options: SearchOptions,
    *,
    seeds: int = 5,
    top: int = 1,
    trials: Sequence[int] = (),
    configurations: Sequence[str | Configuration] = (),
    on_result: OnResult | None = None,
) -> Confirmation:
    """Retrain what a search chose on fresh seeds, test each once, and return what that settles.

    What an earlier call has tested is not tested again, so an interrupted confirmation goes on,
    and a finished one can be extended by more seeds or configurations. The tables are written to
    `confirm.md` and `confirm.csv` in the run's folder, and everything to MLflow; what MLflow does
    not take is among the `problems` of what is returned.

    Args:
        options: name the run, and say where and with what to train.
        seeds: retrainings of each configuration.
        top: how many of the best robust trials to confirm, beside plain fine-tuning.
        trials: numbers of further trials, however they ended.
        configurations: further configurations, as text such as `method=rs_rp,sigma=0.5`.
        on_result: told of every run that ends, how many have ended, and how many there are.

    Raises:
        RxtuneError: one of its kinds; see `rxtune.errors`.
    """
    from rxtune.search.candidates import Named
    from rxtune.search.confirmation import run_confirmation
    from rxtune.search.named_configuration import read_configuration
    from rxtune.search.plan import make_plan

    options = replace(options, resume=True)
    study = read_study(None, options)
    named = Named(
        trials=tuple(trials),
        configurations=tuple(
            read_configuration(c, study) if isinstance(c, str) else c for c in configurations
        ),
    )
    plan = make_plan(study, options)
    tell = on_result or (lambda run, done, total: None)
    tested = run_confirmation(plan, seeds=seeds, top=top, named=named, on_result=tell)
    return _weighed(plan, tested)


def _weighed(plan: Plan, tested: FreshRuns) -> Confirmation:
    """Return what the runs say, and keep it as files and in MLflow."""
    from rxtune.report import Evidence, publish, read_answers, weigh

    answers, unread = read_answers(tested.runs, plan.folder.predictions)
    evidence = Evidence(
        answers=answers,
        is_parallel=plan.task.parallel is not None,
        dev_scores=tested.dev_scores,
    )
    found = weigh(tested.runs, evidence)
    found = replace(found, problems=(*unread, *found.problems))
    places = plan.folder.places()
    unwritten = publish(
        found,
        tested.runs,
        plan.folder.path,
        tracking_uri=places.tracking_uri,
        experiment=plan.options.experiment,
        search_id=places.search_id,
    )
    return replace(found, problems=(*found.problems, *unwritten))


def audit(name: str, root: Path = Path("runs")) -> Audit:
    """Return how well each signal would have ranked the trials of a search; chooses nothing.

    Args:
        name: the run, which may still be running: only its journal is read.
        root: folder of all runs.

    Raises:
        StudyError: there is no such run, its journal cannot be read, too few trials have run to
            their end, or every target language is a dev language.
    """
    from rxtune.report.audit import FEWEST, audit_signals
    from rxtune.search.decisions import SearchStudy

    folder = RunFolder.existing(root, name)
    with SearchStudy.open(folder.journal, read_only=True) as decisions:
        study, records = decisions.study, decisions.records()
    rule = study.stopping.rule
    found = audit_signals(
        records,
        objective=study.select.objective[0],
        first_rung=rule.first_rung if rule and rule.first_rung < rule.evaluations else None,
    )
    if found.trials < FEWEST:
        raise StudyError(
            f"audit: at least {FEWEST} trials must have run to their end, but of run {name!r}"
            f" {found.trials} of {found.started} have; when it has ended, add some with"
            f" `rxtune search --name {name} --resume --trials {2 * study.search.trials}`"
        )
    if not found.held_out:
        raise StudyError(
            f"audit: a target language that took no part in choosing is needed, but all of run"
            f" {name!r} are dev languages; name fewer with --languages in another search"
        )
    return found


def summary_of(result: SearchResult) -> Summary:
    """Return what a search found, and what to doubt about it."""
    from rxtune.report import summarise

    view = result.view
    return summarise(
        result.records,
        evaluations=view.study.stopping.evaluations,
        space=view.study.space,
        examples=view.dev_examples,
        objective=view.study.select.objective[0],
    )


def front_of(result: SearchResult) -> Table | None:
    """Return the Pareto front of a search as a table; None: it had one objective, or no result."""
    from rxtune.report import front_table, pareto_front

    objectives = result.view.study.select.objective
    front = pareto_front(result.records, objectives) if len(objectives) > 1 else []
    plain = next((r.forward_equivalents for r in result.records if r.is_baseline), 0.0)
    return front_table(front, objectives, plain or result.view.forecast) if front else None


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
    text, artifacts = describe(summary, result.view.name), {}
    artifacts["summary.md"] = markdown(comparison_table(summary))
    if front := front_of(result):
        artifacts["pareto_front.md"] = markdown(front)
        text = f"{text}\n\nPareto front:\n\n{markdown(front)}"
    return Conclusion(
        metrics=_winner_metrics(summary) | _disk_metrics(result),
        tags=_winner_tags(summary),
        description=f"{head}\n\n{text}",
        artifacts=artifacts,
    )


def _disk_metrics(result: SearchResult) -> dict[str, float]:
    return {
        "disk_peak_bytes": float(result.disk_peak),
        "disk_forecast_bytes": float(result.view.disk_forecast),
    }


def _winner_metrics(summary: Summary) -> dict[str, float]:
    winner = summary.winner
    if winner is None or winner.zero_shot is None or winner.value is None:
        return {}
    from rxtune.track.projection import result_metrics

    metrics = {f"dev_{winner.zero_shot.metric}": winner.value, **result_metrics(winner.zero_shot)}
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
