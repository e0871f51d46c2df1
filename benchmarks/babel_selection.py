"""Which signal ranks trials best, and how early? Decides the default dev language and first rung.

    python benchmarks/babel_selection.py benchmarks/results/babel_runs.jsonl

For the source, the low-resource languages and every evaluation: the Spearman correlation, over
configurations and within one seed, between accuracy in that language (dev split) and the final
mean over all *other* target languages (dev split). Mean over seeds. The test split is not read.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean

from babel_effect import load, shared_seeds

from rxtune.report import spearman
from rxtune.testbed import LANGUAGES, TARGETS


def correlation(
    runs: dict[str, dict[int, dict]], seed: int, language: str, evaluation: int
) -> float:
    """Return how well a signal ranks the configurations of one seed."""
    members = [by_seed[seed] for by_seed in runs.values() if seed in by_seed]
    others = [code for code in TARGETS if code != language]
    signal = [run["curve"][evaluation][language] for run in members]
    final = [mean(run["curve"][-1][code] for code in others) for run in members]
    return spearman(signal, final)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    arguments = parser.parse_args()
    runs = load(arguments.runs)
    # Of some configurations there are more seeds; a ranking needs all configurations.
    seeds = sorted(shared_seeds(runs))
    curve = next(iter(next(iter(runs.values())).values()))["curve"]
    evaluations = len(curve)
    print(f"Spearman correlation with the final target mean, {len(runs)} configurations,")
    print(f"{len(seeds)} seeds: mean (lowest over seeds)\n")
    print(
        "| signal | "
        + " | ".join(f"after {k + 1}/{evaluations}" for k in range(evaluations))
        + " |"
    )
    print("|---" * (evaluations + 1) + "|")
    for code in curve[0]:
        cells = []
        for evaluation in range(evaluations):
            values = [correlation(runs, seed, code, evaluation) for seed in seeds]
            cells.append(f"{mean(values):.2f} ({min(values):.2f})")
        print(f"| {code} ({LANGUAGES[code].group}) | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
