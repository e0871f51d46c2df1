"""What does the driver cost per trial as a search grows? Simulated trials, nothing is trained.

    python benchmarks/growth.py                          # all: some minutes
    python benchmarks/growth.py --level core --trials 1000

`core`: director, journal and tracker alone, with a stand-in for MLflow's client, and two trials
that take turns; time per event. `ray`: the whole of a search but the training: Ray Tune with two
workers that report at once, MLflow in a database, lines to a terminal that is none. Every
measurement is a process of its own; the journal is synced to disk as always. "At the end" means
the last tenth of the trials. Times are in milliseconds, wall time and in brackets the processor
time of the thread that does it: the rest is mostly the disk's. Memory is resident memory, counted
from the hundredth trial on in longer searches, so that what is loaded or cached once is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from search_time import processor
from simulated import EVALUATIONS, messages

from rxtune.config import Configuration, Study, load_study

SPACE = Path(__file__).parents[1] / "search_spaces" / "rs.yaml"
LEVELS = {"core": (100, 1_000, 10_000), "ray": (100, 1_000)}
WARM = 100
"""Trials after which a longer search's memory is first taken."""
WORKERS = 2
EVENTS = ("ask", "report", "finish", "turn")
"""What Ray's loop asks the director; a turn is what it asks whether anything happens or not."""


def study_of(trials: int) -> Study:
    """Return the default search with so many trials."""
    return load_study(SPACE, {"search.trials": trials})


class Clock:
    """What events cost, each with the number of the trial before which it happened."""

    def __init__(self) -> None:
        self.begun = 0
        self._spent: dict[str, list[tuple[int, float, float]]] = defaultdict(list)

    @contextmanager
    def measuring(self, event: str) -> Iterator[None]:
        """Add the wall time and the processor time of the block."""
        wall, cpu = time.perf_counter(), time.thread_time()
        yield
        wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
        self._spent[event].append((self.begun, wall, cpu))

    def per_trial(self, events: Sequence[str], first: int, last: int) -> str:
        """Return the milliseconds of events per trial, of trials `first` to before `last`."""
        found = [times for event in events for times in self._within(event, first, last)]
        return _milliseconds(found, last - first)

    def each(self, event: str, first: int, last: int) -> str:
        """Return the milliseconds of one such event."""
        found = self._within(event, first, last)
        return _milliseconds(found, max(1, len(found)))

    def _within(self, event: str, first: int, last: int) -> list[tuple[float, float]]:
        return [(wall, cpu) for trial, wall, cpu in self._spent[event] if first <= trial < last]


def _milliseconds(times: Sequence[tuple[float, float]], count: int) -> str:
    """Return wall time and processor time per count."""
    wall = 1000 * sum(wall for wall, _ in times) / count
    cpu = 1000 * sum(cpu for _, cpu in times) / count
    return f"{wall:.1f} ({cpu:.1f})"


class Memory:
    """Resident memory as the search grows."""

    def __init__(self) -> None:
        self.begun = 0
        self.at: dict[int, int] = {}

    def see(self, trials: int) -> None:
        """Note the memory before a trial, where a measurement needs it."""
        if trials in (0, WARM):
            self.at[trials] = resident()

    def per_trial(self, trials: int) -> float:
        """Return the growth in KB per trial up to the end of the search."""
        first = WARM if trials > WARM else 0
        return (resident() - self.at[first]) / 1024 / (trials - first)


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# --- the core


class SilentMlflow:
    """Stands for MLflow's client: takes everything at once."""

    def __init__(self) -> None:
        self.calls = 0

    def create_run(self, experiment_id: str, **_: Any) -> Any:
        """Return a run, as MLflow would."""
        from mlflow.entities import Run, RunData, RunInfo

        self.calls += 1
        name = f"{self.calls:032x}"
        info = RunInfo(name, experiment_id, "me", "RUNNING", 0, None, "active")
        return Run(info, RunData())

    def __getattr__(self, name: str) -> Callable[..., None]:
        def take(*_: Any, **__: Any) -> None:
            self.calls += 1

        return take


