"""Tasks of the catalogue, from folders in hub layout and from the cache; no network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rxtune.config import TaskChoice
from rxtune.data import check_task, find_task, hub_cache
from rxtune.data.catalogue import AFRI_XNLI, HUB_TASKS, XNLI
from rxtune.data.hub import hub_task
from rxtune.errors import DataError

COMMIT = "0" * 40
Parts = Mapping[str, Mapping[str, pa.Table]]


def hub_folder(folder: Path, parts: Parts) -> Path:
    """Write tables by configuration and split as a data set of the hub lies in a folder."""
    card = ["---", "configs:"]
    for config, tables in parts.items():
        card += [f"- config_name: {config}", "  data_files:"]
        (folder / config).mkdir(parents=True)
        for split, table in tables.items():
            card += [f"  - split: {split}", f"    path: {config}/{split}-*"]
            pq.write_table(table, folder / config / f"{split}-00000-of-00001.parquet")
    (folder / "README.md").write_text("\n".join([*card, "---", ""]))
    return folder


def inference(labels: list[Any], texts: list[str] | None = None) -> pa.Table:
    texts = texts or [f"text {number}" for number in range(len(labels))]
    return pa.table({"premise": texts, "hypothesis": texts, "label": labels})


def named(table: pa.Table, names: list[str]) -> pa.Table:
    """Return a table whose labels are class ids with names, as `datasets` writes it."""
    import datasets

    features = datasets.Features(
        {
            name: datasets.ClassLabel(names=names) if name == "label" else datasets.Value("string")
            for name in table.column_names
        }
    )
    return datasets.Dataset(table).cast(features).data.table


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    import datasets
    from huggingface_hub import constants

    home = tmp_path / "home"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(home / "datasets"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(home / "datasets"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    return home


def from_folder(name: str, folder: Path, **changes: Any) -> Any:
    return find_task(TaskChoice(catalogue=name, folder=str(folder), **changes))


def test_a_folder_in_hub_layout_stands_for_the_hub(tmp_path: Path) -> None:
    table = inference([2, 0, 1])
    parts = {"train": table, "validation": table, "test": table}
    folder = hub_folder(tmp_path / "x", {"en": parts, "sw": {"validation": table, "test": table}})
    task = from_folder("xnli", folder, target_languages=("sw",))
    summary = check_task(task)
    assert summary.rows["sw", "test"] == 3
    assert task.read("en", "train")["label"].to_pylist() == [2, 0, 1]
    assert task.read("sw", "dev").column_names == ["id", "text", "text_pair", "label"]
    assert task.read("sw", "dev")["id"].to_pylist() == ["1", "2", "3"]
    assert task.dev_languages == ("sw",)
    assert task.is_local()


def test_names_of_class_ids_count_and_not_their_order(tmp_path: Path) -> None:
    other = named(inference([0, 1, 2]), ["contradiction", "neutral", "entailment"])
    task = from_folder("xnli", hub_folder(tmp_path / "x", {"sw": {"validation": other}}))
    assert task.read("sw", "dev")["label"].to_pylist() == [2, 1, 0]


def test_class_names_of_another_column_are_not_taken(tmp_path: Path) -> None:
    import datasets

    table = inference([2, 0]).add_column(0, "genre", [[0, 1]])
    text = datasets.Value("string")
    features = {
        "genre": datasets.ClassLabel(names=["fiction", "travel"]),
        "premise": text,
        "hypothesis": text,
        "label": datasets.ClassLabel(names=["entailment", "neutral", "contradiction"]),
    }
    full = datasets.Dataset(table).cast(datasets.Features(features)).data.table
    task = from_folder("xnli", hub_folder(tmp_path / "x", {"sw": {"validation": full}}))
    assert task.read("sw", "dev")["label"].to_pylist() == [2, 0]


def test_class_names_that_are_not_the_tasks_are_refused(tmp_path: Path) -> None:
    other = named(inference([0, 1]), ["entailment", "not_entailment"])
    task = from_folder("xnli", hub_folder(tmp_path / "x", {"sw": {"validation": other}}))
    with pytest.raises(
        DataError, match="sw validation: its label 'not_entailment' is none of the"
    ):
        task.read("sw", "dev")


def test_numbers_without_names_are_refused_unless_the_entry_knows_them(tmp_path: Path) -> None:
    folder = hub_folder(tmp_path / "x", {"sw": {"validation": inference([0, 1, 2])}})
    assert hub_task(XNLI, folder=str(folder)).read("sw", "dev").num_rows == 3
    with pytest.raises(DataError, match="labels are numbers without names, so their order is not"):
        hub_task(replace(XNLI, also={}), folder=str(folder)).read("sw", "dev")


def test_text_labels_have_one_order_for_all_languages(tmp_path: Path) -> None:
    def topics(*names: str) -> pa.Table:
        numbers = list(range(len(names)))
        return pa.table({"index_id": numbers, "category": names, "text": ["t"] * len(names)})

    parts = {
        "eng_Latn": {"validation": topics("travel", "sports")},
        "swh_Latn": {"validation": topics("sports", "travel")},
    }
    task = from_folder("sib200", hub_folder(tmp_path / "x", parts))
    assert task.read("eng_Latn", "dev")["label"].to_pylist() == [6, 5]
    assert task.read("swh_Latn", "dev")["label"].to_pylist() == [5, 6]
    wrong = hub_folder(tmp_path / "y", {"swh_Latn": {"validation": topics("sport")}})
    with pytest.raises(
        DataError, match=r"validation:1: unknown label 'sport'; did you mean 'spor"
    ):
        from_folder("sib200", wrong).read("swh_Latn", "dev")


def test_rows_of_paws_x_that_are_no_examples_are_dropped_and_counted(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": [1, 2, 3, 4, 5],
            "sentence1": ["a", "NS", "c", "d", ""],
            "sentence2": ["a", "b", "NS", "d", "e"],
            "label": [1, 1, 0, -1, 0],
        }
    )
    parts = {"ko": {"validation": named(table.slice(0, 3), ["0", "1"]), "test": table}}
    task = from_folder("paws-x", hub_folder(tmp_path / "x", parts))
    assert task.read("ko", "test").to_pylist() == [
        {"id": "1", "text": "a", "text_pair": "a", "label": 1}
    ]
    assert (task.dropped("ko", "test"), task.dropped("ko", "dev")) == (4, 2)


def test_row_numbers_stay_those_of_the_data_set_where_rows_are_dropped(tmp_path: Path) -> None:
    table = inference([0, 1, 2], ["a", "", "c"])
    task = from_folder("xnli", hub_folder(tmp_path / "x", {"sw": {"validation": table}}))
    assert task.read("sw", "dev")["id"].to_pylist() == ["1", "3"]


def test_a_task_without_training_data_of_its_own_borrows_it(tmp_path: Path) -> None:
    lent = hub_folder(tmp_path / "xnli", {"en": {"train": inference([0, 1, 2, 0])}})
    own = {"eng": {"validation": inference([1])}, "yor": {"validation": inference([2])}}
    folder = hub_folder(tmp_path / "afri", own)
    task = from_folder("afrixnli", folder, source_folder=str(lent))
    assert task.read("eng", "train").num_rows == 4
    assert task.read("eng", "dev")["label"].to_pylist() == [1]
    alone = hub_task(XNLI, folder=str(lent)).fingerprint("en", "train")
    assert task.fingerprint("eng", "train") == alone
    assert not hub_task(AFRI_XNLI, folder=str(folder)).is_local()


@pytest.mark.parametrize(
    ("language", "split", "message"),
    [
        ("fr", "dev", "no split 'validation' of configuration 'fr': it has sw"),
        ("sw", "test", "no split 'test' of configuration 'sw': "),
    ],
)
def test_what_a_folder_lacks_is_named(
    tmp_path: Path, language: Any, split: Any, message: str
) -> None:
    folder = hub_folder(tmp_path / "x", {"sw": {"validation": inference([0])}})
    with pytest.raises(DataError, match=message):
        from_folder("xnli", folder).read(language, split)


def test_missing_columns_shards_and_folders_are_refused(tmp_path: Path) -> None:
    table = inference([0]).rename_columns(["premises", "hypothesis", "label"])
    folder = hub_folder(tmp_path / "x", {"sw": {"validation": table}})
    with pytest.raises(DataError, match="sw validation: no column 'premise'; did you mean 'prem"):
        from_folder("xnli", folder).read("sw", "dev")
    good = hub_folder(tmp_path / "y", {"sw": {"validation": inference([0])}})
    shard = good / "sw" / "validation-00000-of-00001.parquet"
    shard.rename(shard.with_name("validation-00000-of-00002.parquet"))
    with pytest.raises(DataError, match="files of sw validation are missing; fetch all"):
        from_folder("xnli", good).read("sw", "dev")
    with pytest.raises(DataError, match="nowhere: no such folder; give a copy of facebook/xnli"):
        from_folder("xnli", tmp_path / "nowhere")


def test_a_downloaded_snapshot_is_read_and_its_commit_is_its_identity(
    tmp_path: Path, home: Path
) -> None:
    folder = hub_folder(tmp_path / "x", {"sw": {"validation": inference([0, 1])}})
    assert not find_task("xnli").is_local()
    cached = home / "hub" / "datasets--facebook--xnli"
    shutil.copytree(folder, cached / "snapshots" / COMMIT)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(COMMIT)
    task = find_task("xnli")
    assert task.is_local()
    assert task.read("sw", "dev").num_rows == 2
    assert hub_cache.load("facebook/xnli", "sw", "validation").identity == COMMIT
    with pytest.raises(DataError, match="'de' is in the local cache without 'de' validation, and"):
        task.read("de", "dev")


def test_what_datasets_has_prepared_is_read(tmp_path: Path, home: Path) -> None:
    folder = hub_folder(tmp_path / "xnli", {"sw": {"validation": inference([0, 1])}})
    from_folder("xnli", folder).read("sw", "dev")
    shutil.move(home / "datasets" / "xnli", home / "datasets" / "facebook___xnli")
    task = find_task("xnli")
    assert task.is_local()
    assert task.read("sw", "dev").num_rows == 2


# --- without network


def offline(monkeypatch: pytest.MonkeyPatch, head: Callable[..., Any]) -> None:
    import huggingface_hub
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: SimpleNamespace(head=head))


def refuse_connection(*_: Any, **__: Any) -> None:
    raise OSError("no route")


def test_a_hub_id_without_network_and_cache_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offline(monkeypatch, refuse_connection)
    with pytest.raises(DataError) as caught:
        find_task("paws-x").read("ko", "dev")
    text = str(caught.value)
    assert "google-research-datasets/paws-x: configuration 'ko' is not in the local cache" in text
    assert "huggingface.co cannot be reached" in text
    assert "hf download --repo-type dataset google-research-datasets/paws-x --local-dir" in text
    assert "HF_HOME" in text


def test_a_hub_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    forever = threading.Event()
    monkeypatch.setattr(hub_cache, "PROBE_SECONDS", 0.01)
    offline(monkeypatch, lambda *_, **__: forever.wait())
    with pytest.raises(DataError, match="cannot be reached"):
        find_task("paws-x").read("ko", "dev")
    forever.set()


def test_offline_mode_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "get_session", lambda: pytest.fail("asked the hub"))
    with pytest.raises(DataError, match="HF_HUB_OFFLINE forbids to ask the hub"):
        find_task("sib200").read("swh_Latn", "dev")


def test_a_check_of_a_hub_that_is_not_reached_ends_at_once() -> None:
    with pytest.raises(DataError) as caught:
        check_task(find_task("xnli"))
    assert str(caught.value).count("facebook/xnli: configuration") == 1


@pytest.mark.parametrize("name", HUB_TASKS)
def test_an_entry_names_no_label_or_language_that_it_does_not_have(name: str) -> None:
    entry = HUB_TASKS[name]
    assert set(entry.also.values()) <= set(entry.labels)
    assert entry.source_language not in entry.target_languages
    assert "train" in entry.borrows or entry.lender is None
    assert not set(entry.drop_labels) & {*entry.labels, *entry.also}
