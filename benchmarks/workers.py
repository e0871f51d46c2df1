"""How much faster is a search with two workers than with one? On an otherwise idle machine.

    python benchmarks/workers.py > benchmarks/results/workers.md

The same trials, none stopped, each on one core, drawn at random: so they do not depend on what has
ended before. Searches with one and with two workers alternate. The trials' time counts from the
first one's start to the last one's end; start and end of the command are the same for both.

What the machine itself gives is measured as well: the same updates in one bare process, and in two
at once, without Ray, journal and MLflow (`--bare`: this alone).
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
UPDATES = 600


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


def time_bare(processes: int) -> float:
    """Return the seconds until so many processes have done their updates, begun together."""
    command = [sys.executable, __file__, "--train"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    running = [subprocess.Popen(command, text=True, **pipes) for _ in range(processes)]
    for each in running:
        assert each.stdout is not None
        each.stdout.readline()
    began = time.perf_counter()
    for each in running:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    if any([each.wait() for each in running]):
        sys.exit("a bare training has failed")
    return time.perf_counter() - began


def train_bare() -> None:
    """Say when ready, wait for a line, and do plain updates on one core."""
    import torch
    from steps import babel_tiny

    from rxtune.train.cpu import fast_on_cpu
    from rxtune.train.last_layer import first_position_only
    from rxtune.train.step import robust_step

    torch.set_num_threads(1)
    bench = babel_tiny(torch.device("cpu"), UPDATES, dropout=0.1)
    optimiser = torch.optim.AdamW(bench.model.parameters(), lr=1e-4, fused=True)
    noise = torch.Generator()
    with first_position_only(bench.model, "word"), fast_on_cpu(bench.model, bench.device):
        robust_step(bench.model, optimiser, bench.batches[0], bench.settings, noise)
        print("ready", flush=True)
        input()
        for number in range(UPDATES):
            batch = bench.batches[number % len(bench.batches)]
            robust_step(bench.model, optimiser, batch, bench.settings, noise)


def print_searches(repeats: int) -> None:
    """Measure and print searches with one and with two workers."""
    found: dict[int, list[Timed]] = {workers: [] for workers in WORKERS}
    for repeat in range(repeats):
        for workers in WORKERS if repeat % 2 == 0 else WORKERS[::-1]:
            found[workers].append(time_search(workers))
    print("| workers | trials, s | all runs | command, s |\n|---|---|---|---|")
    for workers, times in found.items():
        runs = ", ".join(f"{each.trials:.1f}" for each in times)
        trials, command = (median(getattr(e, n) for e in times) for n in ("trials", "command"))
        print(f"| {workers} | {trials:.1f} | {runs} | {command:.1f} |")
    pairs = zip(found[1], found[2], strict=True)
    print(f"\nSpeed-up of the trials: {median(a.trials / b.trials for a, b in pairs):.2f}.\n")


def print_bare(repeats: int) -> None:
    """Measure and print what two bare processes at once gain over one."""
    found = []
    for _ in range(repeats):
        alone, both = (time_bare(processes) for processes in WORKERS)
        found.append(2 * alone / both)
    runs = ", ".join(f"{each:.2f}" for each in found)
    print(f"Of two bare processes, the machine's own: {median(found):.2f} ({runs}).")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--bare", action="store_true", help="no searches")
    parser.add_argument("--train", action="store_true", help="be one bare process")
    arguments = parser.parse_args()
    if arguments.train:
        train_bare()
        return
    print(f"# One worker and two\n\n{processor()}, {os.cpu_count()} cores; {versions()}\n")
    if not arguments.bare:
        print_searches(arguments.repeats)
    print_bare(arguments.repeats)


if __name__ == "__main__":
    main()
