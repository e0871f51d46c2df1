"""A saved model is the same model, wherever it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pyarrow import fs
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from rxtune import storage
from rxtune.train import save_model


@pytest.mark.parametrize("kind", ["path", "file URI", "s3 URI"])
def test_a_saved_model_loads_with_the_same_weights(
    kind: str, model: PreTrainedModel, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    places: dict[str, Any] = {
        "path": lambda: str(tmp_path / "model"),
        "file URI": lambda: (tmp_path / "model").as_uri(),
        "s3 URI": lambda: request.getfixturevalue("bucket").uri("saved/model"),
    }
    place = places[kind]()
    save_model(model, place)
    files, path = storage.open_place(place)
    (tmp_path / "back").mkdir()
    fs.copy_files(path, str(tmp_path / "back"), source_filesystem=files)
    back = AutoModelForSequenceClassification.from_pretrained(tmp_path / "back")
    weights = back.state_dict()
    assert weights.keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(weights[name], tensor)
