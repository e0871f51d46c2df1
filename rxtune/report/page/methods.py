"""The methods paragraph: what was searched, how, on what and with which software, for a paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rxtune.config import Choice, Constant, Parameter, Study
from rxtune.config.select import Objective
from rxtune.config.stopping import Hyperband, Median
from rxtune.data.task import Task
from rxtune.report.confirmation import Confirmation
from rxtune.report.page.confirmed import settled
from rxtune.report.page.findings import Findings
from rxtune.report.page.words import METHODS, UNIT_M, count, listed, score_name
from rxtune.report.tables import parameter_text
from rxtune.results import TrialState

_SAMPLERS = {
    "tpe": "the tree-structured Parzen estimator (multivariate TPE)",
    "gp": "a Gaussian process",
    "nsga2": "NSGA-II",
    "qmc": "a quasi-random (Sobol) sequence",
    "random": "random draws",
    "grid": "the points of a grid",
}
_SHAPES = {
    "uniform": "uniform in",
    "log_uniform": "log-uniform in",
    "int": "whole numbers in",
    "log_int": "log-uniform whole numbers in",
}
_PACKAGES = {"python": "Python", "torch": "PyTorch", "ray": "Ray", "optuna": "Optuna"}


def methods_paragraph(findings: Findings) -> str:
    """Return the paragraph as plain text."""
    return " ".join(
        sentence
        for part in (_data, _space, _search, _outcome, _confirmation, _software)
        for sentence in part(findings)
    )


def encoder_name(findings: Findings) -> str:
    """Return the encoder as the study names it, or the task's default."""
    task = findings.data.task
    return findings.study.model or (task.default_model if task else "the task's default encoder")


def task_name(findings: Findings) -> str:
    """Return the task with its title, as far as it is known."""
    task = findings.data.task
    return f"{task.name}, {task.title}" if task else str(findings.study.task)


def _data(findings: Findings) -> Iterator[str]:
    task, result = findings.data.task, findings.result
    yield f"We fine-tuned {encoder_name(findings)} on {task_name(findings)}."
    source = task.source_language if task else result.source_language if result else None
    if source is not None:
        yield f"Training data are in {source} alone."
    yield from _selection(findings)


def _selection(findings: Findings) -> Iterator[str]:
    dev, result = findings.summary.dev_languages, findings.result
    if not dev:
        return
    sizes = [findings.data.dev_items.get(language) for language in dev]
    known = [f"{size:,}" for size in sizes if size]
    items = f" ({', '.join(known)} dev items)" if len(known) == len(sizes) else ""
    _, *others = findings.study.select.objective
    further = f", and by {listed([_OBJECTIVES[name] for name in others])}" if others else ""
    yield f"Trials were compared by {score_name(findings.summary)}{items}{further}."
    if result is not None and result.held_out_languages:
        yield f"{listed(list(result.held_out_languages))} took no part in the choice."


_OBJECTIVES: Mapping[Objective, str] = {
    "mean": "the mean over the dev languages",
    "worst": "the worst dev language",
    "source": "the source language",
    "compute": "the cost of the training",
}


def _space(findings: Findings) -> Iterator[str]:
    study = findings.study
    methods = [f"{name}, {METHODS[name]}" for name in study.space.methods]
    yield f"The methods of the search were {'; '.join(methods)}."
    ranges = [
        _range(parameter)
        for parameter in study.space.parameters.values()
        if parameter.name != "method" and not isinstance(parameter.domain, Constant)
    ]
    fixed = [
        f"{parameter.name} = {parameter_text(parameter.domain.value)}"
        for parameter in study.space.parameters.values()
        if isinstance(parameter.domain, Constant) and parameter.name != "method"
    ]
    if ranges:
        yield f"Searched were {listed(ranges)}."
    if fixed:
        yield f"Fixed were {listed(fixed)}."
    if "site" in study.space.parameters:
        yield "At the site context the encoder's output is perturbed, in units of its own norm."
    if study.units == "relative":
        yield (
            f"The learning rate is a factor on the encoder's default; noise and radius are in"
            f" units of {UNIT_M}."
        )


def _range(parameter: Parameter) -> str:
    domain = parameter.domain
    if isinstance(domain, Choice):
        return f"{parameter.name} among {', '.join(map(parameter_text, domain.values))}"
    low, high = (parameter_text(end) for end in domain.argument)
    return f"{parameter.name} {_SHAPES[domain.kind]} [{low}, {high}]"


