"""The model card of an exported model: what it is, what it was measured on, what to doubt."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rxtune.config.canonical import canonical
from rxtune.report.card_metadata import card_data, hub_dataset
from rxtune.report.page.confirmed import settled
from rxtune.report.page.findings import Findings
from rxtune.report.page.methods import encoder_name, methods_paragraph, task_name
from rxtune.report.page.words import METHODS, UNIT_M, listed, metric_name
from rxtune.report.tables import Table, markdown, parameter_text, points
from rxtune.results import TrialRecord, ZeroShot

CITATION = """\
```bibtex
@inproceedings{huang-etal-2021-improving,
  title     = {Improving Zero-Shot Cross-Lingual Transfer Learning via Robust Training},
  author    = {Huang, Kuan-Hao and Ahmad, Wasi Uddin and Peng, Nanyun and Chang, Kai-Wei},
  booktitle = {Proceedings of the 2021 Conference on Empirical Methods in Natural Language Processing},
  year      = {2021}
}
```"""  # noqa: E501


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What a card says beside what the search found."""

    trial: TrialRecord
    """Whose model it is; it ran to its end."""
    name: str
    """Of the exported folder."""
    labels: tuple[str, ...]
    max_length: int
    """Longest input in tokens."""
    unit: float | None
    """m, if it is known."""
    parameters: int
    """Number of weights."""
    license: str | None
    """An identifier of the hub's; None: the user named none."""
    onnx: str | None = None
    """How the ONNX file was checked, a sentence; None: there is none."""


def model_card(findings: Findings, facts: CardFacts) -> str:
    """Return the card as the hub reads it: a YAML block, then Markdown."""
    sections = [_head, _use, _data, _method, _results, _limits, _license, _cite]
    text = "\n\n".join(part for section in sections for part in section(findings, facts))
    if (model := findings.study.model) and Path(model).is_absolute():
        text = text.replace(model, Path(model).name)  # where it lies is nobody's business
    return f"---\n{card_data(findings, facts).to_yaml()}\n---\n\n{text}\n"


def _head(findings: Findings, facts: CardFacts) -> Iterator[str]:
    method = facts.trial.configuration.method
    yield f"# {facts.name}"
    yield (
        f"A text classifier: `{encoder_name(findings)}` ({facts.parameters:,} weights), fine-tuned"
        f" on {task_name(findings)}. It learnt from labels in"
        f" {_result(facts).source_language} alone and is meant for languages in which there are"
        f" none (zero-shot cross-lingual transfer). Trained by `{method}`, {METHODS[method]};"
        f" trial {facts.trial.number} of the search `{findings.name}` by rxtune."
    )


def _use(findings: Findings, facts: CardFacts) -> Iterator[str]:
    is_pair = findings.data.task is not None and findings.data.task.is_pair
    asked = '{"text": "…", "text_pair": "…"}' if is_pair else '"…"'
    columns = "`text` and `text_pair`" if is_pair else "`text`"
    yield "## Use"
    yield (
        "```python\nfrom transformers import pipeline\n\n"
        f'classify = pipeline("text-classification", model="{facts.name}")\n'
        f"classify({asked}, truncation=True)\n```"
    )
    yield (
        f"Or `rxtune predict {facts.name} texts.tsv`, with the column{'s' if is_pair else ''}"
        f" {columns}. Labels: {', '.join(f'`{label}`' for label in facts.labels)}. Input beyond"
        f" {facts.max_length} tokens is cut."
    )
    if facts.onnx is not None:
        yield f"`onnx/model.onnx` is the same model as an ONNX graph. {facts.onnx}"


def _data(findings: Findings, facts: CardFacts) -> Iterator[str]:
    result = _result(facts)
    origin = f" Data: `{dataset}` on the hub." if (dataset := hub_dataset(findings)) else ""
    yield "## Data and languages"
    yield (
        f"- Training: {result.source_language}, labelled.{origin}\n"
        f"- Chosen by labels in: {listed(list(findings.summary.dev_languages)) or '–'} (dev"
        " split).\n"
        f"- Held out, no label seen in training or choice:"
        f" {listed(list(result.held_out_languages)) or 'none'}."
    )


def _method(findings: Findings, facts: CardFacts) -> Iterator[str]:
    trial, relative = facts.trial, findings.study.units == "relative"
    absolute = {name: f"{value:.4g}" for name, value in trial.absolute.items()}
    rows = [
        (name, parameter_text(value), absolute.get(name, ""))
        for name, value in trial.configuration.searched().items()
    ]
    header = ("parameter", "relative" if relative else "value", "absolute")
    yield "## Method"
    yield markdown(Table(header, tuple(rows)))
    if relative:
        unit = "" if facts.unit is None else f" ({facts.unit:.4g})"
        yield (
            "The learning rate is a factor on the encoder's default; sigma and radius are in units"
            f" of {UNIT_M}{unit}."
        )
    yield methods_paragraph(findings)