def make_director(decisions: Any, tracker: Any, folder: Path) -> Any:
    """Return the director of a search on this folder."""
    from rxtune.search.budgets import Limits
    from rxtune.search.director import Director
    from rxtune.search.models import ModelStore

    (folder / "checkpoints").mkdir(exist_ok=True)
    return Director(
        decisions=decisions,
        tracker=tracker,
        models=ModelStore(str(folder / "checkpoints"), folder / "best"),
        workload=SimpleNamespace(absolute=_absolute),  # type: ignore[arg-type]
        tokenizer_folder=folder,
        threads=1,
        device="cpu",
        failures=folder / "failures",
        limits=Limits(search=decisions.study.search, evaluations=EVALUATIONS, examples=1000),
        elapsed=lambda: 0.0,
        shares_device=False,
    )


def _absolute(configuration: Configuration) -> dict[str, float]:
    return {"learning_rate": 1e-3 * configuration.learning_rate, "sigma": configuration.sigma}


def view_of(decisions: Any, folder: Path) -> Any:
    """Return what a spectator sees of the search."""
    from rxtune.search.budgets import Limits

    return SimpleNamespace(
        study=decisions.study,
        records=decisions.records,
        began=time.monotonic(),
        capacity=SimpleNamespace(workers=WORKERS),
        forecast=1000.0,
        limits=Limits(search=decisions.study.search, evaluations=EVALUATIONS, examples=1000),
        recovered=None,
        notes=(),
        folder=folder,
    )


