"""How the encoder is rebuilt: text, masks, and a pre-training of twenty steps."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rxtune.testbed import pretrain as room
from rxtune.testbed.babel import pairs
from rxtune.testbed.grammar import say
from rxtune.testbed.inference import MeaningPair, draw_pair
from rxtune.testbed.languages import LANGUAGES, SOURCE, lexicons
from rxtune.testbed.pretrain import (
    Pool,
    Recipe,
    build_model,
    draw_batches,
    draw_document,
    draw_pool,
    mask_tokens,
    pretrain,
)
from rxtune.testbed.tokenizer import SPECIAL_TOKENS, build_tokenizer, encoder_folder

TINY = Recipe(steps=20, batch_size=32, documents=500, warm_up=2)
TOKENIZER = build_tokenizer()
WORDS = {code: frozenset(words.values()) for code, words in lexicons().items()}


def languages_of(sentence: str) -> set[str]:
    """Return the languages that have every word of a sentence, endings left out."""
    pieces = {piece for piece in TOKENIZER.tokenize(sentence) if not piece.startswith("##")}
    return {code for code, words in WORDS.items() if pieces <= words}


# --- documents


def test_a_document_is_in_one_language_when_none_is_mixed() -> None:
    generator = random.Random(0)
    for _ in range(300):
        first, second = draw_document(generator, 0.0)
        assert languages_of(first) & languages_of(second)


def test_a_mixed_document_has_one_sentence_in_the_source_language() -> None:
    generator = random.Random(0)
    for _ in range(300):
        assert any(SOURCE in languages_of(text) for text in draw_document(generator, 1.0))


def test_languages_occur_by_their_share_of_the_text() -> None:
    generator = random.Random(0)
    documents = [draw_document(generator, 0.0) for _ in range(2000)]
    whole = sum(language.pretraining_share for language in LANGUAGES.values())
    for code, language in LANGUAGES.items():
        share = sum(languages_of(" ".join(texts)) == {code} for texts in documents) / 2000
        assert share == pytest.approx(language.pretraining_share / whole, abs=0.03)


def test_a_drawn_pair_of_dev_or_test_is_not_said_but_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left_out = [pairs()["dev"][0], pairs()["test"][-1]]
    queue = iter([*left_out, pairs()["train"][0]])
    monkeypatch.setattr(room, "draw_pair", lambda generator: next(queue))
    said = pairs()["train"][0]
    document = draw_document(random.Random(0), 1.0)
    assert {say(said.premise, SOURCE), say(said.hypothesis, SOURCE)} & set(document)
    assert next(queue, None) is None


def test_no_document_says_a_pair_of_dev_or_test(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[MeaningPair] = []

    def remember(generator: random.Random) -> MeaningPair:
        drawn.append(draw_pair(generator))
        return drawn[-1]

    monkeypatch.setattr(room, "draw_pair", remember)
    draw_document(random.Random(0), 1.0)
    left_out = frozenset(drawn)
    # The real ones are too few among all pairs to come up by themselves.
    monkeypatch.setattr(room, "evaluation_pairs", lambda: left_out)
    drawn.clear()
    sentences = draw_document(random.Random(0), 1.0)
    refused, used = drawn
    assert refused in left_out
    assert say(used.hypothesis, SOURCE) in sentences
    assert say(refused.hypothesis, SOURCE) not in sentences


def test_the_pool_is_sorted_padded_on_the_right_and_seeded() -> None:
    pool = draw_pool(TINY, TOKENIZER)
    lengths = (pool.ids != 0).sum(1)
    assert pool.ids.shape == pool.sentences.shape == (500, lengths.max())
    assert (np.diff(lengths) >= 0).all()
    assert all((row[:length] != 0).all() for row, length in zip(pool.ids, lengths, strict=True))
    again, other = draw_pool(TINY, TOKENIZER), draw_pool(replace(TINY, seed=1), TOKENIZER)
    assert np.array_equal(pool.ids, again.ids)
    assert np.array_equal(pool.sentences, again.sentences)
    assert not np.array_equal(pool.ids, other.ids)


def test_sentence_ids_change_after_the_first_separator_and_padding_has_0() -> None:
    pool = draw_pool(TINY, TOKENIZER)
    separators = pool.ids == TOKENIZER.sep_token_id
    assert (separators.sum(1) == 2).all()
    passed = separators.cumsum(1) - separators  # the separators before a token
    assert np.array_equal(pool.sentences, np.where(pool.ids != 0, passed, 0))


def row_text(ids: Iterable[int], sentences: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Return the (token, sentence) of a document without its padding."""
    both = zip(map(int, ids), map(int, sentences), strict=True)
    return tuple(position for position in both if position[0] != 0)


