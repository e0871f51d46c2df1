"""Text becomes tokens, once, in Arrow tables that all workers share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from rxtune.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a local encoder folder, padding on the right.

    Raises:
        ModelError: the folder holds no tokenizer that loads without remote code, or an empty one.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, padding_side="right"
        )
    except Exception as error:  # tokenizers raises bare Exception, a damaged file also KeyError
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise _no_tokenizer(folder, reason) from error
    loaded: PreTrainedTokenizerBase = tokenizer
    # Where only config.json is, transformers makes one without words, which reads all as unknown.
    if len(loaded) <= len(loaded.all_special_tokens):
        raise _no_tokenizer(folder, "its vocabulary holds no words")
    return loaded


_SLOW_FILES = (
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "spiece.model",
    "spm.model",
    "tokenizer.model",
)


def _no_tokenizer(folder: str | Path, reason: str) -> ModelError:
    slow = [name for name in _SLOW_FILES if (Path(folder) / name).is_file()]
    if slow and not (Path(folder) / "tokenizer.json").is_file():
        return ModelError(
            f"{folder}: tokenizer.json must be there, but only {slow[0]} is, which needs the"
            " sentencepiece library to be read; fetch tokenizer.json from the hub, or write it"
            " where sentencepiece is installed: AutoTokenizer.from_pretrained(DIR)"
            ".save_pretrained(DIR)"
        )
    return ModelError(
        f"{folder}: no tokenizer could be loaded ({reason}); the folder needs the files that"
        " `tokenizer.save_pretrained` writes"
    )


def tokenise(table: pa.Table, tokenizer: PreTrainedTokenizerBase, max_length: int) -> pa.Table:
    """Return a table of `input_ids`, `label` and, if the tokenizer has them, `token_type_ids`.

    Args:
        table: columns `text`, `label` and, for pairs, `text_pair`.
        tokenizer: of the encoder that will read the tokens.
        max_length: longest sequence in tokens; of a pair the longer text is cut first.
    """
    texts = [table.column("text").to_pylist()]
    if "text_pair" in table.column_names:
        texts.append(table.column("text_pair").to_pylist())
    encoded = tokenizer(
        *texts, truncation=True, max_length=max_length, return_attention_mask=False
    )
    columns: dict[str, pa.Array] = {
        "input_ids": pa.array(encoded["input_ids"], pa.list_(pa.int32()))
    }
    if "token_type_ids" in encoded:
        columns["token_type_ids"] = pa.array(encoded["token_type_ids"], pa.list_(pa.int8()))
    columns["label"] = table.column("label").combine_chunks()
    return pa.table(columns).combine_chunks()
