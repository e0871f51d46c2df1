"""`rxtune.api.export`: a whole folder that transformers loads, or none."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard

from rxtune import api
from rxtune.config import Configuration
from rxtune.errors import ModelError, StudyError
from rxtune.export import unit_of
from rxtune.results import TrialRecord, TrialState
from tests.report.page.simulated import Simulated, findings_of
from tests.space import SPACE

Searched = Callable[..., Simulated]
PAIR = ("old kings bought ropes", "aged people purchased cords")


def logits(folder: Path) -> torch.Tensor:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return model(**tokenizer(*PAIR, return_tensors="pt")).logits


def export(search: Simulated, folder: Path, **options: Any) -> Any:
    return api.export("rs", folder, search.folder.path.parent, **options)


def test_the_folder_is_the_best_model_as_transformers_loads_it(
    searched: Searched, tmp_path: Path
) -> None:
    search = searched()
    done = export(search, tmp_path / "out" / "mine")
    assert (done.folder, done.trial, done.onnx) == (tmp_path / "out" / "mine", 1, None)
    assert torch.equal(logits(done.folder), logits(search.folder.best))
    config = json.loads((done.folder / "config.json").read_text())
    assert list(config["id2label"].values()) == ["entailment", "neutral", "contradiction"]
    assert (
        json.loads((done.folder / "tokenizer_config.json").read_text())["model_max_length"] == 64
    )  # as it was trained, so that a pipeline cuts there
    assert {path.name for path in done.folder.iterdir()} == {
        "README.md",
        "config.json",
        "model.safetensors",
        "rxtune.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert [path.name for path in done.folder.parent.iterdir()] == ["mine"]


def test_a_pipeline_of_it_answers_with_label_names(searched: Searched, tmp_path: Path) -> None:
    from transformers import pipeline

    done = export(searched(), tmp_path / "mine")
    classify = pipeline("text-classification", model=str(done.folder))
    (answer,) = classify([{"text": PAIR[0], "text_pair": PAIR[1]}])
    assert answer["label"] in ("entailment", "neutral", "contradiction")


def test_a_sigma_is_relative_to_the_unit_of_the_search(searched: Searched, tmp_path: Path) -> None:
    export(searched(), tmp_path / "mine")
    facts = json.loads((tmp_path / "mine" / "rxtune.json").read_text())
    assert facts.pop("unit") == pytest.approx(0.75)
    assert facts == {
        "trial": 1, "task": "babel", "is_pair": True, "max_length": 64, "units": "relative"
    }  # fmt: skip


def test_a_named_trial_is_taken_where_its_model_was_kept(
    searched: Searched, tmp_path: Path
) -> None:
    finished = [1, 0]
    search = searched(kept=tuple(finished))
    assert export(search, tmp_path / "mine", trial=0).trial == 0
    with pytest.raises(StudyError, match=r"trial 77.*|such a trial, got 77"):
        export(search, tmp_path / "other", trial=77)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trial": 0}, "the model of trial 0 was not kept; kept are those of: 1"),
        ({"trial": 99}, "there must be such a trial, got 99"),
        ({"confirmed": True}, "run 'rs' is not confirmed; type `rxtune confirm rs` first"),
        ({"confirmed": True, "trial": 1}, "--confirmed: chooses a trial, and so does --trial"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_leaves_nothing(
    searched: Searched, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    search = searched()
    with pytest.raises(StudyError, match=message):
        export(search, tmp_path / "mine", **options)
    assert not (tmp_path / "mine").exists()


def test_a_folder_with_anything_in_it_is_refused(searched: Searched, tmp_path: Path) -> None:
    search = searched()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").write_text("x")
    with pytest.raises(StudyError, match="must be a new or empty folder"):
        export(search, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["precious"]


def test_an_empty_folder_is_filled(searched: Searched, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert (export(searched(), tmp_path / "mine").folder / "config.json").exists()


def test_the_working_directory_is_refused(
    searched: Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = searched()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for same in (Path("."), Path("new/..")):
        with pytest.raises(StudyError, match="must not be the working directory"):
            export(search, same)
    assert list(Path(".").iterdir()) == []


def test_a_link_to_an_empty_folder_is_followed(searched: Searched, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "mine").symlink_to("disk")
    assert (export(searched(), tmp_path / "mine").folder / "config.json").exists()
    assert (tmp_path / "mine").is_symlink()


def test_what_fails_on_the_way_leaves_no_folder(
    searched: Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = searched()
    before = sorted(tmp_path.iterdir())
    (search.folder.best / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(ModelError, match="must hold a classifier that transformers loads"):
        export(search, tmp_path / "mine")
    assert sorted(tmp_path.iterdir()) == before


# --- while the search runs


def crown(search: Simulated, number: int, *, keeps_old: bool = True) -> None:
    """Do what the model store does when it makes a kept model the best."""
    best = search.folder.best
    old = json.loads((best / "rxtune.json").read_text())["trial"]
    best.rename(best.with_name("models") / f"trial-{old:04d}")
    (best.with_name("models") / f"trial-{number:04d}").rename(best)
    if not keeps_old:
        shutil.rmtree(best.with_name("models"))


def before_weights(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Let something happen once, before an export copies the first file of weights."""
    copy, acts = shutil.copy2, iter([act])

    def copy_after(source: Path, target: Path) -> Any:
        if source.suffix == ".safetensors":
            for act_once in acts:
                act_once()
        return copy(source, target)

    monkeypatch.setattr("rxtune.export.folder.shutil.copy2", copy_after)


