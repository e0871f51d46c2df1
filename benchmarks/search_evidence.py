"""Is a search with TPE and ASHA better than random search at equal compute? Real runs on Babel.

    python benchmarks/search_evidence.py run --out evidence       # hours of one core; resumable
    python benchmarks/search_evidence.py report --out evidence

Every arm spends the same number of forward passes on the space of `search_spaces/rs.yaml`, with
one worker, through the decisions of rxtune itself: proposals, rungs and stops. The trainings are
real; one that two arms of a seed both ask for is made once. What each arm found best is retrained
on fresh seeds and tested once. Nothing here measures time, so other work beside it does no harm.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

from rxtune.config import Configuration, Study, load_study
from rxtune.config.canonical import canonical

SPACE = Path(__file__).parents[1] / "search_spaces" / "rs.yaml"
ARMS = {
    "random": {"search.sampler": "random", "stopping": "none"},
    "TPE": {"search.sampler": "tpe", "stopping": "none"},
    "TPE + ASHA": {"search.sampler": "tpe", "stopping": "asha"},
}
BUDGET = 16.0
"""In full trainings of plain fine-tuning: a little less than a default search of 24 trials."""
MOST_TRIALS = 400


class _Cut(Exception):
    """Ends a training whose search does not want more of it."""


def study_of(arm: str, seed: int) -> Study:
    """Return the study of an arm."""
    return load_study(SPACE, {**ARMS[arm], "search.seed": seed, "search.trials": MOST_TRIALS})


class Trainings:
    """The trainings of one seed on disk: a search asks again for what another one has made."""

    def __init__(self, path: Path, workload: Any) -> None:
        self._path, self._workload = path, workload
        lines = path.read_text().splitlines() if path.exists() else []
        self._known = {json.dumps(r["configuration"]): r for r in map(json.loads, lines)}

    def evaluations(self, configuration: Configuration, decide: Any) -> dict[str, Any]:
        """Train, or look up, as far as `decide` (called with each evaluation) returns False."""
        from rxtune.results import Evaluation

        key = json.dumps(canonical(configuration).to_json())
        record = self._known.get(key, {"evaluations": [], "zero_shot": None})
        for number, told in enumerate(record["evaluations"], start=1):
            is_last = number == len(record["evaluations"])
            if decide(Evaluation.from_json(told)):
                return {**record, "zero_shot": None}
            if is_last and record["zero_shot"] is not None:
                return record
        return self._train(configuration, key, decide, known=len(record["evaluations"]))

    def _train(
        self, configuration: Configuration, key: str, decide: Any, known: int
    ) -> dict[str, Any]:
        told: list[Any] = []

        def listen(evaluation: Any) -> None:
            told.append(evaluation.to_json())
            if evaluation.number > known and decide(evaluation):
                raise _Cut

        try:
            zero_shot = train(self._workload, configuration, listen).to_json()
        except _Cut:
            zero_shot = None
        record = {"configuration": json.loads(key), "evaluations": told, "zero_shot": zero_shot}
        with self._path.open("a") as out:
            out.write(json.dumps(record) + "\n")
        self._known[key] = record
        return record


def train(workload: Any, configuration: Configuration, listen: Any, split: str = "dev") -> Any:
    """Train a configuration as a trial does, and return its result in every language."""
    import torch

    from rxtune.search.trial import evaluate_all
    from rxtune.train import fine_tune

    torch.set_num_threads(1)
    settings = workload.settings(configuration, "cpu")
    model = workload.model(settings.seed)
    fine_tune(
        model,
        workload.training_data(configuration),
        workload.evaluated if split == "dev" else {},
        settings,
        pad_id=workload.pad_id,
        on_evaluation=listen,
        objectives=workload.objectives if split == "dev" else lambda scores, cost: (0.0,),
    )
    return evaluate_all(model, workload, workload.dev, split=split)[0]


def prepared(study: Study) -> Any:
    """Return what all trials of a study share."""
    from rxtune.data import find_task
    from rxtune.search.encoders import find_encoder
    from rxtune.search.workload import prepare

    task = find_task("babel")
    return prepare(study, task, task.dev_languages, find_encoder(task.default_model))


def search(arm: str, seed: int, budget: float, folder: Path) -> dict[str, Any]:
    """Run one arm's search until it has spent its budget; return its course and its winner."""
    from rxtune.search.decisions import SearchStudy

    study = study_of(arm, seed)
    workload = prepared(study)
    plain = 3.0 * workload.train.num_rows * workload.epochs
    trainings = Trainings(folder / f"trainings-{seed}.jsonl", workload)
    spent, course = 0.0, []
    with TemporaryDirectory() as place, SearchStudy.create(Path(place) / "j.log", study) as found:
        while spent < budget * plain:
            record = found.ask()
            assert record is not None
            number, before, cut = record.number, spent, False

            def decide(evaluation: Any, number: int = number, before: float = before) -> bool:
                nonlocal spent, cut
                spent = before + evaluation.forward_equivalents
                if found.report(number, evaluation):
                    return True
                cut = spent >= budget * plain and evaluation.number < study.stopping.evaluations
                return cut

            made = trainings.evaluations(record.configuration, decide)
            if cut:
                break
            if made["zero_shot"] is not None:
                from rxtune.results import ZeroShot

                found.finish(number, ZeroShot.from_json(made["zero_shot"]))
            best = found.best()
            course.append({"spent": spent / plain, "best": best and best.value})
        best = found.best()
        assert best is not None
        assert best.zero_shot is not None
        records = found.records()
    return {
        "arm": arm, "seed": seed, "budget": budget, "trials": len(records),
        "stopped": sum(r.state == "stopped" for r in records), "course": course,
        "baseline": records[0].value, "winner": best.configuration.to_json(),
        "dev": best.value, "held_out_dev": best.zero_shot.held_out_mean,
    }  # fmt: skip


