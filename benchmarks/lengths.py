"""Lengths in tokens of training texts: of Babel, of SIB-200, and as XNLI's are."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rxtune.data import find_task, load_tokenizer, tokenise
from rxtune.testbed import encoder_folder

LONGEST = 128
SIB200 = Path("../shared/data/sib200")
"""Real texts, where a checkout has them beside it."""
VOCABULARY = 30_000

Lengths = NDArray[np.int64]


def babel_tokens() -> pa.Table:
    """Return Babel's training split as tokens."""
    task = find_task("babel")
    texts = task.read(task.source_language, "train")
    return tokenise(texts, load_tokenizer(encoder_folder()), LONGEST)


def of(table: pa.Table) -> Lengths:
    """Return the lengths of a tokenised table."""
    return np.diff(table.column("input_ids").combine_chunks().offsets.to_numpy()).astype(np.int64)


def sib200() -> dict[str, Lengths]:
    """Return the lengths of SIB-200's training split by language.

    The tokens are those of a BPE vocabulary of 30,000 pieces, made from these texts in all
    languages: no pretrained tokenizer comes with this repository. Without the texts there is a
    log-normal fit to the English ones.
    """
    if not SIB200.is_dir():
        return {"eng_Latn (fit)": _clipped(_log_normal(31.7, 10.6, 701, seed=0) + 2)}
    texts = {folder.name: _texts(folder / "train.tsv") for folder in sorted(SIB200.iterdir())}
    pieces = _tokenizer([text for split in texts.values() for text in split])
    return {
        language: _clipped(np.array([len(text.ids) + 2 for text in pieces.encode_batch(split)]))
        for language, split in texts.items()
    }


def xnli(pairs: int, *, seed: int = 0) -> Lengths:
    """Return lengths of pairs as XNLI's English training split (MultiNLI) has them.

    Premises of 22.3 words on average, hypotheses of 11.4 (Williams et al. 2018, arXiv
    1704.05426), both log-normal; their spreads (14 and 4.5), 1.25 pieces a word and 4 special
    tokens are assumed.
    """
    premise = _log_normal(22.3, 14.0, pairs, seed=seed)
    hypothesis = _log_normal(11.4, 4.5, pairs, seed=seed + 1)
    return _clipped(1.25 * (premise + hypothesis) + 4)


def random_tokens(
    lengths: Lengths, *, vocabulary: int, labels: int = 3, seed: int = 0
) -> pa.Table:
    """Return a tokenised table of these lengths; no token is below 5, where the special ones are.

    As many labels as classes of XNLI; the tokens say nothing about them.
    """
    draw = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    values = draw.integers(5, vocabulary, offsets[-1]).astype(np.int32)
    ids = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))
    return pa.table({"input_ids": ids, "label": draw.integers(0, labels, len(lengths))})


def _clipped(lengths: NDArray[np.floating] | Lengths) -> Lengths:
    return np.clip(np.round(lengths), 3, LONGEST).astype(np.int64)


def _log_normal(mean: float, deviation: float, count: int, *, seed: int) -> NDArray[np.float64]:
    variance = math.log(1 + (deviation / mean) ** 2)
    draw = np.random.default_rng(seed)
    return draw.lognormal(math.log(mean) - variance / 2, math.sqrt(variance), count)


def _texts(file: Path) -> list[str]:
    with file.open(encoding="utf-8", newline="") as lines:
        return [
            row["text"] for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


def _tokenizer(texts: list[str]):  # type: ignore[no-untyped-def]
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    kind = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<unk>"], show_progress=False
    )
    made.train_from_iterator(texts, kind)
    return made
