"""The comparison with what one would build by hand: every contender at toy size, and the table."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
needs_accelerate = pytest.mark.skipif(
    importlib.util.find_spec("accelerate") is None,
    reason="needs benchmarks/peers/requirements.txt",
)


def compare(out: Path, *flags: str) -> list[dict[str, Any]]:
    """Run the comparison and return the runs that it has kept."""
    script = ROOT / "benchmarks" / "peers" / "compare.py"
    done = subprocess.run(
        [sys.executable, str(script), "--scenario", "toy", "--out", str(out), *flags],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (out / "peers.jsonl").read_text().splitlines()]


@pytest.mark.slow_end_to_end
@pytest.mark.thorough
@pytest.mark.parametrize(
    "contender",
    [
        "rxtune",
        "released_style",
        pytest.param("hyperparameter_search", marks=needs_accelerate),
        pytest.param("ray_tune_trainer", marks=needs_accelerate),
        pytest.param("ray_tune_trainer, actors reused", marks=needs_accelerate),
    ],
)
def test_a_contender_trains_every_point_and_answers_in_every_language(
    contender: str, tmp_path: Path
) -> None:
    (run,) = compare(tmp_path, "--repeats", "1", "--only", contender)
    assert len({(a["learning_rate"], a["sigma"]) for a in run["answers"]}) == 3
    finished = [a for a in run["answers"] if a["accuracy"]]
    assert finished, "the best trial of a rung is never stopped"
    for answer in finished:
        assert answer["updates"] == 6
        assert len(answer["curve"]) == 6
        assert len(answer["accuracy"]) == 8
        assert answer["accuracy"]["qaf"] == answer["curve"][-1]
    # `Trainer.hyperparameter_search` asks at the last evaluation as well, which is a rung, too.
    rungs = (2, 6) if contender == "hyperparameter_search" else (2,)
    for answer in run["answers"]:
        assert answer["accuracy"] or answer["updates"] in rungs, "stopped elsewhere than at a rung"
    assert 0 < run["startup"] < run["seconds"]


def kept(contender: str, seed: int, seconds: float, value: float = 0.5) -> str:
    """Return a line of `peers.jsonl`: two trials, none stopped."""
    accuracy = {"eng": 0.9, "qaf": value, "qaa": value, "qab": value}
    answer = {
        "learning_rate": 1e-3, "sigma": 0.0, "curve": [0.3, value], "updates": 6,
        "accuracy": accuracy, "began": 0.0,
    }  # fmt: skip
    run = {
        "scenario": "toy", "workers": 2, "contender": contender, "seed": seed,
        "seconds": seconds, "startup": 1.0, "answers": [answer, {**answer, "sigma": 0.1}],
    }  # fmt: skip
    return json.dumps(run)


def test_the_ratio_is_that_of_the_medians_and_a_repeated_run_counts_once(tmp_path: Path) -> None:
    lines = [
        kept("rxtune", 0, 999.0),
        *(kept("rxtune", seed, seconds) for seed, seconds in enumerate([10.0, 12.0, 50.0])),
        *(kept("released_style", seed, 36.0, 0.4) for seed in range(3)),
    ]
    (tmp_path / "peers.jsonl").write_text("\n".join(lines) + "\n")
    compare(tmp_path, "--repeats", "0")
    table = (tmp_path / "peers.md").read_text().splitlines()
    own = next(line.split(" | ") for line in table if line.startswith("| rxtune"))
    peer = next(line.split(" | ") for line in table if line.startswith("| released_style"))
    assert own[1:4] == ["600", "1.00", "12.0"]
    assert peer[1:4] == ["200", "3.00", "36.0"]
    assert peer[-1].startswith("-10.0 (-10.0 to -10.0)")
