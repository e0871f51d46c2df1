"""The sentences on top of the page: what was found, how the search stands, how to repeat it."""

from __future__ import annotations

from collections.abc import Iterator

from rxtune.config import Configuration
from rxtune.report.page.findings import Findings
from rxtune.report.page.words import (
    METHODS,
    UNIT_M,
    count,
    listed,
    parameters_text,
    score_name,
)
from rxtune.report.summary import Summary
from rxtune.report.tables import optimism_note, points
from rxtune.results import TrialRecord, TrialState


def outcome(findings: Findings) -> str:
    """Return what the search has found, in a sentence or two."""
    summary = findings.summary
    if not findings.records:
        return "No trial has been started yet: there is nothing to report but the study."
    if summary.winner is None:
        return "No trial has run to its end, so there is no result yet."
    return f"{_winner(findings, summary.winner)} {_against_plain(summary)}".strip()


def _winner(findings: Findings, winner: TrialRecord) -> str:
    summary = findings.summary
    so_far = " so far" if findings.is_running else ""
    text = (
        f"Best{so_far}: trial {winner.number}, {winner.configuration.method}"
        f" ({parameters_text(winner.configuration)}), with"
        f" {100 * (winner.value or 0.0):.1f} % {score_name(summary)}"
    )
    result = winner.zero_shot
    if result is not None and result.held_out_languages:
        held_out = count(len(result.held_out_languages), "held-out language")
        text += f" and {100 * result.held_out_mean:.1f} % in the mean over {held_out}"
    return f"{text}."


def _against_plain(summary: Summary) -> str:
    robust, plain = summary.best_robust, summary.best_plain
    if robust is None or plain is None or summary.gain is None:
        return ""
    differences = [f"{points(summary.gain)} points in the dev score"]
    results = robust.zero_shot, plain.zero_shot
    if results[0] and results[1] and results[0].held_out_languages:
        gain = results[0].held_out_mean - results[1].held_out_mean
        differences.append(f"{points(gain)} in the held-out mean")
    return (
        f"The best robust trial against the best plain one (trial {plain.number}):"
        f" {' and '.join(differences)}, {_seeds(robust, plain)}."
    )


def _seeds(*records: TrialRecord) -> str:
    counts = {max(1, len(record.replicates)) for record in records}
    if counts == {1}:
        return "on one seed"
    return f"in the mean over {max(counts)} seeds" if len(counts) == 1 else "over several seeds"


def status(findings: Findings) -> str:
    """Return how far the search is, how its trials ended and what they cost."""
    summary, asked = findings.summary, findings.study.search.trials
    ends = [
        f"{summary.by_state[state]} {word}"
        for state, word in (
            (TrialState.FINISHED, "ran to the end"),
            (TrialState.STOPPED, "stopped early"),
            (TrialState.FAILED, "failed"),
            (TrialState.RUNNING, "unfinished" if not findings.is_running else "running"),
        )
        if summary.by_state[state]
    ]
    text = f"{findings.ended} of {count(asked, 'trial')} have ended"
    text += f" ({listed(ends)})" if ends else ""
    if findings.is_running:
        text = f"The search is still running: {text}. This page shows it as it stood then"
    elif findings.ended < asked:
        text += f"; `rxtune search --name {findings.name} --resume` goes on"
    return f"{text}. {_cost(findings)}".strip()


def _cost(findings: Findings) -> str:
    spent, unit = findings.summary.spent, findings.plain_cost
    if not spent or not unit:
        return ""
    saved = findings.summary.saved_share
    early = f"; stopping early saved {100 * saved:.0f} %" if saved else ""
    return f"All training together cost as much as {spent / unit:.1f} full plain trials{early}."


def optimism(findings: Findings) -> str:
    """Return the sentence that must stand beside a search's own result."""
    if findings.confirmed is None:
        return optimism_note(findings.summary, findings.name)
    return (
        "These figures are the search's own and optimistic: the winner was chosen by them. What"
        " fresh seeds and the test split say is below."
    )


def as_sentence(text: str) -> str:
    """Return text with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}"


def terms(findings: Findings) -> Iterator[str]:
    """Yield what a reader must know who reads nothing else: languages, methods, units."""
    result = findings.result
    if result is not None:
        dev = listed(list(result.dev_languages))
        yield f"source language: {result.source_language}, the only one with training labels"
        plural = "s" if len(result.dev_languages) > 1 else ""
        yield f"dev language{plural}: {dev}, whose labels choose between trials and train nothing"
    if result is not None and result.held_out_languages:
        held_out = listed(list(result.held_out_languages))
        yield f"held-out languages: {held_out}, which took no part at all: the zero-shot figure"
    for name in findings.study.space.methods:
        kind = "" if name == "standard" else "robust: "
        yield f"`{name}`: {kind}{METHODS[name]}"
    if findings.study.units == "relative":
        yield f"lr is a factor on the encoder's default, sigma and radius are in units of {UNIT_M}"


def commands(findings: Findings) -> str:
    """Return the commands that repeat the search and, if there was one, the confirmation."""
    name = f"{findings.name}-again"
    lines = [f"rxtune search --space study.yaml --name {name}"]
    if findings.confirmed is not None:
        configurations = findings.confirmed.confirmation.configurations
        seeds = max(len(one.runs) for one in configurations)
        top = max(1, sum("robust" in one.roles for one in configurations))
        named = [one.configuration for one in configurations if "named" in one.roles]
        flags = "".join(f" --configuration {_as_flag(configuration)}" for configuration in named)
        lines.append(f"rxtune confirm {name} --top {top} --seeds {max(seeds, 2)}{flags}")
    return "\n".join([*lines, f"rxtune report {name}"])


def _as_flag(configuration: Configuration) -> str:
    """Return a configuration as `rxtune confirm` reads it: `method=rs_rp,sigma=0.5`."""
    default = Configuration().to_json()
    return ",".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in configuration.searched().items()
        if name in ("method", "learning_rate") or value != default[name]
    )