def other_weights(folder: Path) -> None:
    """Give a kept model weights that are told from those of the others."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    changed = {name: value + 1 for name, value in weights.items()}
    save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_model_that_is_moved_while_it_is_copied_is_copied_from_its_new_place(
    searched: Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = searched(kept=(1, 0))
    models = search.folder.best.with_name("models")
    other_weights(models / "trial-0000")
    before_weights(monkeypatch, lambda: crown(search, 0))
    done = export(search, tmp_path / "mine")
    assert done.trial == json.loads((done.folder / "rxtune.json").read_text())["trial"] == 1
    assert torch.equal(logits(done.folder), logits(models / "trial-0001"))


def test_a_model_that_is_in_no_place_for_an_instant_is_copied_again(
    searched: Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = searched(kept=(1, 0))
    models = search.folder.best.with_name("models")
    before_weights(monkeypatch, lambda: search.folder.best.rename(models / "trial-0001"))
    done = export(search, tmp_path / "mine")
    assert torch.equal(logits(done.folder), logits(models / "trial-0001"))


def test_a_model_that_is_discarded_while_it_is_copied_is_refused(
    searched: Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = searched(kept=(1, 0))
    before_weights(monkeypatch, lambda: crown(search, 0, keeps_old=False))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StudyError, match=r"model of trial 1 was moved or replaced .* once more"):
        export(search, tmp_path / "mine")
    assert sorted(tmp_path.iterdir()) == before


def test_a_winner_that_is_crowned_while_the_journal_is_read_is_of_a_later_export(
    searched: Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rxtune.api.findings import read_findings

    search = searched(kept=(1, 0))
    marker = search.folder.best / "rxtune.json"

    def read_then_crown(*arguments: Any) -> Any:
        findings = read_findings(*arguments)
        crown(search, 0)
        (search.folder.best / marker.name).write_text(json.dumps({"trial": 99}))
        return findings

    module = sys.modules["rxtune.api.export"]  # as an attribute the name is the verb
    monkeypatch.setattr(module, "read_findings", read_then_crown)
    assert export(search, tmp_path / "mine").trial == 1


# --- when the data has moved

OWN_TASK = """\
task:
  name: mine
  labels: [entailment, neutral, contradiction]
  source_language: eng
  target_languages: [qaf]
  files:
    train: {eng: train.tsv}
    dev: {eng: dev.tsv, qaf: dev-qaf.tsv}
    test: {eng: test.tsv, qaf: test-qaf.tsv}
  columns: {text_pair: text_pair}
  model: acme/encoder
  max_length: 48