def confirm(configuration: Configuration, seed: int, fresh: int) -> dict[str, Any]:
    """Retrain a configuration on a fresh seed and test it once."""
    from rxtune.data import find_task
    from rxtune.search.confirmation import fresh_seeds
    from rxtune.search.encoders import find_encoder
    from rxtune.search.workload import prepare_test

    study = study_of("random", seed)
    task = find_task("babel")
    test, _ = prepare_test(study, task, find_encoder(task.default_model))
    chosen = fresh_seeds(seed, fresh + 1)[fresh]
    workload = replace(prepared(study), seed=chosen, evaluations=1, dev=test, mixed=None)
    result = train(workload, configuration, lambda evaluation: None, split="test")
    return {
        "configuration": canonical(configuration).to_json(), "seed": seed, "fresh": fresh,
        "held_out": result.held_out_mean, "target": result.target_mean,
    }  # fmt: skip


def _arms(seed: int, budget: float, folder: Path, done: set[tuple[str, int]]) -> Iterator[Any]:
    """Yield the searches of a seed; the unstopped ones come first, the others look up a lot."""
    for arm in ARMS:
        if (arm, seed) not in done:
            yield search(arm, seed, budget, folder)


def one_seed(seed: int, budget: float, folder: Path, fresh: int) -> None:
    """Make all searches of a seed and confirm what they found."""
    path = folder / f"searches-{seed}.jsonl"
    done = {(r["arm"], r["seed"]) for r in read(path)}
    with path.open("a") as out:
        for record in _arms(seed, budget, folder, done):
            out.write(json.dumps(record) + "\n")
            out.flush()
    tests = folder / f"tests-{seed}.jsonl"
    tested = {(json.dumps(r["configuration"]), r["fresh"]) for r in read(tests)}
    wanted = [Configuration(), *(Configuration.from_json(r["winner"]) for r in read(path))]
    with tests.open("a") as out:
        for configuration in dict.fromkeys(map(canonical, wanted)):
            for index in range(fresh):
                if (json.dumps(configuration.to_json()), index) not in tested:
                    out.write(json.dumps(confirm(configuration, seed, index)) + "\n")
                    out.flush()


