"""The tasks that rxtune knows by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rxtune.config import TaskChoice, TaskFile, did_you_mean, nearest
from rxtune.data.hub import HubTask, hub_task
from rxtune.data.task import Split, Task
from rxtune.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


def read_babel(language: str, split: Split) -> pa.Table:
    """Return a split of Babel as an Arrow table."""
    import pyarrow as pa

    from rxtune.testbed.babel import LABELS, items

    ids, premises, hypotheses, labels = zip(*items(language, split), strict=True)
    return pa.table(
        {
            "id": ids,
            "text": premises,
            "text_pair": hypotheses,
            "label": pa.array([LABELS.index(label) for label in labels], pa.int64()),
        }
    )


def babel_substitutes(kind: str) -> Mapping[str, Sequence[str]]:
    """Return Babel's synonyms, or its dictionary from the source into a language."""
    from rxtune.testbed.substitutes import dictionary, synonyms

    return synonyms() if kind == "synonyms" else dictionary(kind)


BABEL = Task(
    name="babel",
    title="language inference in English and seven constructed languages (embedded)",
    labels=("entailment", "neutral", "contradiction"),
    source_language="eng",
    target_languages=("qaa", "qab", "qac", "qad", "qae", "qaf", "qag"),
    dev_languages=("qaf",),
    default_model="babel-tiny",
    epochs=3.5,
    batch_size=32,
    max_length=64,
    read=read_babel,
    is_pair=True,
    parallel="id",
    substitutes=babel_substitutes,
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


XNLI = HubTask(
    name="xnli",
    title="language inference, 15 languages (Conneau et al. 2018)",
    hub="facebook/xnli",
    labels=("entailment", "neutral", "contradiction"),
    also={"0": "entailment", "1": "neutral", "2": "contradiction"},
    text="premise",
    text_pair="hypothesis",
    source_language="en",
    target_languages=_words("ar bg de el es fr hi ru sw th tr ur vi zh"),
    dev_languages=("sw",),
    parallel="row",
    epochs=1.0,
)
PAWS_X = HubTask(
    name="paws-x",
    title="paraphrases, 7 languages (Yang et al. 2019)",
    hub="google-research-datasets/paws-x",
    labels=("different", "paraphrase"),
    also={"0": "different", "1": "paraphrase"},
    drop_labels=("-1",),
    drop_texts=("", "NS"),
    id="id",
    text="sentence1",
    text_pair="sentence2",
    source_language="en",
    target_languages=_words("de es fr ja ko zh"),
    dev_languages=("ko",),
    parallel="id",
    default_model="google-bert/bert-base-multilingual-cased",
    epochs=3.0,
)
SIB_200 = HubTask(
    name="sib200",
    title="topics of sentences, 14 of its 205 languages (Adelani et al. 2023)",
    hub="Davlan/sib200",
    labels=_words("entertainment geography health politics science/technology sports travel"),
    id="index_id",
    text="text",
    label="category",
    source_language="eng_Latn",
    target_languages=_words(
        "amh_Ethi arb_Arab deu_Latn fra_Latn hin_Deva jpn_Jpan quy_Latn spa_Latn swh_Latn tur_Latn"
        " urd_Arab yor_Latn zho_Hans"
    ),
    dev_languages=("swh_Latn",),
    parallel="id",
    epochs=20.0,
    batch_size=16,
)
AFRI_XNLI = replace(
    XNLI,
    name="afrixnli",
    title="language inference, 18 languages of and in Africa (Adelani et al. 2024)",
    hub="masakhane/afrixnli",
    source_language="eng",
    target_languages=_words("amh ewe fra hau ibo kin lin lug orm sna sot swa twi wol xho yor zul"),
    dev_languages=("yor",),
    borrows=("train",),
    lender=XNLI,
)
AMERICAS_NLI = replace(
    XNLI,
    name="americasnli",
    title="language inference, 10 languages of the Americas (Ebrahimi et al. 2022)",
    hub="nala-cub/americas_nli",
    target_languages=_words("aym bzd cni gn hch nah oto quy shp tar"),
    dev_languages=("quy",),
    parallel=None,
    borrows=("train", "dev", "test"),
    lender=XNLI,
)
MASAKHA_NEWS = HubTask(
    name="masakhanews",
    title="topics of news, 16 languages of and in Africa (Adelani et al. 2023)",
    hub="masakhane/masakhanews",
    labels=_words("business entertainment health politics religion sports technology"),
    text="text",
    label="category",
    source_language="eng",
    target_languages=_words("amh fra hau ibo lin lug orm pcm run sna som swa tir xho yor"),
    dev_languages=("yor",),
    epochs=10.0,
    batch_size=16,
    max_length=256,
)

HUB_TASKS: Mapping[str, HubTask] = {
    entry.name: entry for entry in (XNLI, PAWS_X, SIB_200, AFRI_XNLI, AMERICAS_NLI, MASAKHA_NEWS)
}
"""The entries of the catalogue; a new one is added to this line and above it."""

TASKS: Mapping[str, Task] = {
    "babel": BABEL,
    **{name: hub_task(entry) for name, entry in HUB_TASKS.items()},
}
"""All tasks by name. Making them looks nothing up."""


def find_task(name: str | TaskFile | TaskChoice) -> Task:
    """Return the task that a study or the command line names.

    Raises:
        DataError: there is no such task, or files of it do not exist.
    """
    if isinstance(name, TaskFile):
        from rxtune.data.files import own_task

        return own_task(name)
    if isinstance(name, TaskChoice):
        return _chosen(name)
    if name in TASKS:
        return TASKS[name]
    raise DataError(f"unknown task {name!r}; {_hint(name)}")


def _hint(name: str) -> str:
    near = nearest(name, TASKS)
    hint = f"did you mean {near!r}? " if near else ""
    return f"{hint}`rxtune tasks` lists: {', '.join(TASKS)}; own data: name a .yaml file"


def _chosen(choice: TaskChoice) -> Task:
    entry = HUB_TASKS.get(choice.catalogue)
    if entry is None and choice.catalogue in TASKS:
        raise DataError(f"task {choice.catalogue!r} is embedded; name it without a folder")
    if entry is None:
        raise DataError(f"unknown task {choice.catalogue!r}; {_hint(choice.catalogue)}")
    for folder in (choice.folder, choice.source_folder):
        if folder is not None and not Path(folder).is_dir():
            raise DataError(f"{folder}: no such folder; give a copy of {entry.hub} in hub layout")
    _require_languages(entry, choice)
    return hub_task(
        entry,
        folder=choice.folder,
        source_folder=choice.source_folder,
        target_languages=choice.target_languages,
        dev_languages=choice.dev_languages,
    )


def _require_languages(entry: HubTask, choice: TaskChoice) -> None:
    targets = choice.target_languages or entry.target_languages
    if entry.source_language in targets:
        raise DataError(
            f"target_languages: {entry.source_language!r} is the source language of"
            f" {entry.name!r}; a target is another one"
        )
    for language in choice.dev_languages or ():
        if language not in (entry.source_language, *targets):
            raise DataError(
                f"dev_languages: task {entry.name!r} has no language {language!r};"
                f" {did_you_mean(language, targets)}"
            )
