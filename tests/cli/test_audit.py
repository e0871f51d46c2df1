"""`rxtune audit`: the table, the file, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rxtune import api
from rxtune.config import Configuration, load_study
from rxtune.results import ZeroShot
from rxtune.search.decisions import SearchStudy
from rxtune.search.run_folder import RunFolder, RunPlaces

Run = Callable[..., Any]


@pytest.fixture
def search(folder: Path, record: Callable[..., Any]) -> Callable[..., Path]:
    """Return a function that leaves a search with so many trials that ran to their end."""

    def leave(trials: int, dev: tuple[str, ...] = ("qaf",)) -> Path:
        study = load_study(folder / "space.yaml", {"stopping": "none"})
        run = RunFolder.new(folder / "runs", "rs")
        run.create(study.to_yaml(), RunPlaces(search_id="x", tracking_uri="", storage=""))
        with SearchStudy.create(run.journal, study, sync=lambda _: None) as decisions:
            for number in range(trials):
                trial = decisions.ask()
                assert trial is not None
                assert trial.number == number
                share = number / 10
                scores = {"eng": 0.9 - share, "qaf": share, "qaa": share, "qab": share}
                decisions.report(number, record(number, "running", share).evaluations[0])
                decisions.finish(
                    number, ZeroShot(accuracy=scores, source_language="eng", dev_languages=dev)
                )
        return run.journal

    return leave


def test_the_table_ranks_every_signal_and_leaves_the_journal_as_it_was(
    rxtune: Run, search: Callable[..., Path], folder: Path
) -> None:
    journal = search(5)
    before = journal.read_bytes()
    ended = rxtune("audit", "rs")
    assert ended.code == 0, ended.errors
    rows = {line.split("  ")[0].strip(): line for line in ended.output.splitlines()}
    assert "−1.00" in rows["eng (source)"]
    assert " 1.00" in rows["qaf (dev) *"]
    assert "it has chosen nothing" in ended.output
    assert journal.read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["encoder", "runs", "space.yaml"]


def test_the_table_is_written_to_a_file_as_well(
    rxtune: Run, search: Callable[..., Path], folder: Path
) -> None:
    search(4)
    assert rxtune("audit", "rs", "--csv", "audit.csv").code == 0
    lines = (folder / "audit.csv").read_text().splitlines()
    assert lines[0].startswith("signal,has_chosen,trials,correlation,low,high,regret,chosen_trial")
    assert lines[3].startswith("qaf (dev),true,4,1.000000,")


def test_a_file_that_cannot_be_written_is_refused(
    rxtune: Run, search: Callable[..., Path]
) -> None:
    search(4)
    ended = rxtune("audit", "rs", "--csv", "nowhere/audit.csv")
    assert ended.code == 2
    assert "--csv: nowhere/audit.csv must be a file that can be written" in ended.errors


def test_a_search_that_runs_can_be_audited(
    rxtune: Run, search: Callable[..., Path], folder: Path
) -> None:
    with SearchStudy.open(search(4), sync=lambda _: None):
        assert rxtune("audit", "rs").code == 0


@pytest.mark.parametrize(
    ("trials", "dev", "message"),
    [
        (3, ("qaf",), "of run 'rs' 3 of 3 have; when it has ended, add some with"),
        (3, ("qaf",), "`rxtune search --name rs --resume --trials 12`"),
        (5, ("qaf", "qaa", "qab"), "a target language that took no part in choosing is needed"),
    ],
)
def test_what_cannot_be_audited_is_refused_with_what_to_do(
    rxtune: Run,
    search: Callable[..., Path],
    trials: int,
    dev: tuple[str, ...],
    message: str,
) -> None:
    search(trials, dev)
    ended = rxtune("audit", "rs")
    assert (ended.code, ended.errors.count("\n")) == (2, 1)
    assert message in ended.errors


def test_an_unknown_run_is_refused_with_the_nearest_name(
    rxtune: Run, search: Callable[..., Path]
) -> None:
    search(4)
    ended = rxtune("audit", "sr")
    assert ended.code == 2
    assert "no run 'sr'" in ended.errors


def test_an_audit_waits_neither_for_torch_nor_for_ray(
    search: Callable[..., Path], printed_by: Callable[[str], str]
) -> None:
    search(4)
    code = (
        "import sys\nfrom rxtune import api\nassert api.audit('rs').trials == 4\n"
        "print(sorted({'torch', 'ray', 'transformers', 'mlflow'} & sys.modules.keys()))"
    )
    assert printed_by(code) == "[]"


def test_the_best_by_a_signal_is_named_with_its_method(
    search: Callable[..., Path], folder: Path
) -> None:
    search(5)
    chosen = next(s.chosen for s in api.audit("rs").signals if s.has_chosen)
    assert chosen is not None
    assert (chosen.number, isinstance(chosen.configuration, Configuration)) == (4, True)
