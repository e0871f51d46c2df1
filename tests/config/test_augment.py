"""The sections `augment` and `evaluate`."""

from __future__ import annotations

from pathlib import Path

import pytest

from rxtune.config import Study, load_study
from rxtune.errors import StudyError

SPACE = "space:\n  method: {choice: [standard, rs_rp]}\n  sigma: 0.5\n"


def load(folder: Path, text: str) -> Study:
    (folder / "study.yaml").write_text(SPACE + text)
    return load_study(folder / "study.yaml")


def test_by_default_there_are_no_tables_and_confirm_mixes_languages(tmp_path: Path) -> None:
    study = load(tmp_path, "")
    assert (study.augment.synonyms, study.augment.dictionaries) == (None, {})
    assert (study.evaluate.generalized, study.evaluate.sample) == ("confirm", 250)


def test_paths_start_from_the_file_and_become_absolute(tmp_path: Path) -> None:
    study = load(tmp_path, "augment: {synonyms: s.json, dictionaries: {sw: d/sw.tsv, ur: /u.tsv}}")
    assert study.augment.synonyms == str(tmp_path / "s.json")
    assert study.augment.dictionaries == {"sw": str(tmp_path / "d/sw.tsv"), "ur": "/u.tsv"}


def test_the_resolved_study_is_read_back_from_anywhere(tmp_path: Path) -> None:
    study = load(tmp_path, "augment: {synonyms: s.json}\nevaluate: {generalized: true, sample: 9}")
    elsewhere = tmp_path / "runs"
    elsewhere.mkdir()
    (elsewhere / "study.yaml").write_text(study.to_yaml())
    assert load_study(elsewhere / "study.yaml") == study
    assert study.evaluate.generalized == "always"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("augment: {synonym: s.json}", r"augment\.synonym: unknown key; did you mean 'synonyms'"),
        ("augment: {synonyms: [s.json]}", r"augment\.synonyms: the name of a \.json or \.tsv"),
        ("augment: {dictionaries: d.tsv}", r"dictionaries: a file per language .+ \{sw: FILE\}"),
        ("augment: {dictionaries: {sw: null}}", r"dictionaries: a file per language .+ sw: null"),
        ("augment: {dictionaries: {sw: 3}}", r"dictionaries: the name of a \.json or \.tsv"),
        ("evaluate: {generalized: sometimes}", r"evaluate\.generalized: must be 'never'"),
        ("evaluate: {sample: 0}", r"evaluate\.sample: must be at least 1, got 0"),
    ],
)
def test_a_wrong_value_is_refused_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=rf"study\.yaml:4: .*{message}"):
        load(tmp_path, text)
