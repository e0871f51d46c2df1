"""A search over real sentences in fourteen languages, from a task file to figures recounted."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

pytestmark = pytest.mark.slow_end_to_end

SIB = Path(__file__).parents[3] / "shared" / "data" / "sib200"
LABELS = "entertainment, geography, health, politics, science/technology, sports, travel"
TASK = """\
labels: [{labels}]
source_language: eng_Latn
dev_languages: [swh_Latn]
parallel: id
columns: {{id: index_id, text: text, label: category}}
files:
  train: "{folder}/{{language}}/train.tsv"
  dev: "{folder}/{{language}}/dev.tsv"
  test: "{folder}/{{language}}/test.tsv"
epochs: 1
batch_size: 16
"""


def rows(language: str, split: str) -> list[dict[str, str]]:
    with (SIB / language / f"{split}.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def save_untrained_encoder(folder: Path) -> None:
    """Write a BERT of 64 dimensions whose words are those of the training data."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=2000, special_tokens=special)
    languages = sorted(path.name for path in SIB.iterdir())
    tokenizer.train_from_iterator(
        [row["text"] for language in languages for row in rows(language, "dev")], trainer
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]", model_max_length=64,
    ).save_pretrained(folder)  # fmt: skip
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=64, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    config.update({"rxtune": {"learning_rate": 1e-3}})
    BertModel(config).save_pretrained(folder)


@pytest.mark.skipif(not SIB.is_dir(), reason="real data is not here")
def test_every_accuracy_of_a_search_over_sib_200_can_be_recounted(
    workplace: Any, tmp_path: Path
) -> None:
    save_untrained_encoder(tmp_path)
    task = tmp_path / "sib.yaml"
    task.write_text(TASK.format(labels=LABELS, folder=SIB))
    model = ("--model", str(tmp_path), "--task", str(task))
    ended = workplace.run("search", "--space", "space.yaml", *model, "--name", "sib")
    assert ended.code == 0, ended

    best = workplace.run_folder("sib").best
    winner = json.loads((best / "rxtune.json").read_text())["trial"]
    reported = workplace.records("sib")[winner].zero_shot
    saved = pq.read_table(best / "predictions.parquet").to_pylist()
    counted = {}
    for language in reported.accuracy:
        truth = {row["index_id"]: row["category"] for row in rows(language, "dev")}
        found = {row["id"]: row["prediction"] for row in saved if row["language"] == language}
        assert found.keys() == truth.keys()
        counted[language] = sum(found[key] == truth[key] for key in truth) / len(truth)
    assert counted == pytest.approx(dict(reported.accuracy), abs=1e-12)
    assert len(counted) == 14
    assert "swh_Latn (dev)" in ended.output