def _results(findings: Findings, facts: CardFacts) -> Iterator[str]:
    result, measure = _result(facts), metric_name(findings.summary)
    confirmed = _confirmed(findings, facts.trial)
    yield "## Zero-shot results"
    yield markdown(_language_table(findings, facts, confirmed))
    split = f"{measure.capitalize()} in %, on the {result.split} split, of exactly these weights"
    yield (
        f"{split} and of the best plain fine-tuning of the search. {_optimism(findings)}"
        " Means are over target languages; the held-out mean leaves out those that chose."
    )
    if confirmed and findings.confirmed is not None:
        yield (
            f"Test: mean ± standard deviation of the same configuration retrained on"
            f" {len(confirmed)} fresh seed{'s' if len(confirmed) > 1 else ''}, each tested once;"
            " not of these weights. The claim that the search's best robust configuration beats"
            f" its best plain one is {settled(findings.confirmed.confirmation)}."
        )
    else:
        yield "Not confirmed on fresh seeds and the test split (`rxtune confirm` does that)."


def _optimism(findings: Findings) -> str:
    languages = listed(list(findings.summary.dev_languages))
    return f"The model was chosen by {languages}, where its figure is therefore optimistic."


def _language_table(findings: Findings, facts: CardFacts, confirmed: dict[int, ZeroShot]) -> Table:
    result, plain = _result(facts), findings.summary.best_plain
    beside = plain.zero_shot if plain is not None else None
    lines: list[tuple[str, Callable[[ZeroShot], float]]] = [
        (_named(language, result), partial(_score_in, language)) for language in result.scores
    ]
    lines.append(("target mean", lambda z: z.target_mean))
    if result.held_out_languages:
        lines.append(("held-out mean", lambda z: z.held_out_mean))
    rows = [_row(name, score, result, beside, confirmed) for name, score in lines]
    header = ("language", "this model", "best plain", "difference")
    return Table((*header, "test, fresh seeds") if confirmed else header, tuple(rows))


def _row(
    name: str,
    score: Callable[[ZeroShot], float],
    result: ZeroShot,
    beside: ZeroShot | None,
    confirmed: Mapping[int, ZeroShot],
) -> tuple[str, ...]:
    own = score(result)
    cells = [name, f"{100 * own:.1f}"]
    cells += ["–", "–"] if beside is None else _against(own, score(beside))
    if confirmed:
        cells.append(_spread([score(z) for z in confirmed.values()]))
    return tuple(cells)


def _score_in(language: str, result: ZeroShot) -> float:
    return result.scores[language]


def _against(own: float, plain: float) -> list[str]:
    return [f"{100 * plain:.1f}", points(own - plain)]


def _spread(values: list[float]) -> str:
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.fmean(values):.1f}{spread}"


def _named(language: str, result: ZeroShot) -> str:
    if language == result.source_language:
        return f"{language} (source)"
    return f"{language} (chose)" if language in result.dev_languages else language


def _confirmed(findings: Findings, trial: TrialRecord) -> dict[int, ZeroShot]:
    """Return test results by fresh seed of a trial's configuration; none: not confirmed."""
    if findings.confirmed is None:
        return {}
    wanted = canonical(trial.configuration)
    found = findings.confirmed.confirmation.configurations
    return next((one.results for one in found if canonical(one.configuration) == wanted), {})


def _limits(findings: Findings, facts: CardFacts) -> Iterator[str]:
    result = _result(facts)
    limits = [
        "It is one training on one seed; another seed gives other figures, most of all in the"
        " languages far from the source.",
        f"It was measured in {listed(list(result.accuracy))} on data of this task. Of other"
        " languages, domains and text types nothing is known.",
        "Robust training made it tolerate noise on its word embeddings. That is no guarantee"
        " against an attacker, and no certificate.",
        "What the encoder has learnt from its pre-training text, biases included, is in it.",
    ]
    if _is_babel(findings):
        limits.insert(0, "The languages are constructed (Babel): of no use outside the testbed.")
    limits += [f"Of the search: {warning}." for warning in findings.summary.warnings]
    yield "## Limits"
    yield "\n".join(f"- {limit}" for limit in limits)


def _license(findings: Findings, facts: CardFacts) -> Iterator[str]:
    yield "## License"
    if facts.license is not None:
        yield f"`{facts.license}`, as named by whoever exported the model."
    elif _is_babel(findings):
        yield "`apache-2.0`: encoder and data are part of rxtune."
    else:
        yield (
            "Not stated: the terms of the encoder and of the training data apply. Name a license"
            " with `rxtune export --license ID` before you publish the model."
        )


def _cite(findings: Findings, facts: CardFacts) -> Iterator[str]:
    yield "## How to cite"
    yield "rxtune searches what this paper found; cite it, and the papers of encoder and data:"
    yield CITATION


def _is_babel(findings: Findings) -> bool:
    return findings.study.task == "babel" and findings.study.model in (None, "babel-tiny")


def _result(facts: CardFacts) -> ZeroShot:
    assert facts.trial.zero_shot is not None, "only what ran to its end has a model"
    return facts.trial.zero_shot
