"""Text becomes tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from rxtune.data import TASKS, load_tokenizer, tokenise
from rxtune.errors import ModelError
from rxtune.testbed.tokenizer import build_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the this old king dog cat saw"


def save_tokenizer(folder: Path) -> None:
    from transformers import BertTokenizer

    ids = {word: number for number, word in enumerate(WORDS.split())}
    BertTokenizer(vocab=ids, do_lower_case=True).save_pretrained(folder)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    folder = tmp_path_factory.mktemp("encoder")
    save_tokenizer(folder)
    return load_tokenizer(folder)


PAIRS = pa.table(
    {
        "text": ["the old king saw this dog", "this dog"],
        "text_pair": ["the king saw this dog", "this cat"],
        "label": pa.array([0, 1], pa.int64()),
    }
)


def test_a_pair_becomes_one_sequence_with_two_token_types(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    row = tokenise(PAIRS, tokenizer, 64).slice(1).to_pylist()[0]
    tokens = tokenizer.convert_ids_to_tokens(row["input_ids"])
    assert tokens == ["[CLS]", "this", "dog", "[SEP]", "this", "cat", "[SEP]"]
    assert row["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1]
    assert row["label"] == 1


def test_a_single_text_needs_no_second_column(tokenizer: PreTrainedTokenizerBase) -> None:
    table = tokenise(PAIRS.drop_columns(["text_pair"]), tokenizer, 64)
    assert list(map(len, table["input_ids"].to_pylist())) == [8, 4]


def test_columns_are_small_integers_in_one_chunk(tokenizer: PreTrainedTokenizerBase) -> None:
    table = tokenise(pa.concat_tables([PAIRS, PAIRS]), tokenizer, 64)
    assert table.schema == pa.schema(
        {
            "input_ids": pa.list_(pa.int32()),
            "token_type_ids": pa.list_(pa.int8()),
            "label": pa.int64(),
        }
    )
    assert {table[name].num_chunks for name in table.column_names} == {1}
    assert table["label"].to_pylist() == [0, 1, 0, 1]


def test_a_tokenizer_without_token_types_gives_none(tokenizer: PreTrainedTokenizerBase) -> None:
    def without_types(*texts: list[str], **options: object) -> dict[str, object]:
        return {"input_ids": tokenizer(*texts, **options)["input_ids"]}

    assert tokenise(PAIRS, without_types, 64).column_names == ["input_ids", "label"]


@pytest.mark.parametrize(
    ("texts", "left"),
    [
        (("king " * 30, "this dog"), "[CLS] king king king king king [SEP] this dog [SEP]"),
        (("this dog", "king " * 30), "[CLS] this dog [SEP] king king king king king [SEP]"),
    ],
)
def test_the_longer_text_of_a_pair_is_cut_first(
    texts: tuple[str, str], left: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    long = pa.table({"text": [texts[0]], "text_pair": [texts[1]], "label": [0]})
    (row,) = tokenise(long, tokenizer, 10).to_pylist()
    assert tokenizer.decode(row["input_ids"]) == left


@pytest.mark.parametrize("language", TASKS["babel"].languages)
def test_no_text_of_babel_is_cut(language: str) -> None:
    task, pieces = TASKS["babel"], build_tokenizer()
    table = task.read(language, "dev")
    assert tokenise(table, pieces, task.max_length) == tokenise(table, pieces, 512)


def test_a_tokenizer_saved_to_pad_on_the_left_pads_on_the_right(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    settings = tmp_path / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"padding_side": "left"}))
    padded = load_tokenizer(tmp_path)(["this", "this dog"], padding=True)["input_ids"]
    assert padded[0][-1] == 0


# --- refusals


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"config.json": '{"model_type": "bert"}'},
        {"config.json": '{"model_type": "bert"}', "tokenizer.json": "{{"},
        {"config.json": '{"model_type": "bert"}', "tokenizer.json": '{"added_tokens": []}'},
        {"tokenizer.json": "{}", "tokenizer_config.json": '{"tokenizer_class": "Nope"}'},
        {"tokenizer_config.json": '{"auto_map": {"AutoTokenizer": ["a.B", null]}}'},
    ],
    ids=["nothing", "no vocabulary", "no JSON", "no model", "unknown class", "remote code"],
)
def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ModelError, match=r"no tokenizer could be loaded \(.+\); the folder needs"):
        load_tokenizer(tmp_path)


def test_a_missing_folder_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere: no tokenizer could be loaded"):
        load_tokenizer(tmp_path / "nowhere")
