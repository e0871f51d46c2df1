"""Runs as a search and `rxtune confirm` leave them, with made-up scores instead of training."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rxtune import api
from rxtune.config import Configuration, Study
from rxtune.report.page import Findings
from rxtune.results import ConfirmedRun, Evaluation, Failure, ZeroShot
from rxtune.search.decisions import SearchStudy
from rxtune.search.run_folder import RunFolder, RunPlaces

BABEL = ("eng", "qaa", "qab", "qac", "qad", "qae", "qaf", "qag")
ITEMS = 1000
"""Dev items of Babel in every language."""


def share(wanted: float, items: int = ITEMS) -> float:
    """Return the accuracy nearest to what is wanted that so many items can have."""
    return round(min(max(wanted, 0.0), 1.0) * items) / items


def quality(configuration: Configuration) -> float:
    """Return how good a configuration is: some noise helps, a far learning rate does not."""
    rate = -0.06 * math.log2(configuration.learning_rate) ** 2
    if not configuration.sigma:
        return 0.72 + rate
    return 0.72 + rate + 0.08 * math.exp(-(math.log(configuration.sigma / 0.6) ** 2))


class Simulated:
    """Leaves a run in a folder; its languages, failures and costs are told by the caller."""

    def __init__(
        self,
        root: Path,
        study: Study,
        *,
        name: str = "rs",
        languages: Sequence[str] = BABEL,
        dev: Sequence[str] = ("qaf",),
        items: int = ITEMS,
        mixed: bool = False,
    ) -> None:
        self.folder = RunFolder.new(root, name)
        self.study, self.name = study, name
        self.languages, self.dev, self.items, self.mixed = languages, tuple(dev), items, mixed
        places = RunPlaces(search_id="x", tracking_uri="", storage="")
        self.folder.create(study.to_yaml(), places)
        SearchStudy.create(self.folder.journal, study, sync=lambda _: None).close()

    def run(self, trials: int, *, failed: Iterable[int] = (), running: Iterable[int] = ()) -> None:
        """Run so many trials; failed ones diverge at once, running ones stand after the first."""
        with SearchStudy.open(self.folder.journal, sync=lambda _: None) as decisions:
            for _ in range(trials):
                trial = decisions.ask()
                assert trial is not None
                if trial.number in {*failed}:
                    reason = f"diverged: loss <nan> & more at update {trial.number}"
                    decisions.fail(trial.number, reason, Failure.DIVERGED)
                else:
                    last = 1 if trial.number in {*running} else self.study.stopping.evaluations
                    self._train(decisions, trial.number, trial.configuration, last)

    def _train(
        self, decisions: SearchStudy, number: int, configuration: Configuration, last: int
    ) -> None:
        absolute = {"learning_rate": 1e-3 * configuration.learning_rate}
        decisions.describe(number, absolute=absolute)
        for evaluation in range(1, last + 1):
            if decisions.report(number, self._evaluation(number, configuration, evaluation)):
                return
        if last < self.study.stopping.evaluations:
            return
        seed, goes_on = 1, decisions.finish(number, self.result(configuration, number))
        while goes_on:
            seed += 1
            result = self.result(configuration, number + 1000 * seed)
            value = sum(result.scores[language] for language in self.dev) / len(self.dev)
            goes_on = decisions.finish(number, result, replicate=seed, value=value)

    def _evaluation(
        self, number: int, configuration: Configuration, evaluation: int
    ) -> Evaluation:
        part = evaluation / self.study.stopping.evaluations
        result = self.result(configuration, number, 0.3 * (1 - part) ** 2)
        values = [result.scores[language] for language in self.dev or self.languages[:1]]
        cost = 1000.0 * evaluation * (3 + 2 * configuration.pgd_steps)
        named = {"mean": sum(values) / len(values), "worst": min(values), "compute": cost}
        named["source"] = result.source_score
        objectives = tuple(named[name] for name in self.study.select.objective)
        return Evaluation(
            number=evaluation,
            updates=10 * evaluation,
            value=objectives[0],
            accuracy={language: result.accuracy[language] for language in self.dev},
            macro_f1={language: result.scores[language] for language in self.dev},
            metric=self.study.select.metric,
            objectives=objectives if len(objectives) > 1 else (),
            train_loss=1.0,
            forward_equivalents=cost,
            seconds=float(evaluation),
            time=1.7e9 + 100 * number + evaluation,
        )

    def result(
        self, configuration: Configuration, seed: int, lower: float = 0.0, split: str = "dev"
    ) -> ZeroShot:
        """Return a result: the further down a language stands, the worse."""
        draw = random.Random(f"{configuration} {seed}")
        base = quality(configuration) + draw.gauss(0, 0.01) - lower
        accuracy = {
            language: share(base + 0.1 - 0.02 * place + draw.gauss(0, 0.01), self.items)
            for place, language in enumerate(self.languages)
        }
        return ZeroShot(
            accuracy=accuracy,
            macro_f1={language: score - 0.01 for language, score in accuracy.items()},
            metric=self.study.select.metric,
            source_language=self.languages[0],
            dev_languages=self.dev,
            split=split,
            noisy_source=accuracy[self.languages[0]] - 0.02,
            generalized=self._pairs(accuracy) if self.mixed else None,
        )

    def _pairs(self, accuracy: Mapping[str, float]) -> dict[str, dict[str, float]]:
        return {
            first: {second: min(accuracy[first], accuracy[second]) for second in self.languages}
            for first in self.languages
        }

    def confirm(
        self,
        configurations: Mapping[Any, tuple[int | None, Configuration]],
        *,
        seeds: Sequence[int] = (11, 12, 13),
        keeps_predictions: bool = True,
        fails: Callable[[Configuration, int], bool] = lambda configuration, seed: False,
    ) -> None:
        """Leave what `rxtune confirm` leaves: a line per run, and its predictions.

        Args:
            configurations: Trial and configuration by role.
            seeds: Of the retrainings.
            keeps_predictions: Whether the predictions lie there.
            fails: Which runs diverged.
        """
        lines = []
        for seed in seeds:  # seed by seed, as they end
            for roles, (trial, configuration) in configurations.items():
                result = None
                if not fails(configuration, seed):
                    result = self.result(configuration, seed, split="test")
                run = ConfirmedRun(
                    trial=trial,
                    roles=(roles,) if isinstance(roles, str) else roles,
                    configuration=configuration,
                    seed=seed,
                    zero_shot=result,
                    reason=None if result else "diverged",
                    forward_equivalents=18000.0,
                    seconds=10.0,
                    predictions=f"{configuration.method}-{trial}-{seed}.parquet",
                )
                lines.append(json.dumps(run.to_json()))
                if result is not None and keeps_predictions:
                    self._keep_predictions(run)
        self.folder.confirmation.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _keep_predictions(self, run: ConfirmedRun) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        assert run.zero_shot is not None
        assert run.predictions is not None
        rows = [
            (f"item-{item}", language, "yes", "yes" if item in right else "no")
            for language, accuracy in run.zero_shot.accuracy.items()
            for right in [self._right(run, language, accuracy)]
            for item in range(self.items)
        ]
        columns = zip(*rows, strict=True)
        names = ("id", "language", "label", "prediction")
        self.folder.predictions.mkdir(exist_ok=True)
        table = pa.table({name: list(c) for name, c in zip(names, columns, strict=True)})
        parquet.write_table(table, self.folder.predictions / run.predictions)

    def _right(self, run: ConfirmedRun, language: str, accuracy: float) -> set[int]:
        draw = random.Random(f"{run.configuration} {run.seed} {language}")
        return set(draw.sample(range(self.items), round(accuracy * self.items)))


def findings_of(search: Simulated) -> Findings:
    """Return what a report reads of a run: as `rxtune.api.report` does, but writing nothing."""
    found: list[Findings] = []

    def keep(findings: Findings, *_: Any) -> None:
        found.append(findings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rxtune.report.page.write_report", keep)
        api.report(search.name, search.folder.path.parent)
    return found[0]