def run_core(trials: int, folder: Path) -> dict[str, Any]:
    """Run a search of simulated trials through the director; return what it cost."""
    from rxtune.search.decisions import SearchStudy
    from rxtune.track import Tracker

    client = SilentMlflow()
    tracker = Tracker(client, "silent", "0", "growth", [client.create_run("0", tags={})])  # type: ignore[arg-type]
    clock, memory = Clock(), Memory()
    with SearchStudy.create(folder / "journal.log", study_of(trials)) as decisions:
        director = make_director(decisions, tracker, folder)
        began = time.perf_counter()
        _take_turns(director, trials, clock, memory, view_of(decisions, folder))
        seconds = time.perf_counter() - began
    tracker.close()
    assert not tracker.problems, tracker.problems
    tenth = (trials - trials // 10, trials)
    return {
        **{event: clock.per_trial([event], *tenth) for event in EVENTS},
        "a trial at the end": clock.per_trial(EVENTS, *tenth),
        "a trial on average": clock.per_trial(EVENTS, 0, trials),
        **{f"one look ({what})": clock.each(what, *tenth) for what in ("records", "table")},
        "KB": round(memory.per_trial(trials), 1),
        "MLflow calls": round(client.calls / trials, 1),
        "journal MB": round((folder / "journal.log").stat().st_size / 1e6, 1),
        "load s": round(_load_seconds(folder / "journal.log"), 2),
        "wall s": round(seconds, 1),
    }


def _take_turns(director: Any, trials: int, clock: Clock, memory: Memory, view: Any) -> None:
    """Give two workers their trials and hear them in turn, as Ray's loop does."""
    looks = max(1, trials // 500)
    look = _spectator(view, clock)
    busy: list[tuple[int, Iterator[str]]] = []
    while True:
        while len(busy) < WORKERS:
            memory.see(clock.begun)
            with clock.measuring("ask"):
                config = director.next_trial()
            if config is None:
                break
            number = config["number"]
            told = messages(number, Configuration.from_json(config["configuration"]))
            busy.append((number, told))
            clock.begun = number + 1
            if number % looks == 0:
                look()
        if not busy:
            return
        with clock.measuring("turn"):
            _ = director.must_end, director.may_hand_out
        number, told = busy.pop(0)
        message = next(told)
        is_last = '"kind": "finished"' in message
        with clock.measuring("finish" if is_last else "report"):
            stop = director.hear(number, message)
        if stop or is_last:
            with clock.measuring("finish"):
                director.left(number)
        else:
            busy.append((number, told))


def _spectator(view: Any, clock: Clock) -> Callable[[], None]:
    """Return what looks at the search as the live table does, in a terminal of 160 x 40."""
    from rich.console import Console

    from rxtune.cli.live.sight import own_search
    from rxtune.cli.live.watch import drawn

    console, sight_of_it = Console(width=160, force_terminal=True), own_search(view)

    def look() -> None:
        with clock.measuring("records"):
            view.records()
        with clock.measuring("table"):
            drawn(sight_of_it(), console, height=40)

    return look


def _load_seconds(journal: Path) -> float:
    """Return how long a resume takes to know all trials again, in a process of its own."""
    code = (
        "import sys, time; from rxtune.search.decisions import SearchStudy; "
        "began = time.perf_counter(); search = SearchStudy.open(sys.argv[1]); search.records(); "
        "print(time.perf_counter() - began)"
    )
    times = []
    for _ in range(3):
        command = [sys.executable, "-c", code, str(journal)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        times.append(float(done.stdout))
    return sorted(times)[1]


# --- the whole path


def stand_in(config: dict[str, Any], workload: Any) -> None:
    """Report what a trial of this configuration would, at once; runs on a Ray worker."""
    from ray import tune

    configuration = Configuration.from_json(config["configuration"])
    for message in messages(config["number"], configuration):
        tune.report({"message": message})


def run_ray(trials: int, folder: Path) -> dict[str, Any]:
    """Run a search of simulated trials through Ray Tune; return what it cost the driver."""
    import rich.console
    import simulated
    from ray import cloudpickle

    import rxtune.search.trial
    from rxtune.cli import live
    from rxtune.search.cluster import measure_capacity, ray_running
    from rxtune.search.decisions import SearchStudy
    from rxtune.search.options import SearchOptions
    from rxtune.search.tuner import _tune
    from rxtune.track import Tracker

    cloudpickle.register_pickle_by_value(simulated)
    rxtune.search.trial.run_trial = stand_in  # type: ignore[assignment]
    console = rich.console.Console(file=(folder / "lines.txt").open("w"), width=100)
    options = SearchOptions(name="growth", workers=WORKERS)
    uri = f"sqlite:///{folder}/mlflow.db"
    tracker = Tracker.open(uri, experiment="growth", run_name="growth", search_id="growth")
    memory, begun = Memory(), [time.perf_counter()]
    with (
        SearchStudy.create(folder / "journal.log", study_of(trials)) as decisions,
        ray_running(options),
    ):
        director = make_director(decisions, tracker, folder)
        next_trial = director.next_trial

        def noting() -> Any:
            config = next_trial()
            if config is not None:
                memory.see(config["number"])
                begun.append(time.perf_counter())
            return config

        director.next_trial = noting
        cpu, began = time.process_time(), time.perf_counter()
        with live.watching(view_of(decisions, folder), console):
            _tune(
                director,
                SimpleNamespace(
                    workload=SimpleNamespace(), capacity=measure_capacity(options), hosts=()
                ),  # type: ignore[arg-type]
                director._models,
            )
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        closing = time.perf_counter()
        tracker.close(600)
        closing = time.perf_counter() - closing
    assert not tracker.problems, tracker.problems
    tenth = trials // 10
    return {
        "wall ms at the end": round(1000 * (begun[-1] - begun[-1 - tenth]) / tenth, 1),
        "wall ms on average": round(1000 * seconds / trials, 1),
        "cpu ms on average": round(1000 * cpu / trials, 1),
        "KB": round(memory.per_trial(trials), 1),
        "MLflow behind s": round(closing, 1),
        "wall s": round(seconds, 1),
    }


# --- the command


def measure(level: str, trials: int) -> dict[str, Any]:
    """Return one measurement, made in a process of its own."""
    command = [sys.executable, __file__, "--level", level, "--trials", str(trials), "--here"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--level", choices=LEVELS)
    parser.add_argument("--trials", type=int)
    parser.add_argument("--here", action="store_true", help="measure in this process")
    arguments = parser.parse_args()
    if arguments.here:
        run = run_core if arguments.level == "core" else run_ray
        with TemporaryDirectory() as folder:
            print(json.dumps(run(arguments.trials, Path(folder))))
        return
    from rxtune.track import versions

    print(f"{processor()}, {os.cpu_count()} cores;", versions())
    for level in [arguments.level] if arguments.level else LEVELS:
        for trials in [arguments.trials] if arguments.trials else LEVELS[level]:
            print(f"{level}, {trials} trials:", json.dumps(measure(level, trials)), flush=True)


if __name__ == "__main__":
    main()
