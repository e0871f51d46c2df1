"""Draws the README's figure from the runs that `babel_runs.py` wrote.

python benchmarks/plot_effect.py benchmarks/results/babel_runs.jsonl docs/effect.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean, stdev

import matplotlib.pyplot as plt
from babel_effect import choose, held_out, load, shared_seeds
from matplotlib.axes import Axes

from rxtune.data import find_task
from rxtune.testbed import LANGUAGES

# Okabe and Ito's palette, which colour-blind readers tell apart.
PLAIN, ROBUST, SMOOTH = "#000000", "#0072B2", "#D55E00"


def spread(values: list[float]) -> tuple[float, float]:
    """Return mean and standard deviation in points."""
    return 100 * mean(values), 100 * (stdev(values) if len(values) > 1 else 0.0)


def draw_languages(axes: Axes, chosen: dict[str, dict[int, dict]]) -> None:
    """Draw test accuracy per language, the most distant on the right."""
    for runs, colour, label, shift in (
        (chosen["standard"], PLAIN, "plain fine-tuning", -0.14),
        (chosen["rs_rp"], ROBUST, "random perturbation (rs_rp)", 0.0),
        (chosen["smooth_adv"], SMOOTH, "PGD through noise (smooth_adv)", 0.14),
    ):
        points = [spread([run["test"][code] for run in runs.values()]) for code in LANGUAGES]
        axes.errorbar(
            [position + shift for position in range(len(LANGUAGES))],
            [point[0] for point in points],
            yerr=[point[1] for point in points],
            fmt="o", color=colour, label=label, capsize=3,
        )  # fmt: skip
    axes.axhline(100 / 3, color="grey", linewidth=0.8, linestyle=":")
    axes.text(0, 34.2, "chance", color="grey", fontsize=8)
    axes.set_xticks(range(len(LANGUAGES)), [f"{c}\n{lang.group}" for c, lang in LANGUAGES.items()])
    axes.set_ylabel("test accuracy, %")
    axes.set_title("Zero-shot accuracy falls with distance", fontsize=10)
    axes.legend(frameon=False, fontsize=8)


def draw_sigma(axes: Axes, runs: dict[str, dict[int, dict]], rate: float, dev: list[str]) -> None:
    """Draw the held-out mean against sigma at one learning rate."""
    points: dict[float, list[float]] = {}
    for key, by_seed in runs.items():
        configuration = json.loads(key)
        if configuration["method"] in ("standard", "rs_rp") and (
            configuration["learning_rate"] == rate
        ):
            scores = [held_out(by_seed[seed]["test"], dev) for seed in shared_seeds(runs)]
            points[configuration.get("sigma", 0.0)] = scores
    strengths = sorted(points)
    values = [spread(points[sigma]) for sigma in strengths]
    axes.errorbar(
        strengths, [v[0] for v in values], yerr=[v[1] for v in values],
        fmt="o-", color=ROBUST, capsize=3,
    )  # fmt: skip
    axes.set_xlabel("relative sigma (0: plain fine-tuning)")
    axes.set_ylabel("held-out target mean, %")
    axes.set_title("How much noise? That must be searched", fontsize=10)


def main() -> None:
    """Draw both panels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    runs, dev = load(arguments.runs), list(find_task("babel").dev_languages)
    chosen = {m: choose(runs, m, dev) for m in ("standard", "rs_rp", "smooth_adv")}
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), width_ratios=(3, 2))
    draw_languages(left, {method: runs[key] for method, key in chosen.items()})
    draw_sigma(right, runs, json.loads(chosen["standard"])["learning_rate"], dev)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.out, dpi=130)


if __name__ == "__main__":
    main()
