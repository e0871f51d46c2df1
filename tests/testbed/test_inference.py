"""Labels, against the rules of the small world written down a second time."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.testbed.babel import SPLITS, pairs
from rxtune.testbed.grammar import Meaning, NounPhrase
from rxtune.testbed.inference import LABELS, MeaningPair, draw_pair
from rxtune.testbed.lexicon import CLASS_OF, OPPOSITE_OF, SYNONYM_OF, SYNONYMS

# --- the rules: what follows from what


def plain(meaning: Meaning) -> Meaning:
    """Return the meaning with every synonym replaced by the word that the rules know."""
    base = {other: word for word, other in SYNONYMS.items()}

    def phrase(content: NounPhrase | None) -> NounPhrase | None:
        if content is None:
            return None
        adjective = base.get(content.adjective or "", content.adjective)
        return NounPhrase(base.get(content.noun, content.noun), adjective)

    subject, object_ = phrase(meaning.subject), phrase(meaning.object)
    assert subject is not None
    assert object_ is not None
    verb = base.get(meaning.verb, meaning.verb)
    return replace(
        meaning, subject=subject, verb=verb, object=object_, place=phrase(meaning.place)
    )


def follows_phrase(phrase: NounPhrase, premise: NounPhrase) -> bool:
    return phrase.noun in (premise.noun, CLASS_OF.get(premise.noun)) and phrase.adjective in (
        None,
        premise.adjective,
    )


def follows(meaning: Meaning, premise: Meaning) -> bool:
    """Say whether `meaning` says nothing that the premise does not say."""
    where, premise_where = ((m.preposition, m.place) for m in (meaning, premise))
    return (
        follows_phrase(meaning.subject, premise.subject)
        and follows_phrase(meaning.object, premise.object)
        and meaning.verb == premise.verb
        and meaning.adverb in (None, premise.adverb)
        and where in ((None, None), premise_where)
    )


def exclude_each_other(first: str | None, second: str | None) -> bool:
    """Say whether no thing is both: opposites, or two nouns of one class."""
    if first is None or second is None or first == second:
        return False
    same_class = first in CLASS_OF and CLASS_OF[first] == CLASS_OF.get(second)
    return same_class or OPPOSITE_OF.get(first) == second


def clashes(meaning: Meaning, premise: Meaning) -> list[str]:
    """Return where the two cannot both be true."""
    words = [
        ("verb", meaning.verb, premise.verb),
        ("adverb", meaning.adverb, premise.adverb),
        ("subject", meaning.subject.noun, premise.subject.noun),
        ("subject adjective", meaning.subject.adjective, premise.subject.adjective),
        ("object", meaning.object.noun, premise.object.noun),
        ("object adjective", meaning.object.adjective, premise.object.adjective),
    ]
    if meaning.place == premise.place:  # inside the house, outside the mill: both can be true
        words.append(("preposition", meaning.preposition, premise.preposition))
    return [slot for slot, word, other in words if exclude_each_other(word, other)]


def judge(premise: Meaning, hypothesis: Meaning) -> str:
    """Return the label by the rules alone: never asks how the pair was made."""
    premise, hypothesis = plain(premise), plain(hypothesis)
    if clashes(hypothesis, premise):
        return "contradiction"
    return "entailment" if follows(hypothesis, premise) else "neutral"


@pytest.mark.parametrize(
    ("change", "label"),
    [
        ({"adverb": None}, "entailment"),
        ({"verb": "purchased"}, "entailment"),
        ({"verb": "traded"}, "contradiction"),
        ({"object": NounPhrase("cords", "large")}, "entailment"),
        ({"object": NounPhrase("blades", "large")}, "contradiction"),
        ({"object": NounPhrase("tools", "big")}, "entailment"),
        ({"object": NounPhrase("ropes", "small")}, "contradiction"),
        ({"object": NounPhrase("knives", "big")}, "contradiction"),
        ({"subject": NounPhrase("children"), "adverb": None}, "contradiction"),
        ({"verb": "sold", "adverb": None}, "contradiction"),
        ({"preposition": "outside"}, "contradiction"),
        ({"preposition": "outside", "place": NounPhrase("houses")}, "neutral"),
        ({"subject": NounPhrase("kings", "old")}, "neutral"),
        ({"subject": NounPhrase("kings", "old"), "adverb": "yesterday"}, "contradiction"),
    ],
)
def test_the_rules_judge_simple_cases(change: dict[str, object], label: str) -> None:
    premise = Meaning(
        subject=NounPhrase("kings"),
        verb="bought",
        object=NounPhrase("ropes", "big"),
        adverb="today",
        preposition="inside",
        place=NounPhrase("shops"),
    )
    assert judge(premise, replace(premise, **change)) == label


# --- the pairs


@pytest.mark.parametrize("split", SPLITS)
def test_every_label_is_what_the_rules_say(split: str) -> None:
    wrong = [p for p in pairs()[split] if judge(p.premise, p.hypothesis) != LABELS[p.label]]
    assert wrong == []


@given(st.integers(0, 2**64))
def test_labels_are_right_for_any_seed(seed: int) -> None:
    pair = draw_pair(random.Random(seed))
    assert judge(pair.premise, pair.hypothesis) == LABELS[pair.label]
    assert pair.premise != pair.hypothesis


def labelled(label: str) -> list[MeaningPair]:
    """Return the pairs of a label, in the words that the rules know."""
    return [
        MeaningPair(plain(p.premise), plain(p.hypothesis), p.label)
        for split in SPLITS
        for p in pairs()[split]
        if LABELS[p.label] == label
    ]


def words(meaning: Meaning) -> list[str]:
    """Return the words of a meaning that have a synonym."""
    phrases = [p for p in (meaning.subject, meaning.object, meaning.place) if p is not None]
    found = [meaning.verb, *(p.noun for p in phrases), *(p.adjective for p in phrases)]
    return [word for word in found if word in SYNONYM_OF]


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("side", ["premise", "hypothesis"])
def test_synonyms_are_chosen_freely_whatever_the_label(side: str, label: str) -> None:
    rows = [getattr(p, side) for p in pairs()["dev"] if LABELS[p.label] == label]
    chosen = [word in SYNONYMS for meaning in rows for word in words(meaning)]
    assert abs(sum(chosen) / len(chosen) - 0.5) < 0.04


def said(meaning: Meaning) -> set[str]:
    """Return what a sentence can leave out and this one says."""
    optional = {
        "subject adjective": meaning.subject.adjective,
        "object adjective": meaning.object.adjective,
        "adverb": meaning.adverb,
        "place": meaning.place,
    }
    return {slot for slot, content in optional.items() if content is not None}


def test_a_contradiction_clashes_once_and_adds_nothing() -> None:
    for pair in labelled("contradiction"):
        assert len(clashes(pair.hypothesis, pair.premise)) == 1
        assert said(pair.hypothesis) <= said(pair.premise)


def test_contradictions_clash_everywhere_a_word_can() -> None:
    found = {slot for p in labelled("contradiction") for slot in clashes(p.hypothesis, p.premise)}
    nouns = {"subject", "object", "subject adjective", "object adjective"}
    assert found == nouns | {"verb", "preposition", "adverb"}


def test_a_neutral_hypothesis_adds_exactly_one_thing() -> None:
    added = [said(pair.hypothesis) - said(pair.premise) for pair in labelled("neutral")]
    assert {len(slots) for slots in added} == {1}
    everywhere = {"subject adjective", "object adjective", "adverb", "place"}
    assert set.union(*added) == everywhere


def test_an_entailed_hypothesis_adds_nothing() -> None:
    assert all(said(p.hypothesis) <= said(p.premise) for p in labelled("entailment"))


@pytest.mark.parametrize("label", LABELS)
def test_hypotheses_of_every_label_leave_out_and_name_the_class(label: str) -> None:
    rows = labelled(label)
    shorter = sum(not said(p.premise) <= said(p.hypothesis) for p in rows)
    classes = sum(
        not {p.hypothesis.subject.noun, p.hypothesis.object.noun} <= CLASS_OF.keys() for p in rows
    )
    assert min(shorter, classes) > 0.05 * len(rows)


def test_a_pair_depends_on_the_generator_alone() -> None:
    random.seed(1)
    first = [draw_pair(random.Random(7)) for _ in range(3)]
    assert len(set(first)) == 1
