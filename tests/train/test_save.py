"""A saved model is the same model, wherever it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pyarrow import fs
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from rxtune import storage
from rxtune.errors import DiskFullError
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


def test_who_may_read_the_config_may_read_the_weights(
    model: PreTrainedModel, tmp_path: Path
) -> None:
    save_model(model, str(tmp_path))
    modes = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    assert modes["model.safetensors"] == modes["config.json"]


@pytest.mark.parametrize("kind", ["path", "s3 URI"])
def test_a_save_that_fails_names_the_place_and_leaves_nothing(
    kind: str,
    model: PreTrainedModel,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_path = kind == "path"
    place = str(tmp_path / "m") if is_path else request.getfixturevalue("bucket").uri("full/m")

    def fill(folder: str) -> None:  # a mock of a full disk
        (Path(folder) / "config.json").write_text("{}")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model, "save_pretrained", fill)
    needed = (
        r"m: the disk is full: a model needs \d+ kB" if is_path else "on its way to the storage"
    )
    with pytest.raises(DiskFullError, match=needed):
        save_model(model, place)
    files, path = storage.open_place(place)
    assert files.get_file_info(path).type == fs.FileType.NotFound
