"""The space files that ship: valid, and as far as they can be without network, searchable."""

from __future__ import annotations

from pathlib import Path

import pytest

from rxtune.config import load_study
from rxtune.data.catalogue import HUB_TASKS
from rxtune.errors import DataError, ModelError
from rxtune.search.plan import examine

FILES = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
STUDIES = {path.stem: load_study(path) for path in FILES}
ON_THE_HUB = [name for name, study in STUDIES.items() if study.task in HUB_TASKS]
EMBEDDED = [name for name in STUDIES if name not in ON_THE_HUB]


@pytest.fixture
def nothing_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))


def test_the_files_are_those_the_readme_names() -> None:
    readme = (FILES[0].parents[1] / "README.md").read_text()
    assert [path.name for path in FILES if path.name not in readme] == []
    assert ON_THE_HUB == ["paws-x_mbert", "xnli_xlmr"]


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_file_for_any_task_can_be_searched_on_babel(name: str) -> None:
    ground = examine(STUDIES[name])
    assert (ground.task.name, ground.encoder) == ("babel", "babel-tiny")
    assert len(STUDIES[name].start_points()) == len({*STUDIES[name].space.methods, "standard"})


@pytest.mark.usefixtures("nothing_cached")
@pytest.mark.parametrize("name", ON_THE_HUB)
def test_a_file_for_a_task_of_the_hub_says_how_to_get_what_is_not_here(name: str) -> None:
    study = STUDIES[name]
    with pytest.raises(ModelError, match=f"`hf download {study.model}`"):
        examine(study)
    hub = HUB_TASKS[str(study.task)].hub
    with pytest.raises(DataError, match=f"hf download --repo-type dataset {hub} --local-dir"):
        examine(study.model_copy(update={"model": "babel-tiny"}))