def test_a_pass_shows_every_full_batch_once_and_cuts_only_padding() -> None:
    pool = draw_pool(TINY, TOKENIZER)
    batches = draw_batches(pool, TINY)
    shown = [next(batches) for _ in range(500 // 32)]
    full = 500 // 32 * 32
    expected = Counter(map(row_text, pool.ids[:full], pool.sentences[:full]))
    rows = [row for batch in shown for row in zip(*batch, strict=True)]
    assert Counter(row_text(*row) for row in rows) == expected
    assert all((ids[:, -1] != 0).any() for ids, _ in shown)


def test_a_pool_smaller_than_a_batch_is_refused() -> None:
    ones = np.ones((20, 4), dtype=np.int64)
    with pytest.raises(ValueError, match=r"documents >= batch_size .* \(20, 32\)"):
        next(draw_batches(Pool(ones, ones), TINY))


# --- masks


@pytest.mark.parametrize(("masked_share", "replaced"), [(0.2, 0.4), (0.15, 0.1), (0.5, 0.0)])
def test_masked_replaced_and_kept_words_have_their_shares(
    masked_share: float, replaced: float
) -> None:
    torch.manual_seed(0)
    ids = torch.randint(len(SPECIAL_TOKENS), len(TOKENIZER), (400, 500))
    recipe = Recipe(masked=masked_share, replaced=replaced)
    masked, chosen = mask_tokens(ids, TOKENIZER, recipe)
    assert chosen.float().mean() == pytest.approx(masked_share, abs=0.005)
    as_mask = (masked[chosen] == TOKENIZER.mask_token_id).float().mean()
    kept = (masked[chosen] == ids[chosen]).float().mean()
    assert as_mask == pytest.approx(0.9 - replaced, abs=0.01)
    assert kept == pytest.approx(0.1, abs=0.01)
    assert torch.equal(masked[~chosen], ids[~chosen])
    assert masked[masked != TOKENIZER.mask_token_id].min() >= len(SPECIAL_TOKENS)


def test_replacements_are_drawn_evenly_from_all_words() -> None:
    torch.manual_seed(0)
    ids = torch.full((400, 500), len(SPECIAL_TOKENS))
    masked, _ = mask_tokens(ids, TOKENIZER, Recipe(masked=1.0, replaced=0.9))
    counts = torch.bincount(masked.flatten(), minlength=len(TOKENIZER))[len(SPECIAL_TOKENS) + 1 :]
    expected = 0.9 * ids.numel() / (len(TOKENIZER) - len(SPECIAL_TOKENS))
    assert counts.min() > 0.6 * expected
    assert counts.max() < 1.4 * expected


def test_the_shipped_recipe_replaces_a_tenth_of_a_fifth() -> None:
    assert (Recipe().masked, Recipe().replaced) == (0.2, 0.1)


def test_special_tokens_are_never_masked() -> None:
    ids = torch.arange(len(SPECIAL_TOKENS)).repeat(50, 4)
    masked, chosen = mask_tokens(ids, TOKENIZER, Recipe(masked=1.0))
    assert not chosen.any()
    assert torch.equal(masked, ids)


def test_masks_depend_on_the_seed_alone_and_leave_the_ids_as_they_are() -> None:
    ids = torch.full((8, 30), 100)
    masks = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        masks.append(mask_tokens(ids, TOKENIZER, Recipe())[0])
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
    assert (ids == 100).all()


# --- the whole


@pytest.fixture(scope="module")
def cpu_settings() -> Iterator[None]:
    """Put back what pre-training sets for the whole process."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    yield
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)
    torch.set_flush_denormal(False)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, cpu_settings: None) -> tuple[Path, float]:
    folder = tmp_path_factory.mktemp("tiny")
    return folder, pretrain(TINY, folder)


def test_the_model_is_two_layers_of_128_without_dropout() -> None:
    config = build_model(len(TOKENIZER)).config
    assert config.hidden_dropout_prob == config.attention_probs_dropout_prob == 0
    assert (config.num_hidden_layers, config.hidden_size) == (2, 128)
    assert config.rxtune == {"learning_rate": room.FINE_TUNING_LEARNING_RATE}


def test_twenty_steps_lower_the_loss(
    tiny: tuple[Path, float], tmp_path: Path, cpu_settings: None
) -> None:
    first = pretrain(Recipe(steps=1, batch_size=32, documents=500, warm_up=2), tmp_path)
    assert first == pytest.approx(np.log(len(TOKENIZER)), abs=0.3)
    assert tiny[1] < first - 0.3


def test_the_folder_loads_with_encoder_tokenizer_and_learning_rate(
    tiny: tuple[Path, float],
) -> None:
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(tiny[0], local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(tiny[0], local_files_only=True)
    assert model.config.rxtune["learning_rate"] == room.FINE_TUNING_LEARNING_RATE
    assert tokenizer.backend_tokenizer.to_str() == TOKENIZER.backend_tokenizer.to_str()
    output = model(**tokenizer("the king", return_tensors="pt"))
    assert output.last_hidden_state.isfinite().all()


def test_the_same_seed_gives_the_same_weights(
    tiny: tuple[Path, float], tmp_path: Path, cpu_settings: None
) -> None:
    pretrain(TINY, tmp_path)
    first, second = (load_file(folder / "model.safetensors") for folder in (tiny[0], tmp_path))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("flags", "recipe", "folder"),
    [
        ([], Recipe(), encoder_folder()),
        (["--steps", "3", "--seed", "4", "--out", "x"], Recipe(steps=3, seed=4), Path("x")),
    ],
)
def test_the_command_rebuilds_with_the_defaults_of_the_recipe(
    monkeypatch: pytest.MonkeyPatch, flags: list[str], recipe: Recipe, folder: Path
) -> None:
    calls: list[tuple[Recipe, Path]] = []
    monkeypatch.setattr(room, "pretrain", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr("sys.argv", ["pretrain", *flags])
    room.main()
    assert calls == [(recipe, folder)]
