"""A search with a kept model: made-up scores, a real tiny classifier."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rxtune.config import Configuration, load_study
from rxtune.data.catalogue import TASKS
from rxtune.data.tokens import load_tokenizer
from rxtune.search.decisions import SearchStudy
from rxtune.train import build_model, load_encoder, save_model
from tests.report.page.simulated import Simulated
from tests.space import SPACE

UNIT = 0.75
"""What one unit of sigma is in the simulated search."""
WIDTH = 32
"""Of the tiny encoder's word embeddings."""


@pytest.fixture(scope="session")
def tiny_classifier(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of Babel's labels on the tiny encoder, with its tokenizer."""
    folder = tmp_path_factory.mktemp("classifier") / "tiny"
    model = build_model(load_encoder(tiny_encoder), TASKS["babel"].labels, seed=1)
    save_model(model, str(folder))
    load_tokenizer(tiny_encoder).save_pretrained(folder)
    return folder


class WithNoise(Simulated):
    """Notes what sigma is in absolute units, as a real search does."""

    def _train(
        self, decisions: SearchStudy, number: int, configuration: Configuration, last: int
    ) -> None:
        describe = decisions.describe
        sigma = configuration.sigma * UNIT / WIDTH**0.5

        def with_sigma(number: int, *, absolute: Mapping[str, float]) -> None:
            describe(number, absolute={**absolute, **({"sigma": sigma} if sigma else {})})

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decisions, "describe", with_sigma)
            super()._train(decisions, number, configuration, last)


@pytest.fixture
def searched(tmp_path: Path, tiny_classifier: Path) -> Callable[..., Simulated]:
    """Return a function that leaves a run of six trials of which some have kept models."""

    def run(kept: tuple[int, ...] = (1,), space: str = SPACE) -> Simulated:
        (tmp_path / "space.yaml").write_text(space)
        search = WithNoise(tmp_path / "runs", load_study(tmp_path / "space.yaml"))
        search.run(6)
        for place, number in enumerate(kept):
            folder = search.folder.best
            if place:
                folder = search.folder.path / "models" / f"trial-{number:04d}"
            copy_model(tiny_classifier, folder, number)
        return search

    return run


def copy_model(source: Path, folder: Path, number: int) -> None:
    folder.mkdir(parents=True)
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "predictions.parquet").write_bytes(b"labels of the data")
    (folder / "rxtune.json").write_text(json.dumps({"trial": number}))


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes rows of texts as a file."""

    def write(name: str, *rows: Any) -> Path:
        path = tmp_path / name
        text = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
        path.write_text(text, encoding="utf-8")
        return path

    return write
