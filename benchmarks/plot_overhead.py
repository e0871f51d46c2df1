"""Draw where the seconds of a search go, as stacked bars.

python benchmarks/plot_overhead.py benchmarks/results/overhead.json benchmarks/results/overhead.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#56B4E9", "#E69F00", "#CC79A7", "#009E73", "#D55E00", "#F0E442", "#999999")
"""Okabe and Ito's, which colour-blind readers tell apart."""
SMALL = 0.3
"""Percent below which parts are drawn as one."""


def shares(one: dict[str, Any]) -> dict[str, float]:
    """Return the parts of the workers' time in percent, the small ones as one."""
    total = sum(one["parts"].values())
    percent = {name: 100 * seconds / total for name, seconds in one["parts"].items()}
    large = {name: share for name, share in percent.items() if share >= SMALL}
    rest = {"all else": sum(share for share in percent.values() if share < SMALL)}
    return dict(sorted(large.items(), key=lambda part: -part[1])) | rest


def command(one: dict[str, Any]) -> dict[str, float]:
    """Return the command's seconds: before, with and after its trials."""
    before, after = one["to_first_trial"], one["from_last_trial"]
    return {
        "start: Ray, imports, data": before,
        "trials": one["wall"] - before - after,
        "end: model, MLflow, Ray": after,
    }


def draw(axes: Axes, parts: dict[str, float], title: str, unit: str) -> None:
    """Draw one bar."""
    left = 0.0
    for (name, size), colour in zip(parts.items(), COLOURS, strict=False):
        axes.barh(0, size, left=left, color=colour, label=f"{name}: {size:.1f} {unit}")
        left += size
    axes.set(title=title, yticks=[], xlim=(0, left))
    axes.title.set_size(10)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.55), ncols=4, fontsize=8, frameon=False
    )
    axes.spines[["top", "right", "left"]].set_visible(False)


def main() -> None:
    """Draw the run whose wall time is the median."""
    source, target = map(Path, sys.argv[1:3])
    runs = sorted(json.loads(source.read_text()), key=lambda one: one["wall"])
    one = runs[len(runs) // 2]
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(8, 4))
    figure.subplots_adjust(left=0.03, right=0.97, top=0.92, bottom=0.25, hspace=1.6)
    draw(top, command(one), f"The command: {one['wall']:.0f} s, {one['trials']} trials", "s")
    draw(bottom, shares(one), f"{one['workers']} workers while trials run, % of their time", "%")
    plt.rcParams["svg.hashsalt"] = "rxtune"
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main()
