"""Studies and simulated runs, and what a report reads of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rxtune.config import Configuration, Study, load_study
from rxtune.report.page import Findings
from tests.report.page.simulated import Simulated, findings_of

SPACE = """\
space:
  method: {choice: [standard, rs_rp, adv, smooth_adv]}
  sigma: {log_uniform: [0.1, 3.0]}
  radius: {log_uniform: [0.003, 0.3]}
  pgd_steps: {int: [1, 3]}
  learning_rate: {log_uniform: [0.3, 3.0]}
search: {trials: 24}
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Study]:
    """Return a function that loads a study with other settings, by dotted key."""

    def make(overrides: Mapping[str, Any] | None = None, space: str = SPACE) -> Study:
        path = tmp_path / "space.yaml"
        path.write_text(space, encoding="utf-8")
        return load_study(path, overrides)

    return make


@pytest.fixture
def simulated(tmp_path: Path, load: Callable[..., Study]) -> Callable[..., Simulated]:
    """Return a function that begins a run; keyword arguments as `Simulated` has them."""

    def begin(overrides: Mapping[str, Any] | None = None, **changes: Any) -> Simulated:
        study = changes.pop("study", None) or load(overrides)
        return Simulated(tmp_path / "runs", study, **changes)

    return begin


@pytest.fixture
def found(simulated: Callable[..., Simulated]) -> Callable[..., Findings]:
    """Return a function that simulates so many trials and returns what a report reads."""

    def run(trials: int, overrides: Mapping[str, Any] | None = None, **changes: Any) -> Findings:
        ends = {name: changes.pop(name) for name in ("failed", "running") if name in changes}
        search = simulated(overrides, **changes)
        search.run(trials, **ends)
        return findings_of(search)

    return run


@pytest.fixture
def confirmed(simulated: Callable[..., Simulated]) -> Callable[..., Findings]:
    """Return a function that simulates a search of twelve trials and its confirmation."""

    def confirm(mixed: bool = False, **changes: Any) -> Findings:
        search = simulated(mixed=mixed)
        search.run(12)
        best = findings_of(search).summary.best_robust
        assert best is not None
        search.confirm(
            {
                ("robust",): (best.number, best.configuration),
                ("best plain", "default plain"): (0, Configuration()),
            },
            **changes,
        )
        return findings_of(search)

    return confirm


@pytest.fixture
def own_task(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes a task of one's own, in such languages, and its path."""

    def write(source: str, *targets: str, dev: str | None = None, items: int = 20) -> str:
        lines = [
            "labels: [a, b]",
            f"source_language: {source!r}",
            f"target_languages: {[*targets]}",
            f"dev_languages: {[dev] if dev else []}",
            "files:",
        ]
        for split in ("train", "dev", "test"):
            lines.append(f"  {split}:")
            for place, name in enumerate((source, *targets) if split != "train" else (source,)):
                rows = [f"{split} {name} {n}\t{'ab'[n % 2]}\n" for n in range(items)]
                file = tmp_path / f"{split}-{place}.tsv"
                file.write_text("".join(["text\tlabel\n", *rows]), encoding="utf-8")
                lines.append(f"    {name!r}: {file.name}")
        path = tmp_path / "own.yaml"
        path.write_text("\n".join(lines), encoding="utf-8")
        return str(path)

    return write
