"""The verbs that train, or time a few steps: check, search, confirm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from rxtune.api.outcome import conclude
from rxtune.config import Configuration, Study
from rxtune.errors import ClusterError
from rxtune.search.asked_study import from_anywhere, read_study
from rxtune.search.options import SearchOptions
from rxtune.search.run_folder import RunFolder, storage_of
from rxtune.storage import join, require_writable, without_secrets

if TYPE_CHECKING:
    from rxtune.data import DataSummary, UnknownShare
    from rxtune.report import Confirmation
    from rxtune.search.cluster_check import ClusterReport
    from rxtune.search.confirmation import FreshRuns, OnResult
    from rxtune.search.forecast import Checked
    from rxtune.search.plan import Ground, Plan
    from rxtune.search.views import SearchResult, Watch


def bring_back(options: SearchOptions) -> str | None:
    """Make the folder of a run that is to be resumed of the copy in its storage.

    Only if the folder is lost, or another machine has gone on with the search since.

    Returns:
        Where the copy lies, or None if the folder is as new, or there is no copy.

    Raises:
        StudyError: the name is none, another driver has the run here, or the folder and the copy
            have gone on apart.
        ClusterError: the storage does not answer.
    """
    if not options.resume:
        return None
    folder = RunFolder.named(options.root, options.name)
    place = _place_of_copy(folder, options)
    if place is None:
        return None
    folder.require_free()
    from rxtune.search import mirror

    require_writable(place)  # which gives up soon, where a bucket does not answer
    try:
        found = mirror.bring_back(folder, place)
    except OSError as error:
        raise ClusterError(
            f"--storage: {without_secrets(place)} holds a copy of the run that cannot be brought"
            f" back ({error}); check the storage and the permissions, then try again"
        ) from error
    return join(without_secrets(place), mirror.FOLDER) if found else None


def _place_of_copy(folder: RunFolder, options: SearchOptions) -> str | None:
    """Return the run's place in a storage, or None if it keeps all in its own folder."""
    asked = None if options.storage is None else storage_of(options.storage, options.name)
    if not folder.has_begun:
        return asked
    kept = folder.places().storage
    if asked not in (None, kept):  # which is refused when the run is opened
        return None
    return None if kept == str(folder.checkpoints) else kept


def check(
    study: Study,
    *,
    on_data: Callable[[Ground, DataSummary, tuple[UnknownShare, ...]], None] | None = None,
    options: SearchOptions | None = None,
    on_cluster: Callable[[ClusterReport], None] | None = None,
) -> Checked:
    """Validate a study with its data and encoder, and forecast its cost; trains nothing.

    Args:
        study: from `rxtune.config.load_study`.
        on_data: called when the data is checked, which is before the encoder is timed.
        options: where the search would run; a storage and an MLflow store that are named are
            tried, and a cluster is asked, and the forecast made there.
        on_cluster: called as soon as the cluster's nodes have answered.

    Raises:
        RxtuneError: one of its kinds; see `rxtune.errors`.
    """
    from rxtune.search.plan import examine

    ground = examine(from_anywhere(study))
    # Only now: torch takes seconds to import, and a refusal should not.
    from rxtune.search.forecast import check_ground

    measure = None
    if options is not None:
        from rxtune.search.cluster_check import check_cluster, check_places

        check_places(options)
        if options.address is not None:
            measure = partial(check_cluster, options, on_cluster or (lambda report: None))
    return check_ground(
        ground,
        on_data=on_data or (lambda ground, data, unknown: None),
        measure_workload=measure,
    )


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

    plan = plan or make_plan(from_anywhere(study), options)
    with plan.folder.held():
        # Only now: torch and Ray take seconds to import, and a refusal should not.
        from rxtune.search.start import run_search

        return run_search(plan, watch=watch or (lambda view: nullcontext()), conclude=conclude)


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
