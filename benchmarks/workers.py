"""How much faster is a search with two workers than with one? On an otherwise idle machine.

    python benchmarks/workers.py > benchmarks/results/workers.md

The same trials, none stopped, each on one core, drawn at random: so they do not depend on what has
ended before. Searches with one and with two workers alternate. The trials' time counts from the
first one's start to the last one's end; start and end of the command are the same for both.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from search_time import processor

from rxtune.search.decisions import SearchStudy
from rxtune.track import versions

STUDY = """\
space:
  method: {choice: [standard, rs_rp]}
  sigma: {log_uniform: [0.3, 1.7], when: {method: [rs_rp]}}
  learning_rate: {log_uniform: [0.3, 1.5]}
search: {sampler: random, trials: 8, seed: 0}
stopping: none
train: {epochs: 1.75}
"""
WORKERS = (1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One search."""

    trials: float
    command: float


def time_search(workers: int) -> Timed:
    """Run a search in an empty folder and return its seconds."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "study.yaml").write_text(STUDY)
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "rxtune", "search", "--space", "study.yaml", "--name", "timed",
             "--workers", str(workers)],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        with SearchStudy.open(folder / "runs" / "timed" / "journal.log") as search:
            records = search.records()
    first = min(record.started for record in records if record.started is not None)
    last = max(record.ended for record in records if record.ended is not None)
    return Timed(trials=last - first, command=seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    found: dict[int, list[Timed]] = {workers: [] for workers in WORKERS}
    for repeat in range(repeats):
        for workers in WORKERS if repeat % 2 == 0 else WORKERS[::-1]:
            found[workers].append(time_search(workers))
    print(f"# One worker and two\n\n{processor()}, {os.cpu_count()} cores; {versions()}\n")
    print("| workers | trials, s | all runs | command, s |\n|---|---|---|---|")
    for workers, times in found.items():
        runs = ", ".join(f"{each.trials:.1f}" for each in times)
        trials, command = (median(getattr(e, n) for e in times) for n in ("trials", "command"))
        print(f"| {workers} | {trials:.1f} | {runs} | {command:.1f} |")
    pairs = zip(found[1], found[2], strict=True)
    print(f"\nSpeed-up of the trials: {median(a.trials / b.trials for a, b in pairs):.2f}.")


if __name__ == "__main__":
    main()
