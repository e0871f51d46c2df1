"""Rebuilds the shipped encoder `babel-tiny` from nothing: `python -m rxtune.testbed.pretrain`.

Masked language modelling on Babel text. A document is two sentences that have something to say to
each other; as on the web, some documents change the language in the middle. No label is seen.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerBase

from rxtune.testbed.babel import evaluation_pairs
from rxtune.testbed.grammar import say
from rxtune.testbed.inference import draw_pair
from rxtune.testbed.languages import LANGUAGES, SOURCE
from rxtune.testbed.tokenizer import build_tokenizer, encoder_folder

FINE_TUNING_LEARNING_RATE = 1e-3
"""The encoder's own default, as 2e-5 is that of a base-size encoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the encoder is pre-trained; the defaults made the one that is shipped."""

    steps: int = 6000
    batch_size: int = 128
    documents: int = 250_000
    """Size of the pool that batches are drawn from; every pass masks anew."""
    mixed: float = 0.15
    """Share of documents whose second sentence is in the source language."""
    masked: float = 0.2
    """Share of words that are to be predicted."""
    replaced: float = 0.1
    """Share of those that another word stands for."""
    learning_rate: float = 2e-3
    warm_up: int = 300
    seed: int = 2
    """Of three encoders the one with the best source accuracy on dev."""
    threads: int = 1
    """One: the matrices are small, and two threads wait for each other on a busy machine."""


def draw_document(generator: random.Random, mixed: float) -> tuple[str, str]:
    """Return two related sentences; languages are drawn by their share of the text.

    No pair of dev or test is drawn, in whatever language; such a pair with premise and hypothesis
    exchanged can be.
    """
    shares = [language.pretraining_share for language in LANGUAGES.values()]
    (first,) = generator.choices(tuple(LANGUAGES), shares)
    second = SOURCE if generator.random() < mixed else first
    pair = draw_pair(generator)
    while pair in evaluation_pairs():
        pair = draw_pair(generator)
    sentences = (say(pair.premise, first), say(pair.hypothesis, second))
    return sentences if generator.random() < 0.5 else (sentences[1], sentences[0])


@dataclass(frozen=True, slots=True)
class Pool:
    """Documents as tokens, padded on the right and sorted by length."""

    ids: NDArray[np.int64]
    """(documents, longest); 0 is padding."""
    sentences: NDArray[np.int64]
    """(documents, longest): 0 in the first sentence, 1 in the second."""


def draw_pool(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> Pool:
    """Return the documents that batches are drawn from."""
    generator = random.Random(recipe.seed)
    documents = [draw_document(generator, recipe.mixed) for _ in range(recipe.documents)]
    firsts, seconds = zip(*documents, strict=True)
    encoded = tokenizer(list(firsts), list(seconds))
    order = sorted(range(len(documents)), key=lambda row: len(encoded["input_ids"][row]))
    return Pool(
        _padded([encoded["input_ids"][row] for row in order]),
        _padded([encoded["token_type_ids"][row] for row in order]),
    )


def _padded(rows: list[list[int]]) -> NDArray[np.int64]:
    padded = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return padded


def draw_batches(pool: Pool, recipe: Recipe) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield (ids, sentences) of documents of about one length, without end, reshuffled each pass.

    Raises:
        ValueError: the pool does not fill one batch.
    """
    size = recipe.batch_size
    if len(pool.ids) < size:
        raise ValueError(f"documents >= batch_size must hold, but got ({len(pool.ids)}, {size})")
    generator = np.random.default_rng(recipe.seed)
    starts = np.arange(0, len(pool.ids) - size + 1, size)
    while True:
        for start in generator.permutation(starts):
            ids, sentences = pool.ids[start : start + size], pool.sentences[start : start + size]
            longest = int((ids != 0).sum(1).max())
            yield torch.from_numpy(ids[:, :longest]), torch.from_numpy(sentences[:, :longest])


def mask_tokens(
    ids: torch.Tensor, tokenizer: PreTrainedTokenizerBase, recipe: Recipe
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (masked ids, which are to be predicted), both (B, T).

    Of those, 10 % stay, `recipe.replaced` become another word, and the rest become [MASK].
    Source: Devlin et al. 2019, arXiv 1810.04805, section 3.1.
    """
    special = len(tokenizer.all_special_tokens)
    chosen = (torch.rand(ids.shape) < recipe.masked) & (ids >= special)
    fate = torch.rand(ids.shape)
    masked = ids.clone()
    masked[chosen & (fate < 0.9 - recipe.replaced)] = tokenizer.mask_token_id
    noise = torch.randint(special, len(tokenizer), ids.shape)
    return torch.where(chosen & (fate > 1 - recipe.replaced), noise, masked), chosen


def build_model(vocabulary_size: int) -> BertForMaskedLM:
    """Return the untrained encoder with its language-model head."""
    config = BertConfig(
        vocab_size=vocabulary_size,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,  # half a million weights need none; ModernBERT has none either
        attention_probs_dropout_prob=0.0,
    )
    config.update({"rxtune": {"learning_rate": FINE_TUNING_LEARNING_RATE}})
    model = BertForMaskedLM(config)
    model.set_attn_implementation("eager")  # at this size three times as fast as sdpa
    return model


def pretrain(recipe: Recipe, folder: Path) -> float:
    """Write the encoder and its tokenizer to `folder`; return the final loss in nats per token."""
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    torch.set_float32_matmul_precision("medium")  # oneDNN: faster than MKL on AMD processors
    torch.set_flush_denormal(True)
    tokenizer = build_tokenizer()
    batches = draw_batches(draw_pool(recipe, tokenizer), recipe)
    model = build_model(len(tokenizer))
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _slope(recipe))
    recent: list[float] = []
    began = time.monotonic()
    for step in range(1, recipe.steps + 1):
        loss = _masked_loss(model, *next(batches), tokenizer, recipe)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        recent = [*recent[-199:], loss.item()]
        if step % 500 == 0:
            status = f"loss {np.mean(recent):.3f}  {time.monotonic() - began:.0f} s"
            print(f"step {step}/{recipe.steps}  {status}", flush=True)
    model.bert.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return float(np.mean(recent))


def _slope(recipe: Recipe) -> Callable[[int], float]:
    """Return the factor on the learning rate by step: up over the warm-up, then down to 0."""

    def factor(step: int) -> float:
        rest = (recipe.steps - step) / max(1, recipe.steps - recipe.warm_up)
        return min((step + 1) / recipe.warm_up, rest)

    return factor


def _masked_loss(
    model: BertForMaskedLM,
    ids: torch.Tensor,
    sentences: torch.Tensor,
    tokenizer: PreTrainedTokenizerBase,
    recipe: Recipe,
) -> torch.Tensor:
    masked, chosen = mask_tokens(ids, tokenizer, recipe)
    encoded = model.bert(masked, attention_mask=(ids != 0).long(), token_type_ids=sentences)
    logits = model.cls(encoded.last_hidden_state[chosen])
    return torch.nn.functional.cross_entropy(logits, ids[chosen])


def main() -> None:
    """Parse the command line and rebuild the encoder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=encoder_folder(), help="folder to write")
    default = Recipe()
    parser.add_argument("--steps", type=int, default=default.steps, help="optimiser updates")
    parser.add_argument("--seed", type=int, default=default.seed, help="of text and weights")
    arguments = parser.parse_args()
    pretrain(Recipe(steps=arguments.steps, seed=arguments.seed), arguments.out)


if __name__ == "__main__":
    main()