def read(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file, none if there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def report(folder: Path) -> None:
    """Print the table of the arms, and each arm against random search, by search seed."""
    searches = [r for path in sorted(folder.glob("searches-*.jsonl")) for r in read(path)]
    tests = [r for path in sorted(folder.glob("tests-*.jsonl")) for r in read(path)]
    held_out: dict[tuple[int, str], list[float]] = {}
    for test in tests:
        key = (test["seed"], json.dumps(test["configuration"]))
        held_out.setdefault(key, []).append(test["held_out"])
    seeds = sorted({r["seed"] for r in searches})
    print(f"{len(seeds)} search seeds, {searches[0]['budget']:g} plain trainings each\n")
    print("| | trials | stopped | best dev score | confirmed held-out mean | compute to 95 % |")
    print("|---|---|---|---|---|---|")
    confirmed: dict[str, dict[int, float]] = {}
    for arm in ARMS:
        rows = [r for r in searches if r["arm"] == arm]
        confirmed[arm] = {
            r["seed"]: mean(held_out[r["seed"], json.dumps(_simple(r["winner"]))]) for r in rows
        }
        print(
            f"| {arm} | {mean(r['trials'] for r in rows):.1f} |"
            f" {mean(r['stopped'] for r in rows):.1f} | {_points([r['dev'] for r in rows])} |"
            f" {_points(list(confirmed[arm].values()))} | {_cost([_to_95(r) for r in rows])} |"
        )
    plain = [mean(held_out[s, json.dumps(canonical(Configuration()).to_json())]) for s in seeds]
    print(f"| default plain | | | | {_points(plain)} | |")
    _compare(confirmed, dict(zip(seeds, plain, strict=True)))


def _compare(confirmed: dict[str, dict[int, float]], plain: dict[int, float]) -> None:
    from rxtune.report import paired_comparison

    print("\nConfirmed held-out mean, paired by search seed (t test over seeds):\n")
    pairs = [("TPE + ASHA", "random"), ("TPE + ASHA", "TPE"), ("TPE", "random")]
    for a, b in pairs:
        _line(a, confirmed[a], b, confirmed[b], paired_comparison)
    for arm, values in confirmed.items():
        _line(arm, values, "default plain", plain, paired_comparison)


def _line(a: str, first: dict[int, float], b: str, second: dict[int, float], test: Any) -> None:
    seeds = sorted(first)
    found = test([100 * first[s] for s in seeds], [100 * second[s] for s in seeds])
    print(
        f"- {a} − {b}: {found.mean_difference:+.1f} points"
        f" ({found.low:+.1f} to {found.high:+.1f}), p = {found.p:.2g}"
    )


def _to_95(record: dict[str, Any]) -> float:
    """Return the compute after which a search had 95 % of its final gain in dev score."""
    base, course = record["baseline"], record["course"]
    wanted = base + 0.95 * (record["dev"] - base)
    return next(p["spent"] for p in course if p["best"] is not None and p["best"] >= wanted)


def _simple(configuration: dict[str, Any]) -> dict[str, Any]:
    return canonical(Configuration.from_json(configuration)).to_json()


def _points(values: list[float]) -> str:
    return _cost([100 * value for value in values])


def _cost(values: list[float]) -> str:
    return f"{mean(values):.1f} ± {stdev(values):.1f}"


def main() -> None:
    """Run what is missing, a seed per process, or report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "report"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(6)))
    parser.add_argument("--budget", type=float, default=BUDGET, help="in plain trainings")
    parser.add_argument("--fresh", type=int, default=4, help="fresh seeds per winner")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if given.what == "report":
        report(given.out)
        return
    given.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        pending = [
            pool.submit(one_seed, seed, given.budget, given.out, given.fresh)
            for seed in given.seeds
        ]
        for count, future in enumerate(as_completed(pending), start=1):
            future.result()
            print(f"{count} of {len(pending)} seeds")


if __name__ == "__main__":
    main()
