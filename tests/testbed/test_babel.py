"""The task `babel`: splits, parallel items, and what a lazy reader could guess."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from rxtune.testbed import babel as room
from rxtune.testbed.babel import LABELS, SPLITS, Item, evaluation_pairs, items, pairs
from rxtune.testbed.languages import LANGUAGES, SOURCE, TARGETS, lexicons

DIGEST = "ebfa66885fd896a9dcbbf1c980ef6cd734eb4105bc453f59ea260f65cf6121ec"


def concepts(sentence: str, code: str) -> Counter[str]:
    """Return the concepts of a sentence, read word by word."""
    language, words = LANGUAGES[code], lexicons()[code]
    endings = ("", language.object_suffix, language.verb_suffix)
    meaning_of = {word + ending: concept for concept, word in words.items() for ending in endings}
    meaning_of |= {word: concept for concept, word in words.items()}
    return Counter(map(meaning_of.__getitem__, sentence.split()))


@pytest.mark.parametrize("split", ["dev", "test"])
@pytest.mark.parametrize("code", TARGETS)
def test_an_item_means_the_same_in_every_language(code: str, split: str) -> None:
    for source, target in zip(items(SOURCE, split), items(code, split), strict=True):
        assert (target.id, target.label) == (source.id, source.label)
    for source, target in zip(items(SOURCE, split)[:100], items(code, split)[:100], strict=True):
        for field in ("premise", "hypothesis"):
            expected = concepts(getattr(source, field), SOURCE)
            assert concepts(getattr(target, field), code) == expected


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_has_its_size_and_ids_of_its_own(split: str) -> None:
    ids = {item.id for item in items(SOURCE, split)}
    assert len(ids) == SPLITS[split]
    assert all(id_.startswith(split) for id_ in ids)


def test_no_pair_stands_in_two_splits_or_twice() -> None:
    everything = [(item.premise, item.hypothesis) for s in SPLITS for item in items(SOURCE, s)]
    assert len(set(everything)) == len(everything)


@pytest.mark.parametrize("code", TARGETS)
def test_no_item_of_dev_sounds_like_one_of_test(code: str) -> None:
    dev, test = ({(i.premise, i.hypothesis) for i in items(code, s)} for s in ("dev", "test"))
    assert (len(dev), len(test)) == (SPLITS["dev"], SPLITS["test"])
    assert not dev & test


def test_evaluation_pairs_are_those_of_dev_and_test() -> None:
    assert len(evaluation_pairs()) == SPLITS["dev"] + SPLITS["test"]
    assert evaluation_pairs() == {*pairs()["dev"], *pairs()["test"]}
    assert not evaluation_pairs() & set(pairs()["train"])


def test_dev_and_test_are_the_same_however_much_there_is_to_train_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = []
    for count in (1, 40):
        monkeypatch.setattr(room, "SPLITS", dict.fromkeys(SPLITS, 20) | {"train": count})
        drawn.append(room.pairs.__wrapped__())
    assert [len(found["train"]) for found in drawn] == [1, 40]
    for split in ("dev", "test"):
        assert drawn[0][split] == drawn[1][split]


@pytest.mark.parametrize("split", SPLITS)
def test_labels_are_balanced_within_three_points(split: str) -> None:
    counts = Counter(item.label for item in items(SOURCE, split))
    assert counts.keys() == set(LABELS)
    assert all(abs(count / SPLITS[split] - 1 / 3) < 0.03 for count in counts.values())


@pytest.mark.parametrize("code", LANGUAGES)
def test_premise_and_hypothesis_of_an_item_differ(code: str) -> None:
    same = [item for item in items(code, "dev") if item.premise == item.hypothesis]
    assert same == []


@pytest.mark.parametrize(
    ("code", "split"), [("qaa", "train"), ("xxx", "dev"), ("eng", "valid"), ("qag", "valid")]
)
def test_a_split_that_is_not_there_is_refused_by_name(code: str, split: str) -> None:
    with pytest.raises(KeyError, match=f"no split '{split}' in '{code}'"):
        items(code, split)


def test_dev_and_test_are_those_that_the_published_figures_were_measured_on() -> None:
    digest = hashlib.sha256()
    for code in LANGUAGES:
        for split in ("dev", "test"):
            for item in items(code, split):
                digest.update(repr(tuple(item)).encode())
    assert digest.hexdigest() == DIGEST, "new data: measure the benchmarks and the encoder anew"


# --- naive Bayes on one sentence of the two


def word_columns(sentences: list[str], columns: dict[str, int]) -> NDArray[np.float64]:
    """Return which words occur, (N, V) of 0 and 1."""
    occurs = np.zeros((len(sentences), len(columns)))
    for row, sentence in enumerate(sentences):
        occurs[row, [columns[word] for word in sentence.split()]] = 1
    return occurs


def guess_from(field: str, train: list[Item], dev: list[Item]) -> float:
    """Return the dev accuracy of Bernoulli naive Bayes that reads one field alone."""
    columns = {word: column for column, word in enumerate(lexicons()[SOURCE].values())}
    seen, new = (word_columns([getattr(i, field) for i in part], columns) for part in (train, dev))
    truth, expected = (np.array([LABELS.index(i.label) for i in part]) for part in (train, dev))
    share = np.array([(seen[truth == k].sum(0) + 1) / ((truth == k).sum() + 2) for k in range(3)])
    score = new @ np.log(share).T + (1 - new) @ np.log(1 - share).T
    return float((score.argmax(1) == expected).mean())


@pytest.mark.parametrize(("field", "limit"), [("premise", 0.40), ("hypothesis", 0.62)])
def test_one_sentence_alone_does_not_give_the_label_away(field: str, limit: float) -> None:
    accuracy = guess_from(field, items(SOURCE, "train"), items(SOURCE, "dev"))
    assert 0.28 < accuracy < limit
