"""The sentences on top: what was found, how far the search is, how to repeat it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rxtune.config import Study
from rxtune.report.page import Findings
from rxtune.report.page.sentences import as_sentence, commands, optimism, outcome, status, terms
from rxtune.search.named_configuration import read_configuration
from tests.report.page.simulated import Simulated, findings_of


def test_the_winner_is_named_with_its_gain_and_its_seeds(found: Callable[..., Findings]) -> None:
    findings = found(12)
    text = outcome(findings)
    winner = findings.summary.winner
    assert winner is not None
    assert text.startswith(f"Best: trial {winner.number}, {winner.configuration.method} (lr ")
    assert "in the mean over 6 held-out languages." in text
    assert text.endswith("in the held-out mean, on one seed.")
    assert outcome(replace(findings, is_running=True)).startswith("Best so far: ")


def test_a_winner_over_seeds_says_so(found: Callable[..., Findings]) -> None:
    text = outcome(found(6, {"search.replicates": 3, "stopping": "none"}))
    assert "seed" in text
    assert "on one seed" not in text


def test_the_status_counts_what_ended(found: Callable[..., Findings]) -> None:
    findings = found(6, failed=[2], running=[5])
    assert status(findings).startswith("5 of 24 trials have ended (")
    assert "1 failed" in status(findings)
    assert "1 unfinished" in status(findings)
    assert "`rxtune search --name rs --resume` goes on" in status(findings)
    running = status(replace(findings, is_running=True))
    assert running.startswith("The search is still running: 5 of 24 trials have ended")
    assert "--resume" not in running


def test_a_finished_search_needs_no_resume(found: Callable[..., Findings]) -> None:
    text = status(found(4, {"search.trials": 4}))
    assert text.startswith("4 of 4 trials have ended (")
    assert "--resume" not in text
    assert "full plain trials" in text


def test_the_search_s_own_figures_are_called_optimistic(
    found: Callable[..., Findings], confirmed: Callable[..., Findings]
) -> None:
    assert "`rxtune confirm rs`" in optimism(found(6, name="rs"))


def test_a_confirmed_search_is_not_to_be_confirmed_again(
    confirmed: Callable[..., Findings],
) -> None:
    assert "rxtune confirm" not in optimism(confirmed())


def test_the_commands_repeat_search_and_confirmation(
    simulated: Callable[..., Simulated], load: Callable[..., Study]
) -> None:
    search = simulated()
    search.run(12)
    ranked = [r for r in findings_of(search).evaluated if r.configuration.method == "smooth_adv"]
    search.confirm(
        {
            ("robust",): (ranked[0].number, ranked[0].configuration),
            ("named",): (ranked[1].number, ranked[1].configuration),
        },
        seeds=(1, 2, 3, 4),
    )
    lines = commands(findings_of(search)).splitlines()
    assert lines[0] == "rxtune search --space study.yaml --name rs-again"
    head, _, flag = lines[1].partition(" --configuration ")
    assert head == "rxtune confirm rs-again --top 1 --seeds 4"
    assert read_configuration(flag, load()) == ranked[1].configuration
    assert lines[2] == "rxtune report rs-again"


def test_a_reader_learns_the_words(found: Callable[..., Findings]) -> None:
    words = [*terms(found(3))]
    assert "source language: eng, the only one with training labels" in words
    assert any(word.startswith("`smooth_adv`: robust: ") for word in words)


def test_a_sentence_begins_large_and_ends() -> None:
    assert as_sentence("trial 3 won") == "Trial 3 won."
    assert as_sentence("Is it?") == "Is it?"
