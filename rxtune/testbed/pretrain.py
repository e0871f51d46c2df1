"""Rebuilds the shipped encoder `babel-tiny` from nothing: `python -m rxtune.testbed.pretrain`.

Masked language modelling on Babel text. A document is two sentences that have something to say to
each other; as on the web, some documents change the language in the middle. No label is seen.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerBase

from rxtune.testbed.grammar import say
from rxtune.testbed.inference import draw_pair
from rxtune.testbed.languages import LANGUAGES, SOURCE
from rxtune.testbed.tokenizer import build_tokenizer, encoder_folder

FINE_TUNING_LEARNING_RATE = 1e-3
"""The encoder's own default, as 2e-5 is that of a base-size encoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the encoder is pre-trained; the defaults made the one that is shipped."""

    steps: int = 9000
    batch_size: int = 128
    documents: int = 300_000
    """Size of the pool that batches are drawn from; every pass masks anew."""
    mixed: float = 0.15
    """Share of documents whose second sentence is in the source language."""
    masked: float = 0.2
    learning_rate: float = 2e-3
    warm_up: int = 500
    seed: int = 0
    threads: int = 1
    """One: the matrices are small, and two threads wait for each other on a busy machine."""


def draw_document(generator: random.Random, mixed: float) -> tuple[str, str]:
    """Return two related sentences; languages are drawn by their share of the text."""
    shares = [language.pretraining_share for language in LANGUAGES.values()]
    (first,) = generator.choices(tuple(LANGUAGES), shares)
    second = SOURCE if generator.random() < mixed else first
    pair = draw_pair(generator)
    sentences = (say(pair.premise, first), say(pair.hypothesis, second))
    return sentences if generator.random() < 0.5 else (sentences[1], sentences[0])


def draw_pool(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> NDArray[np.int64]:
    """Return (documents, longest) token ids, padded on the right and sorted by length."""
    generator = random.Random(recipe.seed)
    documents = [draw_document(generator, recipe.mixed) for _ in range(recipe.documents)]
    firsts, seconds = zip(*documents, strict=True)
    rows = tokenizer(list(firsts), list(seconds), return_token_type_ids=False)["input_ids"]
    rows.sort(key=len)
    pool = np.zeros((len(rows), len(rows[-1])), dtype=np.int64)
    for number, row in enumerate(rows):
        pool[number, : len(row)] = row
    return pool


def draw_batches(pool: NDArray[np.int64], recipe: Recipe) -> Iterator[torch.Tensor]:
    """Yield batches of documents of about one length, without end, reshuffled at every pass."""
    generator = np.random.default_rng(recipe.seed)
    starts = np.arange(0, len(pool) - recipe.batch_size + 1, recipe.batch_size)
    while True:
        for start in generator.permutation(starts):
            batch = pool[start : start + recipe.batch_size]
            yield torch.from_numpy(batch[:, : int((batch != 0).sum(1).max())])


def mask_tokens(
    ids: torch.Tensor, tokenizer: PreTrainedTokenizerBase, share: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (masked ids, which are masked), both (B, T): 80 % [MASK], 10 % random, 10 % kept.

    Source: Devlin et al. 2019, arXiv 1810.04805, section 3.1.
    """
    special = len(tokenizer.all_special_tokens)
    chosen = (torch.rand(ids.shape) < share) & (ids >= special)
    fate = torch.rand(ids.shape)
    masked = ids.clone()
    masked[chosen & (fate < 0.8)] = tokenizer.mask_token_id
    noise = torch.randint(special, len(tokenizer), ids.shape)
    return torch.where(chosen & (fate > 0.9), noise, masked), chosen


def build_model(vocabulary_size: int) -> BertForMaskedLM:
    """Return the untrained encoder with its language-model head."""
    config = BertConfig(
        vocab_size=vocabulary_size,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=64,
        rxtune={"learning_rate": FINE_TUNING_LEARNING_RATE},
    )
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
    model = build_model(len(tokenizer)).eval()  # eval: half a million weights need no dropout
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _slope(recipe))
    recent: list[float] = []
    began = time.monotonic()
    for step in range(1, recipe.steps + 1):
        loss = _masked_loss(model, next(batches), tokenizer, recipe.masked)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        recent = [*recent[-199:], loss.item()]
        if step % 500 == 0:
            seconds = time.monotonic() - began
            print(f"step {step}/{recipe.steps}  loss {np.mean(recent):.3f}  {seconds:.0f} s", flush=True)
    model.bert.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return float(np.mean(recent))


def _slope(recipe: Recipe):  # type: ignore[no-untyped-def]
    def factor(step: int) -> float:
        rest = (recipe.steps - step) / max(1, recipe.steps - recipe.warm_up)
        return min((step + 1) / recipe.warm_up, rest)

    return factor


def _masked_loss(
    model: BertForMaskedLM,
    ids: torch.Tensor,
    tokenizer: PreTrainedTokenizerBase,
    share: float,
) -> torch.Tensor:
    masked, chosen = mask_tokens(ids, tokenizer, share)
    hidden = model.bert(masked, attention_mask=(ids != 0).long()).last_hidden_state
    return torch.nn.functional.cross_entropy(model.cls(hidden[chosen]), ids[chosen])


def main() -> None:
    """Parse the command line and rebuild the encoder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=encoder_folder(), help="folder to write")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    pretrain(Recipe(steps=arguments.steps, seed=arguments.seed), arguments.out)


if __name__ == "__main__":
    main()
