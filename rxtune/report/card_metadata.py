"""The YAML block of a model card, as the hub's own library writes and checks it.

What is checked here is the form. The hub checks more when a card is uploaded, and when
`huggingface_hub.ModelCard.validate` asks it: that license and language codes are in its lists, and
that base model and data sets exist there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rxtune.config import TaskFile
from rxtune.data.catalogue import HUB_TASKS
from rxtune.results import ZeroShot

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

    from rxtune.report.card import CardFacts
    from rxtune.report.page.findings import Findings

_CODE = re.compile(r"[a-z]{2,3}")
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_TASK_TYPE = "text-classification"


def card_data(findings: Findings, facts: CardFacts) -> ModelCardData:
    """Return the metadata of a model card.

    Only what was measured on exactly these weights is among its results.
    """
    from huggingface_hub import ModelCardData

    result = facts.trial.zero_shot
    assert result is not None, "only what ran to its end has a model"
    licence = _licence(findings, facts)
    return ModelCardData(
        language=language_codes(result.accuracy),
        license=licence,
        license_name="encoder-and-data" if licence == "other" else None,
        library_name="transformers",
        pipeline_tag=_TASK_TYPE,
        base_model=_base_model(findings),
        datasets=[dataset] if (dataset := hub_dataset(findings)) else None,
        metrics=["f1" if result.metric == "macro_f1" else "accuracy"],
        tags=["rxtune", "cross-lingual", "zero-shot-transfer", "robust-training"],
        model_name=facts.name,
        eval_results=_results(findings, result),
    )


def language_codes(languages: Iterable[str]) -> list[str]:
    """Return the hub's codes of languages: `eng` of `eng_Latn`; a name that has none is left out.

    Args:
        languages: Names, as a task has them.
    """
    heads = [re.split(r"[_-]", name)[0] for name in languages]
    return list(dict.fromkeys(head for head in heads if _CODE.fullmatch(head)))


def _licence(findings: Findings, facts: CardFacts) -> str:
    if facts.license is not None:
        return facts.license
    is_babel = findings.study.task == "babel" and findings.study.model in (None, "babel-tiny")
    return "apache-2.0" if is_babel else "other"


def _base_model(findings: Findings) -> str | None:
    """Return the encoder's id on the hub; a folder of the user's has none."""
    task = findings.data.task
    name = findings.study.model or (task.default_model if task else "")
    return name if _HUB_ID.fullmatch(name) else None


def hub_dataset(findings: Findings) -> str | None:
    """Return the id of the task's data set on the hub; embedded and own data have none.

    By what the study asks for: own data may have the name of a task of the catalogue.
    """
    task = findings.study.task
    entry = None if isinstance(task, TaskFile) else HUB_TASKS.get(str(task))
    return None if entry is None else entry.hub


def _results(findings: Findings, result: ZeroShot) -> list[EvalResult]:
    from huggingface_hub import EvalResult

    task = findings.data.task
    name = task.name if task else str(findings.study.task)
    dataset = hub_dataset(findings) or name
    is_f1 = result.metric == "macro_f1"
    return [
        EvalResult(
            task_type=_TASK_TYPE,
            task_name="zero-shot text classification",
            dataset_type=dataset,
            dataset_name=f"{name} ({language})",
            dataset_config=language,
            dataset_split="validation" if result.split == "dev" else result.split,
            metric_type="f1" if is_f1 else "accuracy",
            metric_name="macro-F1" if is_f1 else "accuracy",
            metric_value=round(score, 4),
        )
        for language, score in result.scores.items()
    ]
