"""Does robust training help on Babel? Tables from the runs that `babel_runs.py` wrote.

    python benchmarks/babel_effect.py benchmarks/results/babel_runs.jsonl

Every choice (learning rate, sigma, radius) is made on the dev split of the dev language, as a
search makes it, on the seeds that all configurations share; the figures reported for the chosen
are from the test split, which chooses nothing, and from all its seeds.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from rxtune.data import find_task
from rxtune.report import paired_comparison
from rxtune.testbed import LANGUAGES, SOURCE, TARGETS

Key = tuple[str, ...]
Run = dict[str, Any]


def load(path: Path) -> dict[str, dict[int, Run]]:
    """Return configuration (as JSON) -> seed -> run."""
    runs: dict[str, dict[int, Run]] = defaultdict(dict)
    for record in map(json.loads, path.read_text().splitlines()):
        runs[json.dumps(record["configuration"], sort_keys=True)][record["seed"]] = record
    return runs


def held_out(accuracy: dict[str, float], dev: Sequence[str]) -> float:
    """Return the mean over the target languages that did not choose."""
    return mean(accuracy[language] for language in TARGETS if language not in dev)


def dev_score(run: Run, dev: Sequence[str]) -> float:
    """Return what a search would choose by."""
    return mean(run["curve"][-1][language] for language in dev)


def group_mean(accuracy: dict[str, float], group: str) -> float:
    """Return the mean over the languages of a group: near, middle or far."""
    return mean(accuracy[code] for code, lang in LANGUAGES.items() if lang.group == group)


def shared_seeds(runs: dict[str, dict[int, Run]]) -> set[int]:
    """Return the seeds that every configuration was trained with."""
    return set.intersection(*(set(by_seed) for by_seed in runs.values()))


def points(values: Iterable[float]) -> str:
    """Return mean ± standard deviation in points."""
    values = [100 * value for value in values]
    return f"{mean(values):.1f} ± {stdev(values):.1f}" if len(values) > 1 else f"{values[0]:.1f}"


def print_grid(runs: dict[str, dict[int, Run]], method: str, dev: Sequence[str]) -> None:
    """Print dev score and held-out mean (dev split) of every configuration of a method."""
    print(f"\n### {method}, dev split: dev score / held-out mean, mean over shared seeds\n")
    rows: dict[str, dict[float, str]] = defaultdict(dict)
    for key, by_seed in runs.items():
        configuration = json.loads(key)
        if configuration["method"] != method:
            continue
        strength = configuration.get("sigma", configuration.get("radius", 0.0))
        shared = [by_seed[seed] for seed in shared_seeds(runs)]
        scores = [dev_score(run, dev) for run in shared]
        others = [held_out(run["curve"][-1], dev) for run in shared]
        rows[f"{strength:g}"][configuration["learning_rate"]] = (
            f"{100 * mean(scores):.1f} / {100 * mean(others):.1f}"
        )
    rates = sorted({rate for row in rows.values() for rate in row})
    label = {"rs_rp": "sigma", "adv": "radius (K = 1)"}.get(method, "")
    print(f"| {label} | " + " | ".join(f"lr {rate:g}" for rate in rates) + " |")
    print("|---" * (len(rates) + 1) + "|")
    for strength in sorted(rows, key=float):
        cells = (rows[strength].get(rate, "–") for rate in rates)
        print(f"| {strength} | " + " | ".join(cells) + " |")


def choose(runs: dict[str, dict[int, Run]], method: str, dev: Sequence[str]) -> str:
    """Return the configuration of a method with the best dev score, mean over shared seeds."""
    shared = shared_seeds(runs)
    candidates = [key for key in runs if json.loads(key)["method"] == method]
    return max(
        candidates, key=lambda key: mean(dev_score(runs[key][seed], dev) for seed in shared)
    )


def chosen_values(key: str) -> str:
    """Return what was chosen, in words."""
    names = ("learning_rate", "sigma", "radius")
    return ", ".join(f"{n} {v:g}" for n, v in json.loads(key).items() if n in names)


def print_chosen(
    runs: dict[str, dict[int, Run]], chosen: dict[str, str], dev: Sequence[str]
) -> None:
    """Print the test accuracy per language of what each method chose."""
    print("\n### Chosen on the dev language; test split, mean ± standard deviation over seeds\n")
    print("| | " + " | ".join(chosen) + " |")
    print("|---" * (len(chosen) + 1) + "|")
    tests = {m: [run["test"] for _, run in sorted(runs[k].items())] for m, k in chosen.items()}
    print("| configuration | " + " | ".join(map(chosen_values, chosen.values())) + " |")
    for code in LANGUAGES:
        name = f"{code} ({LANGUAGES[code].group}{', dev' if code in dev else ''})"
        print(
            f"| {name} | "
            + " | ".join(points(t[code] for t in ts) for ts in tests.values())
            + " |"
        )
    for group in ("near", "middle", "far"):
        cells = (points(group_mean(t, group) for t in ts) for ts in tests.values())
        print(f"| mean of {group} | " + " | ".join(cells) + " |")
    cells = (points(mean(t[code] for code in TARGETS) for t in ts) for ts in tests.values())
    print("| target mean | " + " | ".join(cells) + " |")
    cells = (points(held_out(t, dev) for t in ts) for ts in tests.values())
    print("| **held-out mean** | " + " | ".join(cells) + " |")


def print_difference(
    runs: dict[str, dict[int, Run]], chosen: dict[str, str], dev: Sequence[str]
) -> None:
    """Print the paired differences to plain fine-tuning in the held-out mean, test split."""
    print("\n### Against plain fine-tuning, held-out mean on test, paired over seeds\n")
    plain = runs[chosen["standard"]]
    for method, key in chosen.items():
        if method == "standard":
            continue
        seeds = sorted(set(plain) & set(runs[key]))
        ours = [100 * held_out(runs[key][seed]["test"], dev) for seed in seeds]
        theirs = [100 * held_out(plain[seed]["test"], dev) for seed in seeds]
        c = paired_comparison(ours, theirs)
        print(
            f"- {method}: {c.mean_difference:+.1f} points (95 % CI {c.low:.1f} to {c.high:.1f},"
            f" p = {c.p:.2g}, {len(seeds)} seeds)"
        )


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--dev", nargs="+", default=list(find_task("babel").dev_languages))
    arguments = parser.parse_args()
    runs = load(arguments.runs)
    methods = sorted({json.loads(key)["method"] for key in runs}, reverse=True)
    seconds = [run["seconds"] for by_seed in runs.values() for run in by_seed.values()]
    print(f"{len(seconds)} runs; source {SOURCE}, dev language(s) {', '.join(arguments.dev)}")
    for method in methods:
        print_grid(runs, method, arguments.dev)
    chosen = {method: choose(runs, method, arguments.dev) for method in methods}
    print_chosen(runs, chosen, arguments.dev)
    if len(next(iter(runs.values()))) > 1:
        print_difference(runs, chosen, arguments.dev)


if __name__ == "__main__":
    main()
