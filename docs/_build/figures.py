"""Draws the figures of the documentation; numbers come from `benchmarks/results/`.

python docs/_build/figures.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

REPOSITORY = Path(__file__).parents[2]
RESULTS = REPOSITORY / "benchmarks" / "results"
FIGURES = REPOSITORY / "docs" / "figures"

# Okabe and Ito's palette, which colour-blind readers tell apart.
BLACK, BLUE, ORANGE, GREEN, GREY = "#000000", "#0072B2", "#D55E00", "#009E73", "#999999"
RADIUS, STEPS = 1.0, 3


def loss(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a made-up loss with a boundary on the upper right."""
    return np.log1p(np.exp(1.3 * (x + 0.7 * y + 0.25 * np.sin(1.5 * x) - 1.2)))


def ascent(start: np.ndarray) -> np.ndarray:
    """Return the points of PGD in the ball around `start`, (K + 1, 2)."""
    delta, path, h = np.zeros(2), [start], 1e-4
    for _ in range(STEPS):
        point = start + delta
        slope = np.array(
            [loss(point[0] + h, point[1]), loss(point[0], point[1] + h)]
        ) - loss(*point)
        delta = delta + 2 * RADIUS / STEPS * slope / np.linalg.norm(slope)
        delta *= min(1.0, RADIUS / np.linalg.norm(delta))
        path.append(start + delta)
    return np.array(path)


def draw_ground(axes: Axes, title: str) -> None:
    """Draw the loss, the embedding, and a translation that is near it."""
    grid = np.linspace(-2.3, 2.3, 40)
    x, y = np.meshgrid(grid, grid)
    axes.contourf(x, y, loss(x, y), levels=12, cmap="Greys", alpha=0.55)
    axes.contour(x, y, loss(x, y), levels=[np.log(2)], colors=BLACK, linestyles="--", linewidths=1)
    axes.plot(0, 0, "o", color=BLACK, zorder=5)
    axes.annotate("e", (0, 0), (5, -11), textcoords="offset points", fontsize=11, zorder=7)
    axes.plot(0.45, 0.75, "*", color=GREEN, markersize=11, zorder=6)
    axes.set(title=title, xticks=[], yticks=[], aspect="equal")


def draw_methods() -> None:
    """Draw what three methods do around one embedding."""
    figure, (noise, worst, both) = plt.subplots(1, 3, figsize=(9, 3.3), layout="constrained")
    draw = np.random.default_rng(3)
    draw_ground(noise, "rs_rp: noise")
    noise.scatter(*draw.normal(0, 0.6, (2, 40)), s=10, color=BLUE, label="draws of η")
    draw_ground(worst, f"adv: PGD, K = {STEPS}")
    draw_ground(both, "smooth_adv: PGD through noise")
    both.scatter(*draw.normal(0, 0.6, (2, 40)), s=8, color=BLUE, alpha=0.25)
    for axes, start in ((worst, np.zeros(2)), (both, np.array([-0.6, 0.35]))):
        path = ascent(start)
        axes.add_patch(plt.Circle(tuple(start), RADIUS, fill=False, color=ORANGE, linewidth=1.2))
        axes.plot(*path.T, "o-", color=ORANGE, markersize=4, linewidth=1.2)
        axes.annotate("δ*", tuple(path[-1]), (5, 2), textcoords="offset points", color=ORANGE)
    both.plot(-0.6, 0.35, "o", color=BLUE, zorder=6)
    both.annotate("e + η", (-0.6, 0.35), (-30, -13), textcoords="offset points", color=BLUE)
    handles = [
        plt.Line2D([], [], marker="o", linestyle="", color=BLACK, label="embedding e"),
        plt.Line2D([], [], marker="*", linestyle="", color=GREEN, markersize=10, label="translation"),
        plt.Line2D([], [], marker="o", linestyle="", color=BLUE, label="noise η"),
        plt.Line2D([], [], marker="o", color=ORANGE, label="PGD in its ball"),
        plt.Line2D([], [], linestyle="--", color=BLACK, label="decision boundary"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    save(figure, "methods")


def draw_stopping() -> None:
    """Draw curves of the testbed's grid, and what a rung after two evaluations keeps."""
    lines = (RESULTS / "babel_runs.jsonl").read_text(encoding="utf-8").splitlines()
    runs = [run for run in map(json.loads, lines) if run["seed"] == 0]
    curves = np.array([[100 * point["qaf"] for point in run["curve"]] for run in runs])
    bar = np.sort(curves[:, 1])[::-1][len(curves) // 3 - 1]
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for curve in sorted(curves, key=lambda curve: curve[1]):
        goes_on = curve[1] >= bar
        at = range(1, len(curve) + 1)
        if goes_on:
            axes.plot(at, curve, color=BLUE, linewidth=1.6)
        else:
            axes.plot(at[:2], curve[:2], color=GREY, linewidth=1.2)
            axes.plot(at[1:], curve[1:], ":", color=GREY, linewidth=1)
    axes.axvline(2, color=BLACK, linewidth=0.8)
    axes.set(xlabel="evaluation", ylabel="dev accuracy in qaf, %", xticks=range(1, 7))
    handles = [
        plt.Line2D([], [], color=BLUE, label="goes on"),
        plt.Line2D([], [], color=GREY, label="would be stopped at the rung"),
        plt.Line2D([], [], color=GREY, linestyle=":", label="what it would have reached"),
    ]
    axes.legend(handles=handles, frameon=False, fontsize=9, loc="lower right")
    save(figure, "stopping")


def draw_selection() -> None:
    """Draw how well each signal ranked the configurations, evaluation by evaluation."""
    text = (RESULTS / "babel_selection.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \((\w+)\) \|(.*)\|$", text, re.MULTILINE)
    figure, axes = plt.subplots(figsize=(7, 3.3), layout="constrained")
    styles = {"qaf": (BLUE, "o-"), "qag": (GREEN, "s-"), "eng": (ORANGE, "^--")}
    for code, kind, cells in rows:
        found = [[float(n) for n in re.findall(r"-?\d\.\d+", cell)] for cell in cells.split("|")]
        middle, low = np.array(found).T
        colour, style = styles[code]
        at = range(1, len(middle) + 1)
        axes.plot(at, middle, style, color=colour, label=f"{code} ({kind})")
        axes.fill_between(at, low, middle, color=colour, alpha=0.08)
    axes.set(xlabel="after this evaluation of 6", ylabel="rank correlation", ylim=(0, 1))
    axes.legend(title="dev accuracy in", frameon=False, fontsize=9, ncols=3, loc="lower right")
    axes.set_title("mean over five seeds; the shade reaches down to the lowest", fontsize=9)
    save(figure, "selection")


def save(figure: plt.Figure, name: str) -> None:
    """Write a figure, the same bytes every time."""
    FIGURES.mkdir(exist_ok=True)
    metadata = {"Date": None, "Creator": None}
    figure.savefig(FIGURES / f"{name}.svg", metadata=metadata)
    plt.close(figure)


def main() -> None:
    """Draw all of them."""
    style = {"svg.hashsalt": "rxtune", "axes.spines.top": False, "axes.spines.right": False}
    plt.rcParams.update(style)
    draw_methods()
    draw_stopping()
    draw_selection()


if __name__ == "__main__":
    main()
