"""Where do the seconds of a search go? On an otherwise idle machine.

    python benchmarks/overhead.py --repeats 3 --out benchmarks/results/overhead

Runs the README's main command in an empty folder. `timeline/sitecustomize.py` notes in the driver
and in every worker when the parts of a trial begin and end, and how much processor time they got:
the rest of a part's time its thread has waited for a core, on which something else ran. Writes
`overhead.md` and, with every single time, `overhead.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from search_time import SPACE, processor

from rxtune.track import versions

WORK = ("steps", "evaluation")
PARTS = {
    "_Run.train_until": "steps",
    "predict": "evaluation",
    "save_checkpoint": "checkpoints",
    "load_checkpoint": "checkpoints",
    "build_model": "model built",
    "save_model": "model saved",
    "save_predictions": "model saved",
    "release_memory": "memory released",
    "TrialDisk.held": "disk looked at",
    "report": "driver waited for",
    "run_trial": "rest of the trial",
}
"""Watched function of a worker -> the part of its time that it is counted as."""
CORE = "core waited for"
MACHINE, OUTSIDE = "machine", "outside of the search"
BETWEEN, HEAD, TAIL = "between trials", "before its first trial", "after its last trial"
ORDER = (
    *WORK,
    CORE,
    *dict.fromkeys(p for p in PARTS.values() if p not in WORK),
    BETWEEN,
    HEAD,
    TAIL,
)

Samples = list[tuple[float, dict[str, float]]]
"""Moments, and the processor seconds used until then by name."""


@dataclass(frozen=True, slots=True)
class Span:
    """One call of a watched function, on the clock of the machine."""

    what: str
    began: float
    ended: float
    cpu: float
    thread: int

    @property
    def seconds(self) -> float:
        """Wall time of the call."""
        return self.ended - self.began


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One search, taken apart."""

    wall: float
    """From the command's start to its exit."""
    workers: int
    trials: int
    to_first_trial: float
    """From the command's start until a worker has begun the first trial."""
    from_last_trial: float
    """From the end of the last trial to the command's exit."""
    parts: dict[str, float]
    """Seconds of all workers together, from the first trial's begin to the last one's end."""
    handovers: list[float]
    """From a trial's last word to the next one's first step, on the same worker."""
    phases: dict[str, tuple[float, float]]
    """Of the driver: begin and end, counted from the command's start."""
    cpu: dict[str, float]
    """Processor seconds by process, while trials ran."""

    @property
    def floor(self) -> float:
        """The seconds that the work alone takes, evenly spread over the workers."""
        return sum(self.parts[name] for name in WORK) / self.workers

    @property
    def ratio(self) -> float:
        """Time of the trials over the floor."""
        return (self.wall - self.to_first_trial - self.from_last_trial) / self.floor


def measure(space: Path, arguments: list[str]) -> Measured:
    """Run a search and return where its time went."""
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "timeline")
        notes.mkdir()
        hook = str(Path(__file__).with_name("timeline"))
        paths = [hook, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join(paths), "RXTUNE_TIMELINE": str(notes),
        }  # fmt: skip
        began = time.monotonic()
        command = [sys.executable, "-m", "rxtune", "search", "--space", str(space), *arguments]
        with open(f"{folder}/output", "w") as output:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
            samples = _watch_processes(process)
        ended = time.monotonic()
        text = Path(folder, "output").read_text()
        if process.returncode:
            sys.exit(text)
        print(*[line for line in text.splitlines() if "trials in" in line], file=sys.stderr)
        return _analyse(_read(notes), began, ended, samples)


def _watch_processes(process: subprocess.Popen[bytes]) -> Samples:
    """Wait for a command; return now and then the processor seconds used so far, by name.

    Those of all processes below it, and of the whole machine.
    """
    used: dict[int, tuple[str, float]] = {}
    samples = []
    while process.poll() is None:
        used.update(_processes_below(process.pid))
        total: dict[str, float] = defaultdict(float)
        for name, seconds in used.values():
            total[name] += seconds
        samples.append((time.monotonic(), {**total, MACHINE: _machine_seconds()}))
        time.sleep(0.5)
    return samples


