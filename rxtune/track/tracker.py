"""One search as one MLflow run, with a child run for every trial."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from mlflow.entities import Metric, Run
from mlflow.tracking import MlflowClient

from rxtune.results import Evaluation, TrialRecord
from rxtune.track import projection
from rxtune.track.entities import MODEL_TAG, BestModel, DataUse, dataset_input, log_best_model
from rxtune.track.projection import SEARCH_TAG, TRIAL_TAG, milliseconds
from rxtune.track.runs import (
    KnownRun,
    as_params,
    as_tags,
    children_of,
    each_run,
    source_tags,
)
from rxtune.track.store import (
    STORE_SECONDS,
    Connection,
    beside,
    connect,
    is_server,
    resolve_uri,
    within,
)
from rxtune.track.views import Shown, view_tags
from rxtune.track.work import EntityWork, FileWork, SearchWork, TrialWork, Work, merge
from rxtune.track.writer import Writer

CLOSE_SECONDS = 30.0
SERVER_THREADS = 4
"""Runs that are written at a time to a server, which may be slow; a database has one writer."""
_SEARCH_KEY = "the search"


class Tracker:
    """Projects one search into MLflow; no call after `start` waits for MLflow or raises.

    The parent run is found by the tag `rxtune.search_id`, the children also by `rxtune.trial`, so
    a resumed search goes on with the same runs. To be used from one thread.

    Attributes:
        uri: The resolved tracking URI.
        experiment_id: The id of the experiment in MLflow.
        search_id: What tells this search from all others.
        run_id: The id of the parent run.
    """

    def __init__(
        self, client: MlflowClient, uri: str, experiment_id: str, search_id: str, runs: list[Run]
    ) -> None:
        self.uri = uri
        self.experiment_id = experiment_id
        self._client = client
        self.search_id = search_id
        parents = [run for run in runs if TRIAL_TAG not in run.data.tags]
        assert parents, "open() creates the parent"
        self._parent = KnownRun.of(parents[0])
        self._children = children_of(runs)
        self._create_failed: set[int] = set()
        # How many evaluations of each trial have been handed over: a late second report of one
        # (a retried worker) has another time, and would be a second point at the same step.
        self._evaluations: dict[int, int] = {}
        self._writer: Writer[Work] = Writer(
            self._write, merge, threads=SERVER_THREADS if is_server(uri) else 1
        )

    @classmethod
    def open(
        cls,
        uri: str | None,
        *,
        experiment: str,
        run_name: str,
        search_id: str,
        connection: Connection | None = None,
        is_new: bool = False,
    ) -> Tracker:
        """Return a tracker for the search `search_id`, new or known.

        Args:
            uri: The tracking URI; None for `mlflow.db` in the working directory.
            experiment: The experiment's name; it is made if it is new.
            run_name: The name of the parent run if it is made.
            search_id: What tells this search from all others; letters, digits, `-`, `_`.
            connection: From `connect` with this URI and experiment, if that was called already.
            is_new: MLflow has never heard of the search, so it need not be looked for.

        Raises:
            TrackingError: MLflow refuses or cannot be reached. A server that does not answer is
                given up after 8 seconds.
        """
        assert not set(search_id) & set("'`\\"), "the id is quoted in a filter"
        uri = resolve_uri(uri)
        client, experiment_id = connection or connect(uri, experiment)

        def find_or_create() -> list[Run]:
            runs = [] if is_new else [*each_run(client, experiment_id, search_id)]
            if all(TRIAL_TAG in run.data.tags for run in runs):
                tags = {SEARCH_TAG: search_id, **source_tags()}
                runs.append(client.create_run(experiment_id, tags=tags, run_name=run_name))
            return runs

        runs = within(STORE_SECONDS, uri, find_or_create)
        return cls(client, uri, experiment_id, search_id, runs)

    @property
    def run_id(self) -> str:
        """The id of the parent run."""
        return self._parent.run_id

    @property
    def problems(self) -> list[str]:
        """One line for every different thing that went wrong while writing."""
        return self._writer.problems

    def start(
        self,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        study_yaml: str,
        description: str,
    ) -> None:
        """Write what the search is: waits, so that a store that refuses is known before training.

        Args:
            params: The parent's parameters. MLflow never changes one: what a resumed search says
                differently becomes the tag `resumed.<name>`.
            tags: Further tags, such as `versions()` and `mlflow.source.git.commit`.
            study_yaml: The resolved study, kept as the artifact `study.yaml`.
            description: Markdown that MLflow shows on the run's page.

        Raises:
            TrackingError: MLflow refuses or does not answer.
        """
        known = self._parent.params
        changed = {f"resumed.{k}": v for k, v in params.items() if known.get(k, v) != v}
        new = {key: value for key, value in params.items() if key not in known}
        tags = {**tags, **changed, "state": "running", "mlflow.note.content": description}

        def write() -> None:
            run_id = self._parent.run_id
            # Both at once: a server may be slow to answer.
            file = beside(partial(self._client.log_text, run_id, study_yaml, "study.yaml"))
            self._client.log_batch(run_id, params=as_params(new), tags=as_tags(tags))
            self._set_status(self._parent, "running")
            file.result()

        within(STORE_SECONDS, self.uri, write)
        known.update(new)

    def show(self, shown: Shown) -> None:
        """Give the experiment's page views with the columns and charts of this search."""
        for key, value in view_tags(shown).items():
            write = partial(self._client.set_experiment_tag, self.experiment_id, key, value)
            self._put_entity(f"view {key}", write)

    def used(self, data: Sequence[DataUse]) -> None:
        """Say what data the search trains and measures on."""
        write = partial(self._client.log_inputs, self.run_id, [dataset_input(use) for use in data])
        self._put_entity("the data sets", write)

    def found(self, model: BestModel) -> None:
        """Say which model is the best, and where it lies; of a known one nothing is written."""
        if self._parent.tags.get(MODEL_TAG, "").partition(":")[0] != str(model.trial):
            write = partial(log_best_model, self._client, self.experiment_id, self.run_id, model)
            self._put_entity("the best model", write)

    def _put_entity(self, key: str, write: Callable[[], None]) -> None:
        self._writer.put(key, EntityWork(write))

    def trial_started(self, record: TrialRecord) -> None:
        """Say that a trial runs, for the first time or again."""
        self._put(record)

    def evaluated(self, number: int, evaluation: Evaluation) -> None:
        """Add one evaluation to a trial that has started."""
        if evaluation.number > self._evaluations.get(number, 0):
            self._evaluations[number] = evaluation.number
            self._writer.put(_trial_key(number), TrialWork(None, (evaluation,)))

    def trial_ended(self, record: TrialRecord) -> None:
        """Write a trial's end: state, reason and, if it ran to its end, every language."""
        self._put(record)

    def sync(self, records: Sequence[TrialRecord]) -> None:
        """Write every record again; what MLflow already has does not double."""
        for record in records:
            self._put(record)

    def search_ended(
        self,
        state: str,
        *,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        description: str,
        artifacts: Mapping[str, str],
    ) -> None:
        """Write the end of the search to the parent run.

        Args:
            state: `finished`, `interrupted` or `failed`.
            metrics: The winner's metrics, so that the parent's row shows them.
            tags: The winner's parameters, as tags: a search that is made longer may find another.
            description: Markdown; replaces the one given to `start`.
            artifacts: Text by file name.
        """
        tags = {**tags, "state": state, "mlflow.note.content": description}
        self._writer.put(_SEARCH_KEY, SearchWork(state, time.time(), metrics, tags))
        for name, text in artifacts.items():
            self._writer.put(name, FileWork(name, text))

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Write what is left, for at most `seconds`; `problems` says what was not written."""
        if unwritten := self._writer.close(seconds):
            named = ", ".join(unwritten[:5]) + (", …" if len(unwritten) > 5 else "")
            self._writer.report(
                f"MLflow at {self.uri} did not take {named} ({len(unwritten)} in all) within "
                f"{seconds:.0f} s; nothing is lost: resume the search to write it again"
            )

    def _put(self, record: TrialRecord) -> None:
        last = max((evaluation.number for evaluation in record.evaluations), default=0)
        known = self._evaluations.get(record.number, 0)
        self._evaluations[record.number] = max(known, last)
        self._writer.put(_trial_key(record.number), TrialWork(record))

    # From here on: the writer's threads.

    def _write(self, key: str, work: Work) -> None:
        if isinstance(work, SearchWork):
            self._write_search(work)
        elif isinstance(work, EntityWork):
            work.write()
        elif isinstance(work, FileWork):
            self._client.log_text(self.run_id, work.text, work.name)
        elif work.record is not None:
            self._write_trial(work.record, work.evaluations)
        else:
            number = int(key.rpartition(" ")[2])
            if number not in self._children:
                raise LookupError("was evaluated before it started")
            run = self._children[number]
            metrics = run.lacking(projection.metrics(None, work.evaluations))
            self._client.log_batch(run.run_id, metrics=metrics)

    def _write_trial(self, record: TrialRecord, evaluations: tuple[Evaluation, ...]) -> None:
        run = self._children.get(record.number) or self._create(record)
        params = projection.params(record.configuration)
        new = {name: value for name, value in params.items() if name not in run.params}
        self._client.log_batch(
            run.run_id,
            metrics=run.lacking(projection.metrics(record, evaluations)),
            params=as_params(new),
            tags=as_tags(projection.tags(record)),
        )
        run.params.update(new)
        self._set_status(run, projection.state_of(record), record.ended)

    def _create(self, record: TrialRecord) -> KnownRun:
        number = record.number
        if number in self._create_failed:
            # The earlier call may have arrived although its answer did not.
            found = [*each_run(self._client, self.experiment_id, self.search_id)]
            for other, run in children_of(found).items():
                self._children.setdefault(other, run)  # in place: other threads add theirs
            if number in self._children:
                return self._children[number]
        self._create_failed.add(number)
        tags = {
            SEARCH_TAG: self.search_id,
            TRIAL_TAG: str(number),
            "mlflow.parentRunId": self._parent.run_id,
            **source_tags(),
        }
        created = self._client.create_run(
            self.experiment_id,
            start_time=milliseconds(record.started) if record.started is not None else None,
            tags=tags,
            run_name=projection.run_name(record),
        )
        self._create_failed.discard(number)
        self._children[number] = KnownRun.of(created)
        return self._children[number]

    def _write_search(self, work: SearchWork) -> None:
        run = self._parent
        # Only what changed: the end of a search has no time in the journal to tell it by.
        new = [
            Metric(name, value, milliseconds(work.ended), 0)
            for name, value in work.metrics.items()
            if math.isfinite(value) and run.metrics.get(name) != value
        ]
        self._client.log_batch(run.run_id, metrics=new, tags=as_tags(work.tags))
        run.metrics.update({metric.key: metric.value for metric in new})
        self._set_status(run, work.state, work.ended)

    def _set_status(self, run: KnownRun, state: str, ended: float | None = None) -> None:
        status = projection.run_status(state)
        if state != "running":
            end_time = milliseconds(ended) if ended is not None else None
            self._client.set_terminated(run.run_id, status, end_time)
        elif run.status != status:
            self._client.update_run(run.run_id, status=status)
        run.status = status


def _trial_key(number: int) -> str:
    return f"trial {number}"