"""


def own_task(tmp_path: Path) -> str:
    """Return a study of an own task whose files are there."""
    row = "text\ttext_pair\tlabel\nold kings\tkings\tneutral\n"
    for name in ("train", "dev", "dev-qaf", "test", "test-qaf"):
        (tmp_path / f"{name}.tsv").write_text(row)
    return OWN_TASK + SPACE


def told_length(folder: Path) -> tuple[Any, ...]:
    """Return what tokenizer, facts and card say of the longest input, and what it consists of."""
    facts = json.loads((folder / "rxtune.json").read_text())
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    (line,) = [line for line in card(folder).splitlines() if "Input beyond" in line]
    length = int(line.split("Input beyond ")[1].split()[0])
    is_pair = "the columns `text` and `text_pair`" in line
    assert facts["is_pair"] is is_pair
    return tokenizer["model_max_length"], facts["max_length"], length, is_pair


@pytest.mark.parametrize(("train", "length"), [("", 48), ("train: {max_length: 40}\n", 40)])
def test_an_own_task_whose_data_is_gone_is_told_as_the_study_has_it(
    searched: Searched, tmp_path: Path, train: str, length: int
) -> None:
    search = searched(space=own_task(tmp_path) + train)
    (tmp_path / "train.tsv").unlink()
    done = export(search, tmp_path / "mine")
    assert told_length(done.folder) == (length, length, length, True)
    assert json.loads((done.folder / "rxtune.json").read_text())["task"] == "mine"
    assert ModelCard.load(done.folder / "README.md").data.base_model == "acme/encoder"


def test_an_own_task_named_like_one_of_the_catalogue_is_not_taken_for_it(
    searched: Searched, tmp_path: Path
) -> None:
    search = searched(space=own_task(tmp_path).replace("name: mine", "name: xnli"))
    data = ModelCard.load(export(search, tmp_path / "mine").folder / "README.md").data
    assert data.datasets is None
    assert {result.dataset_type for result in data.eval_results} == {"xnli"}


def test_a_task_of_the_catalogue_whose_folder_is_gone_is_told_as_the_catalogue_has_it(
    searched: Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from rxtune.data import catalogue

    news = replace(catalogue.MASAKHA_NEWS, max_length=56)  # the tiny encoder has 64 positions
    monkeypatch.setitem(catalogue.HUB_TASKS, news.name, news)  # type: ignore[misc]
    (tmp_path / "copy").mkdir()
    search = searched(space=f"task: {{catalogue: masakhanews, folder: copy}}\n{SPACE}")
    (tmp_path / "copy").rmdir()
    done = export(search, tmp_path / "mine")
    assert told_length(done.folder) == (56, 56, 56, False)


def test_without_its_data_an_onnx_file_is_refused(
    searched: Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rxtune.train.onnx.find_spec", lambda name: name)
    search = searched(space=own_task(tmp_path))
    (tmp_path / "train.tsv").unlink()
    with pytest.raises(StudyError, match="the task is not to be found"):
        export(search, tmp_path / "mine", onnx=True)


def test_without_a_finished_trial_there_is_no_model(searched: Searched, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="has no model yet"):
        export(searched(kept=()), tmp_path / "mine")


def test_an_onnx_file_says_the_same(searched: Searched, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    done = export(searched(), tmp_path / "mine", onnx=True)
    assert done.onnx.texts == 256
    assert 0 <= done.onnx.difference < 1e-4
    from transformers import AutoTokenizer

    session = onnxruntime.InferenceSession(done.folder / "onnx" / "model.onnx")
    tokens = AutoTokenizer.from_pretrained(done.folder)(*PAIR, return_tensors="np")
    (found,) = session.run(["logits"], dict(tokens))
    assert torch.allclose(torch.from_numpy(found), logits(done.folder), atol=1e-4)
    assert "its logits differ from the model's by at most" in card(done.folder)


def test_without_the_extra_onnx_is_refused_before_anything_is_written(
    searched: Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rxtune.train.onnx.find_spec", lambda name: None)
    with pytest.raises(StudyError, match=r"needs onnx, onnxruntime, onnxscript.*rxtune\[onnx\]"):
        export(searched(), tmp_path / "mine", onnx=True)
    assert not (tmp_path / "mine").exists()


# --- the card


def card(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def test_the_card_is_one_as_the_hub_reads_it(searched: Searched, tmp_path: Path) -> None:
    search = searched()
    done = export(search, tmp_path / "mine")
    data = ModelCard.load(done.folder / "README.md").data
    assert data.language == ["eng", "qaa", "qab", "qac", "qad", "qae", "qaf", "qag"]
    assert (data.license, data.library_name) == ("apache-2.0", "transformers")
    assert (data.pipeline_tag, data.metrics) == ("text-classification", ["accuracy"])
    assert data.base_model is None  # babel-tiny is not on the hub
    trial = next(r for r in findings_of(search).records if r.number == 1)
    assert trial.zero_shot is not None
    found = {result.dataset_config: result.metric_value for result in data.eval_results}
    assert found == {k: round(v, 4) for k, v in trial.zero_shot.accuracy.items()}
    assert {result.dataset_split for result in data.eval_results} == {"validation"}


def test_the_card_says_what_must_be_known(searched: Searched, tmp_path: Path) -> None:
    text = card(export(searched(), tmp_path / "mine").folder)
    for heading in ("Use", "Data and languages", "Method", "Zero-shot results", "Limits"):
        assert f"\n## {heading}\n" in text
    assert "| qaf (chose) |" in text
    assert "| eng (source) |" in text
    assert "Not confirmed on fresh seeds" in text
    assert "huang-etal-2021-improving" in text
    assert "`apache-2.0`: encoder and data are part of rxtune" in text


def test_the_license_is_the_users_to_name(searched: Searched, tmp_path: Path) -> None:
    done = export(searched(), tmp_path / "mine", license="cc-by-nc-4.0")
    assert ModelCard.load(done.folder / "README.md").data.license == "cc-by-nc-4.0"


def test_an_encoder_of_ones_own_leaves_the_license_open_and_its_folder_unsaid(
    searched: Searched, tmp_path: Path, tiny_encoder: Path
) -> None:
    done = export(searched(space=f"model: {tiny_encoder}\n{SPACE}"), tmp_path / "mine")
    data = ModelCard.load(done.folder / "README.md").data
    assert (data.license, data.license_name) == ("other", "encoder-and-data")
    assert str(tiny_encoder) not in card(done.folder)
    assert "Name a license with `rxtune export --license ID`" in card(done.folder)


def confirmed_search(searched: Searched, better: bool) -> Simulated:
    search = searched()
    best = next(r for r in findings_of(search).records if r.number == 1)
    plain = Configuration(learning_rate=0.3 if better else 1.0)
    search.confirm(
        {("robust",): (1, best.configuration), ("best plain", "default plain"): (0, plain)},
        seeds=range(11, 17),
    )
    return search


def test_the_confirmed_one_is_exported_with_its_figures(
    searched: Searched, tmp_path: Path
) -> None:
    search = confirmed_search(searched, better=True)
    done = export(search, tmp_path / "mine", confirmed=True)
    assert done.trial == 1
    text = card(done.folder)
    assert "| test, fresh seeds |" in text
    assert "retrained on 6 fresh seeds" in text
    assert "is confirmed: +" in text


def test_what_was_not_confirmed_is_refused_with_the_verdict(
    searched: Searched, tmp_path: Path
) -> None:
    search = searched()
    plain = Configuration()
    search.confirm(
        {("robust",): (1, plain), ("best plain", "default plain"): (0, plain)}, seeds=[11, 12]
    )
    with pytest.raises(StudyError, match="--confirmed: nothing is: not "):
        export(search, tmp_path / "mine", confirmed=True)


# --- the unit


@pytest.mark.parametrize(
    ("configuration", "absolute"),
    [
        (Configuration(method="rs_rp", sigma=0.5), {"sigma": 0.5 * 0.75 / 8}),
        (Configuration(method="adv", radius=0.1, pgd_steps=1), {"radius": 0.1 * 0.75}),
        (
            Configuration(method="adv", radius=0.1, pgd_steps=1, norm="linf"),
            {"radius": 0.1 * 0.75 / 8},
        ),
    ],
)
def test_the_unit_follows_from_what_a_trial_has_noted(
    configuration: Configuration, absolute: dict[str, float]
) -> None:
    noted = TrialRecord(
        number=1, configuration=configuration, state=TrialState.FINISHED, absolute=absolute
    )
    plain = TrialRecord(number=0, configuration=Configuration(), state=TrialState.FINISHED)
    assert unit_of([plain, noted], width=64) == pytest.approx(0.75)
    assert unit_of([plain], width=64) is None


def test_lengths_at_the_context_site_tell_nothing_of_the_words() -> None:
    own = Configuration(method="rs_rp", sigma=0.5, site="context")
    noted = TrialRecord(
        number=1, configuration=own, state=TrialState.FINISHED, absolute={"sigma": 0.1}
    )
    assert unit_of([noted], width=64) is None
