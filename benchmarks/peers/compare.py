"""How many trials an hour, against what one would build by hand? On an otherwise idle machine.

    pip install -r benchmarks/peers/requirements.txt
    python benchmarks/peers/compare.py --repeats 3

Every contender trains the same points on Babel: the same encoder, updates, batch size, number of
evaluations and workers, a thread each, in an empty folder and with an empty cache. A repeat runs
all of them once, in another order and on another seed. Writes `peers.jsonl`, a run per line, and
`peers.md`; a run that is made again replaces the earlier one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import yaml
from job import ANSWERS, Answer, Job, Point
from tables import report

from rxtune.config import Configuration, Study, load_study
from rxtune.data import find_task
from rxtune.data.order import count_updates
from rxtune.search.decisions import SearchStudy
from rxtune.search.run_folder import RunFolder
from rxtune.search.workload import Workload, prepare
from rxtune.testbed import encoder_folder

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results"
CONTENDERS: Mapping[str, tuple[str, ...]] = {
    "rxtune": (),
    "ray_tune_trainer": ("ray_tune_trainer.py",),
    "ray_tune_trainer, actors reused": ("ray_tune_trainer.py", "--reuse-actors"),
    "hyperparameter_search": ("hyperparameter_search.py",),
    "released_style": ("released_style.py",),
}
"""Name -> script beside this file, and its flags; rxtune is run by its own command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """How long trials are, how many there are, and whether weak ones are stopped."""

    trials: int
    updates: int
    stops: bool


