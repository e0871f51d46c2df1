"""A task of a few sentences, prepared for trials as a search prepares Babel."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from rxtune.config import Choice, LogUniform, Parameter, Space, Study
from rxtune.data.task import Task

ROWS = {"train": 40, "dev": 16, "test": 8}


def read(language: str, split: str) -> Any:
    import pyarrow as pa

    draw = random.Random(f"{language} {split}")
    words = ["a", "be", "cat", "dog", "sees", "the"]
    texts = [" ".join(draw.choices(words, k=draw.randint(2, 6))) for _ in range(ROWS[split])]
    return pa.table(
        {
            "id": [f"{split}-{number}" for number in range(len(texts))],
            "text": texts,
            "text_pair": texts[::-1],
            "label": pa.array([number % 3 for number in range(len(texts))], pa.int64()),
        }
    )


@pytest.fixture(scope="session")
def task() -> Task:
    return Task(
        name="small",
        title="a few sentences",
        labels=("yes", "maybe", "no"),
        source_language="eng",
        target_languages=("qaa", "qab"),
        dev_languages=("qab",),
        default_model="tiny",
        epochs=1.0,
        batch_size=8,
        max_length=32,
        read=read,
    )


@pytest.fixture(scope="session")
def study() -> Study:
    parameters = [
        Parameter("method", Choice(("standard", "rs_rp", "adv"))),
        Parameter("sigma", LogUniform(0.1, 3.0)),
        Parameter("radius", LogUniform(0.003, 0.3)),
        Parameter("pgd_steps", Choice((1, 2))),
        Parameter("learning_rate", LogUniform(0.3, 3.0)),
    ]
    asha = {"evaluations": 2, "first_rung": 1, "reduction_factor": 2}
    return Study.model_validate(
        {
            "space": Space({parameter.name: parameter for parameter in parameters}),
            "search": {"trials": 6, "seed": 7},
            "stopping": {"asha": asha},
        }
    )


@pytest.fixture(scope="session")
def workload(study: Study, task: Task, tiny_encoder: Path) -> Any:
    from rxtune.search.workload import prepare

    return prepare(study, task, ("qab",), tiny_encoder)
