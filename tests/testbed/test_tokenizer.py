"""The tokenizer of `babel-tiny`, and the folder in which the encoder is shipped."""

from __future__ import annotations

import hashlib
import os
import string
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.testbed.babel import items
from rxtune.testbed.languages import LANGUAGES, SOURCE, lexicons
from rxtune.testbed.lexicon import CLASS_OF, VERBS
from rxtune.testbed.tokenizer import SPECIAL_TOKENS, build_tokenizer, encoder_folder, vocabulary

if TYPE_CHECKING:
    from transformers import BertTokenizer

PRINT_SERIALISED = (
    "from rxtune.testbed.tokenizer import build_tokenizer;"
    "print(build_tokenizer().backend_tokenizer.to_str())"
)

shipped = pytest.mark.skipif(
    not (encoder_folder() / "model.safetensors").is_file(),
    reason="no encoder here yet: `python -m rxtune.testbed.pretrain` builds it",
)


@cache
def tokenizer() -> BertTokenizer:
    return build_tokenizer()


def digest_in_new_process(hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PRINT_SERIALISED],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        check=True,
    )
    return hashlib.sha256(done.stdout.strip()).hexdigest()


def test_the_tokenizer_is_the_same_bit_for_bit_in_every_process() -> None:
    here = tokenizer().backend_tokenizer.to_str().encode()
    digests = {hashlib.sha256(here).hexdigest(), *map(digest_in_new_process, ("1", "2"))}
    assert len(digests) == 1


def test_special_tokens_come_first_and_padding_is_0() -> None:
    assert vocabulary()[:5] == list(SPECIAL_TOKENS)
    assert tokenizer().pad_token_id == 0
    assert set(tokenizer().all_special_ids) == set(range(len(SPECIAL_TOKENS)))


def test_ids_follow_the_vocabulary() -> None:
    assert len(set(vocabulary())) == len(vocabulary()) == len(tokenizer())
    assert tokenizer().convert_ids_to_tokens(list(range(len(tokenizer())))) == vocabulary()


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_word_is_one_piece_and_its_ending_another(code: str) -> None:
    language, words = LANGUAGES[code], lexicons()[code]
    endings = [(concept, "") for concept in words]
    endings += [(concept, language.object_suffix) for concept in CLASS_OF]
    endings += [(concept, language.verb_suffix) for concept in VERBS]
    for concept, ending in endings:
        pieces = [words[concept], *([f"##{ending}"] if ending else [])]
        assert tokenizer().tokenize(words[concept] + ending) == pieces


@pytest.mark.parametrize("code", LANGUAGES)
def test_text_is_never_unknown_nor_cut_and_comes_back(code: str) -> None:
    rows = items(code, "dev")
    sentences = [text for item in rows for text in (item.premise, item.hypothesis)]
    ids = tokenizer()(sentences)["input_ids"]
    assert tokenizer().batch_decode(ids, skip_special_tokens=True) == sentences
    pairs = tokenizer()([i.premise for i in rows], [i.hypothesis for i in rows])["input_ids"]
    assert max(map(len, pairs)) <= tokenizer().model_max_length
    assert tokenizer().unk_token_id not in {number for row in pairs for number in row}


@given(st.text(string.ascii_letters, min_size=1, max_size=40))
def test_any_word_of_plain_letters_can_be_read(word: str) -> None:
    assert "[UNK]" not in tokenizer().tokenize(word)
    assert tokenizer().decode(tokenizer()(word)["input_ids"][1:-1]) == word.lower()


def test_other_letters_are_unknown() -> None:
    assert tokenizer().tokenize("жизнь") == ["[UNK]"]


# --- the shipped encoder


@shipped
def test_the_shipped_encoder_is_small_and_free_of_pickle() -> None:
    files = [path for path in encoder_folder().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 4 * 1024**2
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".md"}


@shipped
def test_the_shipped_tokenizer_is_the_one_built_here() -> None:
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(encoder_folder(), local_files_only=True)
    assert loaded.backend_tokenizer.to_str() == tokenizer().backend_tokenizer.to_str()


@shipped
def test_the_shipped_encoder_loads_whole_and_reads_every_token() -> None:
    from transformers import AutoModel

    model, report = AutoModel.from_pretrained(
        encoder_folder(), local_files_only=True, output_loading_info=True
    )
    assert not report["missing_keys"] - {"pooler.dense.weight", "pooler.dense.bias"}
    assert model.config.vocab_size == len(tokenizer())
    assert model.config.rxtune["learning_rate"] > 0
    ids = tokenizer()(items(SOURCE, "dev")[0].premise, return_tensors="pt")
    assert model(**ids).last_hidden_state.shape[-1] == model.config.hidden_size
