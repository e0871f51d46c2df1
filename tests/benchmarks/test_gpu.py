"""The measurements on a GPU, at toy size on a CPU: the script runs, its figures mean nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow_end_to_end


def test_every_table_is_printed_with_figures() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--device", "cpu", "--toy"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    text = done.stdout
    for title in (
        "toy XLM-R-shaped",
        "toy BERT-shaped",
        "Where a plain",
        "torch.compile",
        "share",
    ):
        assert re.search(f"^## .*{title}", text, re.MULTILINE), title
    for row in ("plain", "rs_rp", "adv, K = 1", "adv, K = 3"):
        assert text.count(f"\n| {row} |") >= 4  # two encoders, two sizes
    assert text.count("\n| released style |") == 2
    assert "nan" not in text
