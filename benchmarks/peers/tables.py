"""The comparison as Markdown."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import mean, median, stdev
from typing import TYPE_CHECKING

from job import DEV, SOURCE, Answer, Job

from rxtune.report import paired_comparison
from rxtune.track import versions

if TYPE_CHECKING:
    from compare import Run

sys.path.append(str(Path(__file__).parents[1]))  # scripts beside this folder
from search_time import processor

OWN = "rxtune"


def report(runs: Sequence[Run]) -> str:
    """Return hardware, versions and a table per scenario and number of workers."""
    used = ", ".join(f"{name} {number}" for name, number in _versions().items())
    lines = [f"{processor()}, {os.cpu_count()} cores; {used}"]
    for scenario, workers in dict.fromkeys((run.scenario, run.workers) for run in runs):
        chosen = [r for r in runs if (r.scenario, r.workers) == (scenario, workers)]
        lines += ["", *_scenario(scenario, workers, chosen)]
    return "\n".join(lines) + "\n"


def _versions() -> dict[str, str]:
    try:
        return {**versions(), "accelerate": version("accelerate")}
    except PackageNotFoundError:  # it is not needed for the report alone
        return versions()


def _scenario(name: str, workers: int, runs: Sequence[Run]) -> list[str]:
    trials, updates = len(runs[0].answers), max(a.updates for a in runs[0].answers)
    contenders = sorted({run.contender for run in runs}, key=lambda one: (one != OWN, one))
    by_name = {one: [run for run in runs if run.contender == one] for one in contenders}
    stops = any(_stopped(run) for run in runs)
    score, what = _score(stops)
    kind = "weak ones stopped" if stops else "none stopped"
    return [
        f"## {name}: {trials} trials of {updates} updates, {kind}; {workers} workers",
        "",
        "| | trials per hour | rxtune's ÷ its | seconds, median | all runs | before the first"
        f" trial | updates | stopped | {what} | against rxtune (95 % CI) |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_row(one, by_name[one], by_name.get(OWN, []), score) for one in contenders),
    ]


def _row(
    name: str, runs: Sequence[Run], own: Sequence[Run], score: Callable[[Answer], float | None]
) -> str:
    seconds = median(run.seconds for run in runs)
    ratio = f"{seconds / median(run.seconds for run in own):.2f}" if own else "–"
    scores = list(_by_seed(runs, score).values())
    cells = (
        name,
        f"{3600 * len(runs[0].answers) / seconds:.0f}",
        ratio,
        f"{seconds:.1f}",
        ", ".join(f"{run.seconds:.1f}" for run in runs),
        f"{median(run.startup for run in runs):.1f} s",
        f"{mean(sum(a.updates for a in run.answers) for run in runs):.0f}",
        f"{mean(_stopped(run) for run in runs):.1f}",
        f"{mean(scores):.1f}" + (f" ± {stdev(scores):.1f}" if len(scores) > 1 else ""),
        "–" if name == OWN else _difference(runs, own, score),
    )
    return f"| {' | '.join(cells)} |"


def _stopped(run: Run) -> int:
    return sum(not answer.accuracy for answer in run.answers)


def _score(stops: bool) -> tuple[Callable[[Answer], float | None], str]:
    """Return what the accuracies are compared by: all trials must have it, and its name."""
    if stops:
        return lambda answer: answer.curve[Job.first_rung - 1], "dev accuracy at the first rung"
    return _held_out, "held-out mean"


def _held_out(answer: Answer) -> float | None:
    found = [answer.accuracy[name] for name in answer.accuracy if name not in (SOURCE, DEV)]
    return mean(found) if found else None


def _difference(
    runs: Sequence[Run], own: Sequence[Run], score: Callable[[Answer], float | None]
) -> str:
    """Return the difference in points, paired by seed: the trials of a run share theirs."""
    theirs, ours = _by_seed(runs, score), _by_seed(own, score)
    shared = sorted(theirs.keys() & ours.keys())
    if len(shared) < 2:
        return "–"
    found = paired_comparison([theirs[seed] for seed in shared], [ours[seed] for seed in shared])
    return f"{found.mean_difference:+.1f} ({found.low:+.1f} to {found.high:+.1f})"


def _by_seed(runs: Sequence[Run], score: Callable[[Answer], float | None]) -> dict[int, float]:
    """Return the mean score of every run in percent, over the trials that have one."""
    found = {run.seed: [s for a in run.answers if (s := score(a)) is not None] for run in runs}
    return {seed: 100 * mean(scores) for seed, scores in found.items() if scores}
