"""From the name of an encoder to a folder, without network."""

from __future__ import annotations

from pathlib import Path

import pytest

from rxtune.errors import ModelError
from rxtune.search.encoders import EMBEDDED, find_encoder


def test_the_embedded_encoder_lies_in_the_package() -> None:
    assert find_encoder(EMBEDDED).name == "babel-tiny"


def test_a_local_folder_is_taken_and_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_encoder("mine") == tmp_path / "mine"


def test_an_encoder_in_the_hubs_cache_is_found_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0" * 40
    repository = tmp_path / "models--some--encoder"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots" / commit).mkdir(parents=True)
    (repository / "snapshots" / commit / "config.json").write_text("{}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert find_encoder("some/encoder") == repository / "snapshots" / commit


@pytest.mark.parametrize("name", ["nobody/has-this", "nowhere", "a/b/c", "bad name/x"])
def test_an_encoder_that_is_not_there_is_refused_with_how_to_fetch_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=f"--model: no encoder '{name}'.*hf download {name}"):
        find_encoder(name)


def test_a_mistyped_embedded_encoder_is_recognised() -> None:
    with pytest.raises(ModelError, match="did you mean 'babel-tiny'"):
        find_encoder("babel-tini")
