"""The end of a search, as people read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rxtune.api import SearchOptions
from rxtune.cli import outcome
from rxtune.config import Configuration
from rxtune.results import Failure
from rxtune.search.budgets import Ending
from rxtune.search.views import SearchResult

Make = Callable[..., Any]
DEFAULTS = SearchOptions(name="rs")
ROBUST = Configuration(method="rs_rp", sigma=0.8)


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, view: Make, folder: Path) -> Callable[..., str]:
    """Return a function that shows the end of a search and returns the text."""

    def run(
        *records: Any,
        interrupted: bool = False,
        ended_by: Any = "trials",
        ending: Ending | None = None,
        cut: int = 0,
        exhausted: str | None = None,
        options: SearchOptions = DEFAULTS,
        **changes: Any,
    ) -> str:
        console = Console(record=True, width=200, force_terminal=False, highlight=False)
        monkeypatch.setattr(outcome, "output", console)
        result = SearchResult(
            view=view(*records, **changes),
            records=records,
            ended_by="interrupt" if interrupted else ended_by,
            ending=ending,
            exhausted=exhausted,
            cut=cut,
            seconds=61.4,
            best_model=folder / "runs" / "rs" / "best" if records else None,
            problems=(),
        )
        outcome.show_result(result, options)
        return console.export_text()

    return run


@pytest.fixture
def trials(record: Make) -> list[Any]:
    return [
        record(0, "finished", 0.5),
        record(1, "finished", 0.62, configuration=ROBUST),
        record(2, "finished", 0.55, configuration=Configuration(learning_rate=2.0)),
        record(3, "stopped", 0.3),
        record(4, "failed", 0.3, reason="diverged: loss is nan"),
    ]


def row(text: str, label: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(label)]
    return line.removeprefix(label).split()


def test_the_best_robust_trial_stands_beside_both_plain_ones(
    show: Callable[..., str], trials: list[Any]
) -> None:
    text = show(*trials)
    assert row(text, "trial ") == ["1", "2", "0"]
    assert row(text, "dev score (qaf)") == ["62.0", "55.0", "50.0", "+7.0"]
    assert row(text, "qaa") == ["72.0", "65.0", "60.0", "+7.0"]
    assert row(text, "target mean") == ["67.0", "60.0", "55.0", "+7.0"]
    assert row(text, "held-out mean") == ["72.0", "65.0", "60.0", "+7.0"]


def test_the_caveat_the_savings_and_the_next_commands_follow(
    show: Callable[..., str], trials: list[Any], folder: Path
) -> None:
    text = show(*trials)
    assert "A search's own score is optimistic: the winner was chosen on the dev" in text
    assert "5 trials in 61 s; 1 stopped early, which saved" in text
    assert text.count("; 1 failed: 1 error") == 1
    assert f"Best model: {folder}/runs/rs/best" in text
    assert text.splitlines()[-3:] == [
        "  rxtune confirm rs",
        "  rxtune report rs",
        "  rxtune ui rs",
    ]


def test_the_next_commands_find_a_run_that_lies_elsewhere(
    show: Callable[..., str], trials: list[Any]
) -> None:
    text = show(*trials, folder=Path("/data/my runs/rs"))
    assert text.splitlines()[-3:] == [
        "  rxtune confirm rs --runs '/data/my runs'",
        "  rxtune report rs --runs '/data/my runs'",
        "  rxtune ui rs --runs '/data/my runs'",
    ]


def test_an_interrupted_search_ends_with_the_line_that_goes_on(
    show: Callable[..., str], trials: list[Any]
) -> None:
    text = show(*trials, interrupted=True)
    assert text.splitlines()[-1] == "  rxtune search --name rs --resume"
    elsewhere = show(*trials, interrupted=True, folder=Path("/data/rs"))
    assert elsewhere.splitlines()[-1] == "  rxtune search --name rs --runs /data --resume"


def test_the_printed_lines_repeat_the_machines_that_were_asked_for(
    show: Callable[..., str], trials: list[Any]
) -> None:
    options = SearchOptions(
        name="rs", address="head node:6379", workers=5, gpus_per_trial=0.5, storage="s3://b/x"
    )
    flags = " --address 'head node:6379' --workers 5 --gpus-per-trial 0.5"
    text = show(*trials, interrupted=True, options=options)
    assert text.splitlines()[-1] == f"  rxtune search --name rs{flags} --resume"
    assert f"  rxtune confirm rs{flags}\n" in show(*trials, options=options)
    cores = SearchOptions(name="rs", cpus_per_trial=2.0)
    assert "--cpus-per-trial 2\n" in show(*trials, options=cores)


def test_a_search_without_a_result_says_so_and_shows_no_table(
    show: Callable[..., str], record: Make
) -> None:
    text = show(record(0, "failed", reason="diverged: [/nan]"), interrupted=True)
    assert "\n1 trial in 61 s; 1 failed: 1 error\n" in text
    assert "best robust" not in text
    assert "no trial ran to its end" in text
    assert "[/nan]" in text


def test_without_a_robust_trial_the_next_line_searches_on_for_there_is_none_to_confirm(
    show: Callable[..., str], record: Make
) -> None:
    text = show(record(0, "finished"), record(1, "stopped", configuration=ROBUST))
    assert "rxtune confirm" not in text
    assert text.splitlines()[-3:] == [
        "  rxtune search --name rs --resume --trials 12",
        "  rxtune report rs",
        "  rxtune ui rs",
    ]
    assert "Next: search on, since no robust trial is there to confirm yet, see it as" in text
    spaceless = show(record(0, "finished"), ended_by="space", exhausted="all has been tried")
    assert spaceless.splitlines()[-3:] == [
        "Next: see it as one page, and browse the runs:",
        "  rxtune report rs",
        "  rxtune ui rs",
    ]


def test_a_resumed_search_does_not_claim_its_earlier_trials_for_its_time(
    show: Callable[..., str], trials: list[Any], record: Make
) -> None:
    cut = record(5, "failed", failure=Failure.INTERRUPTED)
    assert "\n5 trials in 61 s; " in show(*trials, cut)
    resumed = SearchOptions(name="rs", resume=True)
    assert "\n5 trials, this time 61 s; " in show(*trials, cut, options=resumed)


def test_failures_are_counted_by_kind_and_what_was_cut_off_is_none(
    show: Callable[..., str], record: Make
) -> None:
    trials = [record(0, "finished")]
    kinds = [Failure.DIVERGED, Failure.OUT_OF_MEMORY, Failure.DIVERGED, Failure.INTERRUPTED]
    trials += [record(n, "failed", failure=kind) for n, kind in enumerate(kinds, start=1)]
    assert "; 3 failed: 2 diverged, 1 out of memory\n" in show(*trials)


@pytest.mark.parametrize(
    ("by", "what", "limits", "more"),
    [
        ("time_budget", "time budget of 2h", {"time_budget": "2h"}, "--time-budget 2h"),
        (
            "compute_budget",
            "compute budget of 3e9",
            {"compute_budget": "3e9"},
            "--compute-budget 6e9",
        ),
        ("plateau", "plateau of 4 trials", {"plateau": 4}, "--plateau 8"),
    ],
)
def test_a_search_that_a_limit_ended_says_which_what_it_cut_and_how_to_go_on(
    show: Callable[..., str],
    view: Make,
    trials: list[Any],
    by: Any,
    what: str,
    limits: dict[str, Any],
    more: str,
) -> None:
    trials[4] = replace(trials[4], failure=Failure.INTERRUPTED)
    study = view().study
    search = type(study.search)(**{**study.search.model_dump(mode="json"), **limits})
    study = study.model_copy(update={"search": search})
    text = show(*trials, study=study, ended_by=by, ending=Ending(by, what), cut=1)
    assert (
        f"Ended by its {what} after 4 of 6 trials; 1 that ran was cut off. To go on:\n"
        f"  rxtune search --name rs --resume {more}\n"
    ) in text
    assert text.splitlines()[-3] == "  rxtune confirm rs"


def test_a_space_that_holds_nothing_more_is_said(
    show: Callable[..., str], trials: list[Any]
) -> None:
    text = show(*trials, ended_by="space", exhausted="every configuration has been tried")
    assert "Ended after 5 of 6 trials: every configuration has been tried.\n" in text
