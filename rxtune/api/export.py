"""The verbs that hand on what a search has found: its model, its report, and their use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rxtune.api.findings import read_findings
from rxtune.errors import StudyError
from rxtune.search.run_folder import RunFolder

if TYPE_CHECKING:
    import pyarrow as pa

    from rxtune.config import TaskChoice, TaskFile
    from rxtune.config.smoothing import Smoothing
    from rxtune.data import Task
    from rxtune.data.model_facts import ModelFacts
    from rxtune.export import Exported, OnnxCheck
    from rxtune.report.page import Findings, Written
    from rxtune.results import TrialRecord
    from rxtune.search.models import ModelStore
    from rxtune.train.classify import Classifier, Probabilities

ONNX_TEXTS = 256
"""Texts on which an ONNX file is compared, shared out among the languages."""


def export(
    name: str,
    folder: Path,
    root: Path = Path("runs"),
    *,
    trial: int | None = None,
    confirmed: bool = False,
    onnx: bool = False,
    license: str | None = None,
    register: str | None = None,
    experiment: str = "rxtune",
) -> Exported:
    """Write a kept model to a folder, with tokenizer, label names and model card.

    Args:
        name: the run; the search may still be running.
        folder: where to; must be new or empty, and not the working directory. If anything fails,
            nothing is left there.
        root: folder of all runs.
        trial: whose model; None: the best one's.
        confirmed: take the one that `rxtune confirm` has found better than plain fine-tuning.
        onnx: write an ONNX file as well, compared with the model on texts of the dev split.
        license: the hub's identifier of the model's license, for the card.
        register: name under which MLflow's registry gets it as a new version.
        experiment: MLflow experiment of the search.

    Raises:
        StudyError: there is no such run or model, the folder is taken, or nothing is confirmed;
            or the running search takes the model away while it is copied.
        DataError: `onnx`, and the task's dev split cannot be read; or the catalogue does not know
            the task any more.
        ModelError: the model does not load, or cannot become an ONNX file.
        TrackingError: `register`, and MLflow refuses or cannot be reached.
    """
    from rxtune.export import Exported, export_model
    from rxtune.export.folder import require_new
    from rxtune.storage import local_bytes_below

    require_new(folder)
    run = RunFolder.existing(root, name)
    read, record = _choose(run, trial, confirmed)
    texts = _texts_to_compare(read) if onnx else None
    findings = _with_task(read)
    register_it = _registering(run, record, register, experiment)
    check, version = export_model(
        _models(run).kept_folder,
        record.number,
        folder,
        facts=partial(_facts, findings, record),
        max_length=_max_length(findings),
        finish=partial(_finish, findings, record, folder.name, license, texts, register_it),
    )
    return Exported(
        folder=folder,
        trial=record.number,
        bytes=local_bytes_below(folder),
        onnx=check,
        registered=version,
    )


def publish_report(
    name: str, written: Written, root: Path = Path("runs"), *, experiment: str = "rxtune"
) -> None:
    """Put a report and its plots beside its search in MLflow, which shows them in place.

    Args:
        name: the run.
        written: from `report`.
        root: folder of all runs.
        experiment: MLflow experiment of the search.

    Raises:
        TrackingError: MLflow refuses, cannot be reached, or does not have the search.
    """
    from rxtune.track import log_report

    places = RunFolder.existing(root, name).places()
    plots = [path for path in written.figures if path.suffix == ".png"]
    log_report(
        places.tracking_uri,
        experiment=experiment,
        search_id=places.search_id,
        files=[written.page, *(plots or written.figures)],
    )


def predict(
    folder: Path,
    texts: pa.Table,
    smoothing: Smoothing | None = None,
    *,
    device: str | None = None,
) -> tuple[tuple[str, ...], Probabilities]:
    """Return a model's labels and their probabilities for texts (N, C), in the texts' order.

    Args:
        folder: of an exported model, or `best` of a run.
        texts: columns `text` and, for pairs, `text_pair`.
        smoothing: noise on the embeddings over which is voted; None: without noise.
        device: `cpu`, `cuda`, …; None: a GPU where there is one.

    Raises:
        ModelError: the model does not load, or a relative sigma has no unit there.
    """
    import torch

    from rxtune.train.classify import load_classifier

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    classifier = load_classifier(folder, device)
    return classifier.labels, classifier.classify(texts, smoothing)


def _models(run: RunFolder) -> ModelStore:
    from rxtune.search.models import ModelStore

    return ModelStore(run.places().storage, run.best)


def _choose(run: RunFolder, trial: int | None, confirmed: bool) -> tuple[Findings, TrialRecord]:
    """Return what is known of the search, and the trial whose kept model is to be exported."""
    models = _models(run)
    # Before the journal is read: that may take seconds, and one crowned since is not in it.
    crowned = models.crowned
    findings = read_findings(run)
    record = _chosen(findings, crowned, trial, confirmed)
    if record.number != crowned and models.kept_folder(record.number) is None:
        raise StudyError(_not_kept(run, record.number))
    return findings, record


def _texts_to_compare(findings: Findings) -> Callable[[], pa.Table]:
    """Return what reads the texts on which an ONNX file is compared with its model."""
    from rxtune.train.onnx import require_onnx

    require_onnx()
    return partial(_real_texts, findings.data.task)


def _chosen(
    findings: Findings, crowned: int | None, trial: int | None, confirmed: bool
) -> TrialRecord:
    if confirmed and trial is not None:
        raise StudyError("--confirmed: chooses a trial, and so does --trial; leave one out")
    number = _confirmed(findings) if confirmed else crowned if trial is None else trial
    found = {record.number: record for record in findings.records}
    if number is None:
        raise StudyError(
            f"run {findings.name!r} has no model yet: no trial has run to its end; wait for one,"
            " or go on with `rxtune search --resume`"
        )
    if number not in found:
        raise StudyError(
            f"--trial: there must be such a trial, got {number}; run {findings.name!r} has"
            f" {len(found)}, from 0 to {max(found, default=0)}"
        )
    if found[number].zero_shot is None:
        raise StudyError(f"--trial: trial {number} has no model: it did not run to its end")
    return found[number]


def _confirmed(findings: Findings) -> int:
    """Return the trial whose configuration the confirmation has found better than plain."""
    from rxtune.report import claim_of, verdict

    name = findings.name
    if findings.confirmed is None:
        raise StudyError(
            f"--confirmed: run {name!r} is not confirmed; type `rxtune confirm {name}` first, or"
            " leave the flag out"
        )
    claim = claim_of(findings.confirmed.confirmation)
    if claim is None or not claim.is_confirmed or claim.candidate.trial is None:
        raise StudyError(
            f"--confirmed: nothing is: {verdict(findings.confirmed.confirmation)}; name the trial"
            " you want with --trial"
        )
    return claim.candidate.trial


def _not_kept(run: RunFolder, number: int) -> str:
    kept = ", ".join(map(str, sorted(_models(run).kept))) or "none"
    return (
        f"--trial: the model of trial {number} was not kept; kept are those of: {kept}. A new"
        " search keeps more with `rxtune search --keep N`"
    )


def _with_task(findings: Findings) -> Findings:
    """Return the findings with the task as the study describes it, where its data has moved.

    Raises:
        DataError: the catalogue does not know the task.
    """
    if findings.data.task is not None:
        return findings
    return replace(findings, data=replace(findings.data, task=_without_data(findings.study.task)))


def _without_data(task: str | TaskFile | TaskChoice) -> Task:
    """Return a task of which only what it says of itself is to be asked, not its data."""
    from rxtune.config.task_file import Files, TaskChoice, TaskFile
    from rxtune.data.catalogue import find_task

    if isinstance(task, TaskFile):
        return find_task(task.model_copy(update={"files": Files(train={}, dev={}, test={})}))
    if isinstance(task, TaskChoice):
        return find_task(task.model_copy(update={"folder": None, "source_folder": None}))
    return find_task(task)


def _task(findings: Findings) -> Task:
    assert findings.data.task is not None, "it has been read, or is as the study describes it"
    return findings.data.task


def _max_length(findings: Findings) -> int:
    return findings.study.train.max_length or _task(findings).max_length


def _facts(findings: Findings, record: TrialRecord, classifier: Classifier) -> ModelFacts:
    from rxtune.data.model_facts import ModelFacts
    from rxtune.export import unit_of

    task, units = _task(findings), findings.study.units
    return ModelFacts(
        trial=record.number,
        task=task.name,
        is_pair=task.is_pair,
        max_length=_max_length(findings),
        units=units,
        unit=unit_of(findings.records, classifier.width) if units == "relative" else None,
    )


def _finish(
    findings: Findings,
    record: TrialRecord,
    name: str,
    license: str | None,
    texts: Callable[[], pa.Table] | None,
    register: Callable[[Classifier], str] | None,
    classifier: Classifier,
    folder: Path,
) -> tuple[OnnxCheck | None, str | None]:
    """Write the ONNX file if it is asked for, then the card, which tells of it; register last."""
    from rxtune.export import check_onnx
    from rxtune.report.card import CardFacts, model_card

    check = check_onnx(classifier, folder, texts()) if texts else None
    facts = CardFacts(
        trial=record,
        name=name,
        labels=classifier.labels,
        max_length=classifier.max_length,
        unit=classifier.facts.unit,
        parameters=classifier.model.num_parameters(),
        license=license,
        onnx=None if check is None else str(check),
    )
    (folder / "README.md").write_text(model_card(findings, facts), encoding="utf-8")
    return check, None if register is None else register(classifier)


def _real_texts(task: Task | None) -> pa.Table:
    """Return the first texts of the dev split of every language."""
    import pyarrow as pa

    if task is None:
        raise StudyError(
            "--onnx: compares on texts of the task's dev split, but the task is not to be found;"
            " put its data back, or leave --onnx out"
        )
    languages = task.languages_with("dev")
    share = max(2, ONNX_TEXTS // len(languages))
    return pa.concat_tables(task.read(lang, "dev").slice(0, share) for lang in languages)


def _registering(
    run: RunFolder, record: TrialRecord, name: str | None, experiment: str
) -> Callable[[Classifier], str] | None:
    return None if name is None else partial(_register, run, record, name, experiment)


def _register(
    run: RunFolder, record: TrialRecord, name: str, experiment: str, classifier: Classifier
) -> str:
    from rxtune.track import register_model

    places = run.places()
    return register_model(
        places.tracking_uri,
        experiment=experiment,
        name=name,
        components={"model": classifier.model, "tokenizer": classifier.tokenizer},
        search_id=places.search_id,
        record=record,
    )
