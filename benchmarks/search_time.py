"""How long do the default search and one plain trial take? On an otherwise idle machine.

    python benchmarks/search_time.py --repeats 3

Every search is the README's main command in an empty folder; the trial is a full-length plain one
on one core, with its evaluations, checkpoints and model (reading the data not counted).
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from rxtune.config import Configuration, load_study
from rxtune.data import find_task
from rxtune.search.trial import train_and_evaluate
from rxtune.search.workload import prepare
from rxtune.testbed import encoder_folder
from rxtune.track import versions

SPACE = Path(__file__).parents[1] / "search_spaces" / "rs.yaml"


def time_search() -> float:
    """Return the wall time of the default search in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [sys.executable, "-m", "rxtune", "search", "--space", str(SPACE)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - began
        if done.returncode:
            sys.exit(done.stderr)
        print(
            f"search: {seconds:.1f} s", [x for x in done.stdout.splitlines() if "trials in" in x]
        )
        return seconds


def time_trial() -> float:
    """Return the seconds that a plain trial takes on one core, as a worker runs it."""
    study, task = load_study(SPACE), find_task("babel")
    workload = prepare(study, task, task.dev_languages, encoder_folder())
    with tempfile.TemporaryDirectory() as folder:
        config = {
            "configuration": Configuration().to_json(), "folder": folder,
            "threads": 1, "device": "cpu",
        }  # fmt: skip
        began = time.perf_counter()
        train_and_evaluate(config, workload, lambda evaluation: None)
        return time.perf_counter() - began


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{processor()}, {os.cpu_count()} cores;", versions())
    trials = [time_trial() for _ in range(3)]
    print(f"one plain trial on one core: {shown(trials)}")
    searches = [time_search() for _ in range(arguments.repeats)]
    print(f"default search: {shown(searches)}")


def shown(seconds: list[float]) -> str:
    """Return median and all values."""
    return f"median {median(seconds):.1f} s of {[round(value, 1) for value in seconds]}"


if __name__ == "__main__":
    main()
