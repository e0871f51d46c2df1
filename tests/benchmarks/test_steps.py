"""The benchmarks of single steps and of evaluation run, and print their tables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TINY = ["--layers", "2", "--width", "64", "--length", "6", "--batch-size", "2", "--rounds", "1"]


def printed(script: str, *flags: str) -> str:
    """Run a benchmark and return what it prints."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / f"{script}.py"), *flags],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(table: str, first: str) -> list[list[str]]:
    """Return the cells of the rows whose first cell is so."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    return [row for row in cells if row and row[0] == first]


@pytest.mark.slow_end_to_end
def test_the_cost_of_robustness_is_given_for_every_method_on_two_encoders() -> None:
    found = printed("robust_cost", *TINY, "--steps", "1")
    for method in ("plain", "rs_rp", "adv, K = 1", "adv, K = 2", "adv, K = 3", "adv, K = 5"):
        assert len(rows(found, method)) == 2, method
    assert [row[3] for row in rows(found, "adv, K = 3")] == ["3.00", "3.00"]


@pytest.mark.slow_end_to_end
def test_memory_of_ascent_is_within_an_embedding_tensor_per_pass() -> None:
    # Large enough that an embedding tensor outweighs masks and losses.
    found = printed("robust_cost", *TINY, "--steps", "1", "--batch-size", "8", "--length", "32")
    for method, passes in (("adv, K = 1", 2), ("adv, K = 3", 4)):
        for row in rows(found, method):
            assert float(row[-1].split()[0]) <= passes + 0.1


@pytest.mark.slow_end_to_end
def test_the_profile_of_a_step_adds_up() -> None:
    found = printed("step_profile", *TINY, "--steps", "1")
    assert len(rows(found, "rxtune")) == 3
    sections = found.split("| part | share |")[1:]
    assert len(sections) == 3
    for section in sections:
        lines = section.strip().split("\n\n")[0].splitlines()[1:]
        shares = [float(line.split("|")[2].strip(" %")) for line in lines]
        assert sum(shares) == pytest.approx(100, abs=15)


@pytest.mark.slow_end_to_end
def test_the_parts_of_a_trial_are_given_whole_and_stopped() -> None:
    found = printed("evaluation_share", "--repeats", "1", "--epochs", "0.05")
    whole, stopped = rows(found, "evaluations on the way")
    assert float(whole[1]) > float(stopped[1]) > 0
    assert [float(row[1]) for row in rows(found, "the model")][1] == 0