SCENARIOS = {
    "short": Scenario(trials=16, updates=188, stops=True),  # 6,000 examples in batches of 32
    "full": Scenario(trials=4, updates=940, stops=False),  # 30,000
    "toy": Scenario(trials=3, updates=6, stops=True),
}
SPACE = {
    "method": {"choice": ["standard", "rs_rp"]},
    "sigma": {"log_uniform": [0.1, 3.0], "when": {"method": ["rs_rp"]}},
    "learning_rate": {"log_uniform": [0.3, 3.0]},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One contender's search."""

    scenario: str
    workers: int
    contender: str
    seed: int
    seconds: float
    """From the command to its end."""
    startup: float
    """Until the first trial began."""
    answers: tuple[Answer, ...]

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """Return the run that a line of `peers.jsonl` holds."""
        answers = tuple(Answer.of(answer) for answer in record["answers"])
        return cls(**{**record, "answers": answers})


def draw(trials: int) -> list[dict[str, Any]]:
    """Return the points after the baseline, in relative units; the same at every call."""
    draws = np.random.default_rng(0)
    points = []
    for number in range(1, trials):
        point: dict[str, Any] = {"method": "rs_rp" if number % 2 else "standard"}
        point["learning_rate"] = round(float(np.exp(draws.uniform(*np.log([0.3, 1.5])))), 3)
        if number % 2:
            point["sigma"] = round(float(np.exp(draws.uniform(*np.log([0.3, 1.7])))), 3)
        points.append(point)
    return points


def study_text(scenario: Scenario, seed: int) -> str:
    """Return the study file of rxtune's search."""
    asha = {"asha": {"evaluations": Job.evaluations, "first_rung": Job.first_rung}}
    examples = find_task("babel").read("eng", "train").num_rows
    epoch = count_updates(examples, batch_size=Job.batch_size, epochs=1)
    study = {
        "space": SPACE,
        "search": {
            "sampler": "random",
            "trials": scenario.trials,
            "seed": seed,
            "points": draw(scenario.trials),
        },
        "stopping": asha if scenario.stops else "none",
        "train": {"epochs": scenario.updates / epoch, "batch_size": Job.batch_size},
    }
    return yaml.safe_dump(study)


@cache
def job_of(scenario: Scenario, workers: int, seed: int) -> Job:
    """Return the same search for the peers, in absolute units."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.yaml"
        file.write_text(study_text(scenario, seed))
        study = load_study(file)
    workload = workload_of(study)
    first, *others = (workload.absolute(each) for each in study.start_points())
    return Job(
        points=tuple(Point(**values) for values in (first, *others)),
        encoder=str(encoder_folder()),
        updates=workload.settings(Configuration(), "cpu").updates_of(workload.train.num_rows),
        stops=scenario.stops,
        workers=workers,
        seed=seed,
    )


def workload_of(study: Study) -> Workload:
    """Return what rxtune's trials share."""
    task = find_task("babel")
    return prepare(study, task, task.dev_languages, encoder_folder())


def measure(contender: str, name: str, workers: int, seed: int) -> Run:
    """Run a contender in an empty folder."""
    job = job_of(SCENARIOS[name], workers, seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "study.yaml").write_text(study_text(SCENARIOS[name], seed))
        job.write(folder / "job.json")
        began, clock = time.time(), time.perf_counter()
        done = subprocess.run(
            command(contender, workers), cwd=folder, env=surroundings(folder),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        seconds = time.perf_counter() - clock
        if done.returncode:
            sys.exit(f"{contender}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        answers = tuple(read_answers(contender, folder))
    require_points(contender, answers, job)
    return Run(
        scenario=name,
        workers=workers,
        contender=contender,
        seed=seed,
        seconds=seconds,
        startup=min(answer.began for answer in answers) - began,
        answers=answers,
    )


def command(contender: str, workers: int) -> list[str]:
    """Return the command line of a contender."""
    if contender == "rxtune":
        search = ["search", "--space", "study.yaml", "--name", "peers"]
        return [sys.executable, "-m", "rxtune", *search, "--workers", str(workers)]
    script, *flags = CONTENDERS[contender]
    return [sys.executable, str(HERE / script), "job.json", *flags]


def surroundings(folder: Path) -> dict[str, str]:
    """Return an environment of one thread per process, without network, with empty caches."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "hf"),
        "RXTUNE_CACHE": str(folder / "cache"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def read_answers(contender: str, folder: Path) -> Iterator[Answer]:
    """Yield what became of the trials."""
    if contender != "rxtune":
        yield from map(Answer.of, json.loads((folder / ANSWERS).read_text()))
        return
    with SearchStudy.open(RunFolder.existing(folder / "runs", "peers").journal) as found:
        records = found.records()
    for record in records:
        last = record.evaluations[-1]
        yield Answer(
            learning_rate=record.absolute["learning_rate"],
            sigma=record.absolute.get("sigma", 0.0),
            curve=tuple(evaluation.value for evaluation in record.evaluations),
            updates=last.updates,
            accuracy=dict(record.zero_shot.accuracy) if record.zero_shot else {},
            began=record.evaluations[0].time - record.evaluations[0].seconds,
        )


def require_points(contender: str, answers: tuple[Answer, ...], job: Job) -> None:
    """Refuse a run that has trained something else than the job's points."""
    trained = sorted((answer.learning_rate, answer.sigma) for answer in answers)
    asked = sorted((point.learning_rate, point.sigma) for point in job.points)
    if not np.allclose(trained, asked, rtol=1e-9, atol=0):
        sys.exit(f"{contender}: trained {trained}, asked for {asked}")


def read_runs(file: Path) -> list[Run]:
    """Return the runs of a file, of equal ones the last."""
    lines = file.read_text().splitlines() if file.exists() else []
    runs = [Run.of(json.loads(line)) for line in lines]
    return list({(r.scenario, r.workers, r.contender, r.seed): r for r in runs}.values())


def main() -> None:
    """Measure, keep and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="0: only write the tables")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--scenario", nargs="+", choices=SCENARIOS, default=["short", "full"])
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of peers.jsonl and .md")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    kept = given.out / "peers.jsonl"
    for seed in range(given.first_seed, given.first_seed + given.repeats):
        start = seed % len(given.only)
        for name in given.scenario:
            for contender in given.only[start:] + given.only[:start]:
                run = measure(contender, name, given.workers, seed)
                print(f"{name} {contender}, seed {seed}: {run.seconds:.1f} s", flush=True)
                with kept.open("a") as out:
                    out.write(json.dumps(asdict(run)) + "\n")
    (given.out / "peers.md").write_text(report(read_runs(kept)))


if __name__ == "__main__":
    main()
