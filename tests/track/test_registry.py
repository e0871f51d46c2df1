"""An exported model in MLflow's registry: it loads back, and says what it said."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from rxtune.errors import TrackingError
from rxtune.track import register_model

PAIR = ("old kings bought ropes", "aged people purchased cords")


@pytest.fixture(scope="module")
def classifier(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from rxtune.data.tokens import load_tokenizer
    from rxtune.train import build_model, load_encoder, save_model

    folder = tmp_path_factory.mktemp("registered") / "mine"
    save_model(build_model(load_encoder(tiny_encoder), ("yes", "maybe", "no"), 1), str(folder))
    load_tokenizer(tiny_encoder).save_pretrained(folder)
    return folder


def components(folder: Path) -> dict[str, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    return {"model": model, "tokenizer": AutoTokenizer.from_pretrained(folder)}


def register(tracker: Any, database: Path, classifier: Path, record: Any) -> str:
    return register_model(
        f"sqlite:///{database}",
        experiment="babel",
        name="swahili",
        components=components(classifier),
        search_id=tracker.search_id,
        record=record(3, "finished", evaluations=2),
    )


def test_a_registered_model_loads_back_with_the_same_logits(
    open_tracker: Callable[..., Any],
    database: Path,
    classifier: Path,
    record: Any,
    capfd: pytest.CaptureFixture[str],
) -> None:
    import mlflow
    import torch

    tracker = open_tracker()
    tracker.trial_started(record(3))
    tracker.trial_ended(record(3, "finished", evaluations=2))
    tracker.close()
    before = children(database, tracker)
    assert register(tracker, database, classifier, record) == "models:/swahili/1"
    assert register(tracker, database, classifier, record) == "models:/swahili/2"
    assert capfd.readouterr() == ("", "")
    assert children(database, tracker) == before  # no run was started anew
    version = MlflowClient(f"sqlite:///{database}").get_model_version("swahili", "2")
    assert version.tags == {"trial": "3", "method": "rs_rp", "dev_score": "0.4200"}
    assert version.run_id == before[0][0]

    mlflow.set_tracking_uri(f"sqlite:///{database}")
    loaded = mlflow.transformers.load_model("models:/swahili/2", return_type="components")
    own = components(classifier)
    tokens = own["tokenizer"](*PAIR, return_tensors="pt")
    with torch.no_grad():
        found = loaded["model"].eval()(**tokens).logits
        assert torch.equal(found, own["model"](**tokens).logits)
    answer = mlflow.pyfunc.load_model("models:/swahili/2").predict("old kings bought ropes")
    assert answer["label"][0] in ("yes", "maybe", "no")


def children(database: Path, tracker: Any) -> list[tuple[str, str, int]]:
    found = MlflowClient(f"sqlite:///{database}").search_runs(
        [tracker.experiment_id],
        f"tags.`rxtune.search_id` = '{tracker.search_id}' and tags.`rxtune.trial` LIKE '%'",
    )
    return [(run.info.run_id, run.info.status, run.info.end_time) for run in found]


def test_a_search_that_mlflow_does_not_have_is_refused(
    database: Path, classifier: Path, record: Any, open_tracker: Callable[..., Any]
) -> None:
    tracker = open_tracker()
    tracker.close()
    tracker.search_id = "gone"
    with pytest.raises(TrackingError, match="has no run of trial 3 of this search"):
        register(tracker, database, classifier, record)


def test_an_upload_that_is_given_up_leaves_the_terminal_as_it_was(
    database: Path,
    classifier: Path,
    record: Any,
    open_tracker: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import mlflow.transformers

    tracker = open_tracker()
    tracker.close()  # its own run stands in for the trial's
    may_end = threading.Event()
    uploads: list[threading.Thread] = []

    def never_saved(*arguments: Any, **named: Any) -> None:
        uploads.append(threading.current_thread())
        may_end.wait()
        raise RuntimeError("given up")

    monkeypatch.setattr(mlflow.transformers, "save_model", never_saved)
    monkeypatch.setattr("rxtune.track.registry._UPLOAD_SECONDS", 0.05)
    before = (sys.stdout, sys.stderr, logging.root.manager.disable)
    try:
        with pytest.raises(TrackingError, match="no answer in time"):
            register(tracker, database, classifier, record)
        assert (sys.stdout, sys.stderr, logging.root.manager.disable) == before
    finally:
        may_end.set()
        for upload in uploads:
            upload.join()
    assert (sys.stdout, sys.stderr, logging.root.manager.disable) == before
