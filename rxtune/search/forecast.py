"""What a search will cost, from a few timed steps on this machine; nothing is trained."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow as pa

from rxtune.config import Configuration
from rxtune.data import DataSummary, UnknownShare, check_task, load_tokenizer, unknown_shares
from rxtune.search.disk import DiskNeed, disk_need
from rxtune.search.plan import Ground
from rxtune.search.workload import Workload, prepare

_DRAWN_TEXTS = 1000
"""Training texts in which words are replaced for the measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodForecast:
    """What a full trial of one method costs at its start point."""

    configuration: Configuration
    step_seconds: float
    updates: int
    forward_equivalents: float
    """Training cost, in forward passes of one example: what a compute budget counts."""
    drawing_seconds: float
    """Seconds in which the words of a whole trial are replaced."""

    @property
    def training_seconds(self) -> float:
        """Seconds of a full trial, evaluations aside."""
        return self.updates * self.step_seconds + self.drawing_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a search costs if no trial is stopped early."""

    device: Literal["cpu", "cuda"]
    precision: str
    methods: tuple[MethodForecast, ...]
    """The start points: the baseline, then one for every other method."""
    evaluations: int
    """Of a full trial, in the dev languages."""
    evaluation_seconds: float
    final_seconds: float
    """Of the evaluation in all languages at the end of a full trial."""
    disk: DiskNeed
    trials: int
    at_a_time: int
    """Trials that the machine, or the cluster, holds at a time."""
    place: str = "this machine"
    """What holds them."""
    notes: tuple[str, ...]
    """What to doubt about the settings."""

    def trial_seconds(self, method: MethodForecast) -> float:
        """Return the seconds of a full trial."""
        evaluating = self.evaluations * self.evaluation_seconds + self.final_seconds
        return method.training_seconds + evaluating

    @property
    def total_seconds(self) -> float:
        """Seconds of all trials one after another: the start points, then equal shares."""
        seconds = [self.trial_seconds(method) for method in self.methods]
        started = seconds[: self.trials]
        return sum(started) + (self.trials - len(started)) * sum(seconds) / len(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A study that can be searched, and what that will cost."""

    ground: Ground
    data: DataSummary
    unknown: tuple[UnknownShare, ...]
    """Share of unknown tokens by language."""
    forecast: Forecast


def check_ground(
    ground: Ground,
    *,
    on_data: Callable[[Ground, DataSummary, tuple[UnknownShare, ...]], None],
    measure_workload: Callable[[Workload], Forecast] | None = None,
) -> Checked:
    """Validate data and encoder of a study, and forecast its cost; trains nothing.

    Args:
        ground: From `examine`.
        on_data: Called when the data is checked: encoder and timing take longer.
        measure_workload: What makes the forecast; by default `measure`, on this machine.

    Raises:
        StudyError: the study cannot be searched as it is.
        DataError: malformed data.
        ModelError: the encoder does not load or cannot be trained as asked.
        TrialOutOfMemoryError: a step of a method does not fit this machine's memory.
    """
    data = ground.data or check_task(ground.task)
    unknown = unknown_shares(ground.task, load_tokenizer(ground.encoder_folder))
    on_data(ground, data, unknown)
    workload = prepare(ground.study, ground.task, ground.dev_languages, ground.encoder_folder)
    forecast = (measure_workload or measure)(workload)
    return Checked(ground=ground, data=data, unknown=unknown, forecast=forecast)


def measure(workload: Workload) -> Forecast:
    """Return what a search of a workload costs here, on a GPU if there is one.

    Raises:
        StudyError: the device does not compute in the study's precision.
        TrialOutOfMemoryError: a step of a method does not fit the memory.
    """
    import torch

    has_gpu = torch.cuda.is_available()
    device: Literal["cpu", "cuda"] = "cuda" if has_gpu else "cpu"
    if not has_gpu:
        torch.set_num_threads(1)  # as a trial has it by default
    model = workload.model(seed=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        methods = tuple(
            _time_method(workload, model, configuration, device)
            for configuration in workload.study.start_points()
        )
    chosen = pa.concat_tables(_tokens(workload, language) for language in workload.dev_languages)
    per_row = _time_row(workload, model, chosen)
    at_a_time = torch.cuda.device_count() if has_gpu else len(os.sched_getaffinity(0))
    return Forecast(
        device=device,
        precision=workload.settings(Configuration(), device).precision,
        methods=methods,
        evaluations=workload.evaluations,
        evaluation_seconds=per_row * chosen.num_rows,
        final_seconds=per_row * _rows_at_the_end(workload),
        disk=disk_need(workload, at_a_time),
        trials=workload.study.search.trials,
        at_a_time=at_a_time,
        notes=tuple(dict.fromkeys(str(warning.message) for warning in caught)),
    )


def _time_method(
    workload: Workload, model: Any, configuration: Configuration, device: str
) -> MethodForecast:
    from rxtune.train.timing import time_step

    settings = workload.settings(configuration, device)
    data = workload.training_data(configuration)
    updates = settings.updates_of(data.examples)
    return MethodForecast(
        configuration=configuration,
        # Replaced words are other words, but no more of them.
        step_seconds=time_step(
            model, workload.train, settings, pad_id=workload.pad_id, device=device
        ),
        updates=updates,
        forward_equivalents=updates
        * min(settings.batch_size, data.examples)
        * settings.forward_equivalents_per_example,
        drawing_seconds=_time_drawing(workload, configuration, settings.epochs),
    )


def _time_drawing(workload: Workload, configuration: Configuration, epochs: float) -> float:
    """Return the seconds in which a trial's words are replaced, and made tokens of."""
    if configuration.method not in workload.neighbours or workload.text is None:
        return 0.0
    few = workload.text.texts.slice(0, _DRAWN_TEXTS)
    text = replace(workload.text, texts=few, fingerprint="a sample to be timed")
    sample = replace(workload, text=text).training_data(configuration)
    began = time.perf_counter()
    sample.table(0)
    # Copies are made once, fresh words in every epoch.
    draws = 1.0 if configuration.substitution == "static" else epochs
    times = draws * int(workload.train.num_rows) / max(1, int(few.num_rows))
    return times * (time.perf_counter() - began)


def _time_row(workload: Workload, model: Any, table: pa.Table) -> float:
    from rxtune.train.timing import time_prediction

    return time_prediction(model, table, pad_id=workload.pad_id)


def _tokens(workload: Workload, language: str) -> pa.Table:
    """Return the dev split without its ids, which are text or numbers by language."""
    table = workload.dev[language]
    names = ("input_ids", "token_type_ids", "label")
    return table.select([name for name in names if name in table.column_names])


def _rows_at_the_end(workload: Workload) -> int:
    tables = [*workload.dev.values(), *([workload.mixed.tokens] if workload.mixed else [])]
    return sum(int(table.num_rows) for table in tables)