def _search(findings: Findings) -> Iterator[str]:
    study = findings.study
    search = study.search
    started = len([r for r in findings.records if r.retry_of is None])
    yield (
        f"{started} of {count(search.trials, 'planned trial')} were run with seed {search.seed}:"
        " plain fine-tuning at default parameters and a typical point of each other method first,"
        f"{_given(len(search.points))}"
        f" then what {_SAMPLERS[search.sampler]} proposed"
        f"{_startup(search.sampler, search.startup_trials)}."
    )
    yield from _training(study, findings.data.task)
    yield from _stopping(study)
    if search.replicates > 1:
        yield (
            f"Contenders were trained on up to {search.replicates} seeds and compared by the mean."
        )


def _given(points: int) -> str:
    return f" {count(points, 'point')} given by hand," if points else ""


def _startup(sampler: str, trials: int) -> str:
    return f", after {count(trials, 'start-up trial')}" if sampler in ("tpe", "gp") else ""


def _training(study: Study, task: Task | None) -> Iterator[str]:
    train = study.train
    epochs = train.epochs or (task.epochs if task else None)
    batch = train.batch_size or (task.batch_size if task else None)
    length = train.max_length or (task.max_length if task else None)
    parts = [
        count_of(epochs, "epoch"),
        "" if batch is None else f"batches of {batch} examples",
        "" if length is None else f"at most {length} tokens",
    ]
    if any(parts):
        yield f"A full trial is {', '.join(part for part in parts if part)}."


def count_of(number: float | None, noun: str) -> str:
    """Return a number that need not be whole with its noun; nothing where there is none."""
    return "" if number is None else f"{number:g} {noun}{'' if number == 1 else 's'}"


def _stopping(study: Study) -> Iterator[str]:
    stopping = study.stopping
    rule = stopping.rule
    if rule is None:
        yield "No trial was stopped early."
        return
    cited = "asynchronous successive halving (ASHA; Li et al. 2020)"
    if isinstance(rule, Median):
        cited = "the median rule (Golovin et al. 2017)"
    elif isinstance(rule, Hyperband):
        cited = "Hyperband (Li et al. 2018)"
    factor = "" if isinstance(rule, Median) else f", reduction factor {rule.reduction_factor}"
    yield (
        f"Weak trials were stopped by {cited}: {rule.evaluations} evaluations per trial, the first"
        f" rung after {rule.first_rung}{factor}."
    )
    if stopping.unit == "compute":
        yield "All full trials had the same cost in forward passes."


def _outcome(findings: Findings) -> Iterator[str]:
    by_state = findings.summary.by_state
    ends = [
        f"{by_state[state]} {word}"
        for state, word in (
            (TrialState.FINISHED, "ran to their end"),
            (TrialState.STOPPED, "were stopped early"),
            (TrialState.FAILED, "failed"),
            (TrialState.RUNNING, "had not ended"),
        )
        if by_state[state]
    ]
    if ends:
        yield f"Of these, {listed(ends)}."


def _confirmation(findings: Findings) -> Iterator[str]:
    if findings.confirmed is None:
        yield "The result has not been confirmed on fresh seeds and the test split."
        return
    found = findings.confirmed.confirmation
    seeds = sorted({run.seed for one in found.configurations for run in one.runs})
    yield (
        f"The chosen configurations and plain fine-tuning were retrained on"
        f" {count(len(seeds), 'seed')} that the search had not used"
        f" ({', '.join(map(str, seeds))}), and each model was tested once on the test split."
    )
    yield (
        "The claim, that the configuration the search found best has a higher held-out mean than"
        f" the best plain one, was fixed before the test. It is {settled(found)}."
    )
    yield from _statistics(found)


def _statistics(confirmation: Confirmation) -> Iterator[str]:
    gains = [c.gain for c in confirmation.contrasts if c.gain]
    if not gains:
        return
    if all(gain.items is not None for gain in gains):
        yield (
            "Intervals and p values are of a hierarchical bootstrap over seeds and test items"
            " (its closed form, with quantiles of Student's t); p values are adjusted after Holm."
        )
    else:
        yield (
            "Intervals and p values are of paired t tests over seeds where predictions were not"
            " kept; p values are adjusted after Holm."
        )


def _software(findings: Findings) -> Iterator[str]:
    versions = findings.versions
    named = [
        f"{_PACKAGES.get(name, name)} {version}" for name, version in versions.items()
        if name != "mlflow"
    ]  # fmt: skip
    yield f"Software (as installed when this report was written): {', '.join(named)}."