def _machine_seconds() -> float:
    """Return the seconds that all cores together were busy since the machine's start."""
    user, nice, system, _, _, irq, softirq = Path("/proc/stat").read_text().split()[1:8]
    ticks = sum(map(int, (user, nice, system, irq, softirq)))
    return ticks / os.sysconf("SC_CLK_TCK")


def _used_between(samples: Samples, first: float, last: float) -> dict[str, float]:
    """Return the processor seconds that were used in the meantime, by name."""
    before = max((s for s in samples if s[0] <= first), default=samples[0])[1]
    after = max(s for s in samples if s[0] <= last)[1]
    used = {name: seconds - before.get(name, 0.0) for name, seconds in after.items()}
    used[OUTSIDE] = used.pop(MACHINE) - sum(used.values())
    return dict(sorted(used.items(), key=lambda item: -item[1]))


def _processes_below(root: int) -> dict[int, tuple[str, float]]:
    """Return name and processor seconds of a process and all its descendants, by id."""
    stats: dict[int, tuple[int, str, float]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            head, _, tail = (entry / "stat").read_text().rpartition(")")
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended
            continue
        fields = tail.split()
        ticks = int(fields[11]) + int(fields[12])
        name = _process_name(line or head.partition("(")[2])
        stats[int(entry.name)] = int(fields[1]), name, ticks / os.sysconf("SC_CLK_TCK")
    below, found = {root}, set()
    while below:
        found |= below
        below = {pid for pid, (parent, *_) in stats.items() if parent in below} - found
    return {pid: stats[pid][1:] for pid in found if pid in stats}


def _process_name(line: str) -> str:
    for mark, name in (
        ("ray::", "workers"),
        ("default_worker", "idle workers"),
        ("-m rxtune", "driver"),
        ("gcs_server", "Ray: gcs_server"),
        ("raylet/raylet", "Ray: raylet"),
        ("dashboard", "Ray: agents"),
        ("runtime_env", "Ray: agents"),
        ("ray/", "Ray: other"),
    ):
        if mark in line:
            return name
    return "other"


def _read(notes: Path) -> dict[int, list[dict[str, Any]]]:
    """Return the notes of every process by its id."""
    return {
        int(file.stem): [json.loads(line) for line in file.read_text().splitlines()]
        for file in notes.glob("*.jsonl")
    }


def _spans(lines: list[dict[str, Any]]) -> list[Span]:
    return sorted(
        (Span(**line) for line in lines if line["what"] != "process"), key=lambda s: s.began
    )


def _analyse(
    notes: dict[int, list[dict[str, Any]]], began: float, ended: float, samples: Samples
) -> Measured:
    spans = {pid: _spans(lines) for pid, lines in notes.items()}
    workers = {p: s for p, s in spans.items() if any(one.what == "run_trial" for one in s)}
    driver = next(s for s in spans.values() if any(one.what == "_tune" for one in s))
    trials = [one for found in workers.values() for one in found if one.what == "run_trial"]
    first, last = min(t.began for t in trials), max(t.ended for t in trials)
    parts: dict[str, float] = dict.fromkeys(ORDER, 0.0)
    for found in workers.values():
        for name, seconds in _parts_of(found, first, last):
            parts[name] += seconds
    return Measured(
        wall=ended - began,
        workers=len(workers),
        trials=len(trials),
        to_first_trial=first - began,
        from_last_trial=ended - last,
        parts=parts,
        handovers=sorted(gap for found in workers.values() for gap in _handovers(found)),
        phases={
            one.what: (one.began - began, one.ended - began)
            for one in driver
            if not one.what.startswith("Director") and one.what != "ModelStore.retain"
        },
        cpu=_used_between(samples, first, last),
    )


def _parts_of(spans: list[Span], first: float, last: float) -> Iterator[tuple[str, float]]:
    """Yield what one worker's time from `first` to `last` was spent on."""
    trials = [span for span in spans if span.what == "run_trial"]
    # Of a stopped trial this call returns when the next one begins; after the last there is none.
    last_word = max((s for s in spans if s.what == "report"), key=lambda s: s.began, default=None)
    for span in spans:
        if span.what not in PARTS:
            continue
        if span is last_word:
            yield TAIL, span.seconds
            continue
        inner = [s for s in _children(span, spans) if s.what in PARTS]
        seconds = span.seconds - sum(s.seconds for s in inner)
        used = span.cpu - sum(s.cpu for s in inner)
        if PARTS[span.what] in WORK:
            yield PARTS[span.what], min(used, seconds)
            yield CORE, max(0.0, seconds - used)
        else:
            yield PARTS[span.what], seconds
    yield HEAD, trials[0].began - first
    yield TAIL, last - trials[-1].ended
    for before, after in pairwise(trials):
        yield BETWEEN, after.began - before.ended


def _children(span: Span, spans: list[Span]) -> list[Span]:
    """Return the calls that were made directly inside of a call."""
    inside = [
        s
        for s in spans
        if s is not span
        and s.thread == span.thread
        and span.began <= s.began
        and s.ended <= span.ended
    ]
    return [
        s
        for s in inside
        if not any(o is not s and o.began <= s.began and s.ended <= o.ended for o in inside)
    ]


def _handovers(spans: list[Span]) -> Iterator[float]:
    """Yield the seconds from a trial's last report to the next trial's first step."""
    trials = [span for span in spans if span.what == "run_trial"]
    for before, after in pairwise(trials):
        told = max(
            (s.began for s in spans if s.what == "report" and s.began < before.ended),
            default=before.ended,
        )
        steps = (s.began for s in spans if s.what == "_Run.train_until" and s.began > after.began)
        if (step := next(steps, None)) is not None:
            yield step - told


def table(found: list[Measured]) -> str:
    """Return the searches as Markdown: one column each, and their median."""
    lines = ["| | " + " | ".join(f"run {n + 1}" for n in range(len(found))) + " | median |"]
    lines.append("|---" * (len(found) + 2) + "|")

    def row(name: str, values: list[float], digits: int = 1) -> None:
        shown = [f"{value:.{digits}f}" for value in [*values, median(values)]]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")

    row("whole command, s", [m.wall for m in found])
    row("… until the first trial begins, s", [m.to_first_trial for m in found])
    row("… trials, s", [m.wall - m.to_first_trial - m.from_last_trial for m in found])
    row("… from the last trial's end to the exit, s", [m.from_last_trial for m in found])
    row("floor: steps and evaluation ÷ workers, s", [m.floor for m in found])
    row("**trials ÷ floor**", [m.ratio for m in found], 3)
    row("whole command ÷ floor", [m.wall / m.floor for m in found], 3)
    row("handover to the next trial, median, s", [median(m.handovers) for m in found], 3)
    row("handover, longest, s", [max(m.handovers) for m in found], 3)
    lines += ["", "Seconds of all workers while trials run, in % of their time:", ""]
    lines.append("| | " + " | ".join(f"run {n + 1}" for n in range(len(found))) + " | median |")
    lines.append("|---" * (len(found) + 2) + "|")
    for name in ORDER:
        row(name, [100 * m.parts[name] / sum(m.parts.values()) for m in found], 2)
    return "\n".join(lines)


def details(one: Measured) -> str:
    """Return the driver's phases and the processor time of one search."""
    lines = ["The driver in the last run, seconds from the command's start:", ""]
    for name, (began, ended) in one.phases.items():
        lines.append(f"- {name}: {began:.2f} to {ended:.2f}")
    shown = "; ".join(f"{name} {seconds:.1f}" for name, seconds in one.cpu.items())
    return "\n".join(
        [*lines, "", f"Processor seconds while trials ran, in the last run: {shown}."]
    )


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", type=Path, default=SPACE)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="prefix of the files to write")
    arguments, rest = parser.parse_known_args()
    found = [measure(arguments.space, rest) for _ in range(arguments.repeats)]
    head = f"{processor()}, {os.cpu_count()} cores; {versions()}"
    text = f"{head}\n\n{table(found)}\n\n{details(found[-1])}\n"
    print(text)
    if arguments.out:
        arguments.out.with_suffix(".md").write_text(text)
        kept = [asdict(one) for one in found]
        arguments.out.with_suffix(".json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
