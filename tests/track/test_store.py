"""Where runs are kept, and what is refused before a trial trains."""

import shutil
import socket
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from rxtune.errors import TrackingError
from rxtune.track import resolve_uri
from rxtune.track.store import connect, within


def test_the_default_is_what_a_bare_mlflow_ui_opens(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve_uri(None) == f"sqlite:///{tmp_path}/mlflow.db"


@pytest.mark.parametrize(
    ("uri", "resolved"),
    [
        ("sqlite:///a/b.db", "sqlite:////home/me/a/b.db"),
        ("sqlite:///../b.db?timeout=9", "sqlite:////home/b.db?timeout=9"),
        ("sqlite:////x/b.db", "sqlite:////x/b.db"),
        ("http://host:5000", "http://host:5000"),
        ("postgresql+psycopg2://u@h/db", "postgresql+psycopg2://u@h/db"),
        ("databricks", None),
    ],
)
def test_relative_databases_become_absolute_and_servers_stay(uri, resolved, tmp_path):
    folder = tmp_path.__class__("/home/me")
    if resolved is None:
        with pytest.raises(TrackingError, match="plain folders"):
            resolve_uri(uri, folder)
    else:
        assert resolve_uri(uri, folder) == resolved
        assert resolve_uri(resolved, tmp_path) == resolved


@pytest.mark.parametrize(
    "uri", ["file:///tmp/mlruns", "file:mlruns", "mlruns", "./runs", "/x", ""]
)
def test_a_folder_is_refused_with_what_to_use_instead(uri):
    with pytest.raises(TrackingError, match=r"use a database, for example 'sqlite:///mlflow.db'"):
        resolve_uri(uri)


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:", "sqlite:///", "sqlite:x.db"])
def test_a_database_in_memory_is_refused(uri):
    with pytest.raises(TrackingError, match="use a file"):
        resolve_uri(uri)


def test_a_closed_port_is_refused_by_its_address():
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody else can take the port
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TrackingError, match=rf"{uri}: Connection refused; start the server"):
            connect(uri, "babel")


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr("rxtune.track.store.FIRST_ANSWER_SECONDS", 0.3)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TrackingError, match=rf"{uri}: no answer in time; start the server"):
            connect(uri, "babel")


def test_a_file_that_is_no_database_is_refused_at_once(tmp_path):
    (tmp_path / "notes.db").write_text("not a database, but long enough to look like one" * 50)
    with pytest.raises(TrackingError, match=r"notes\.db: file is not a database; give another"):
        connect(f"sqlite:///{tmp_path}/notes.db", "babel")


def test_a_database_that_a_kill_left_half_made_is_made_anew(database, tmp_path, monkeypatch):
    path = tmp_path / "mlflow.db"
    connect(f"sqlite:///{database}", "made")  # a whole one, to copy from

    def killed(tracking_uri):
        Path(tracking_uri.removeprefix("sqlite:///")).write_bytes(b"half of the tables")
        raise RuntimeError("killed")

    monkeypatch.setattr("rxtune.track.store.MlflowClient", killed)
    with pytest.raises(TrackingError, match="killed"):
        connect(f"sqlite:///{path}", "babel")
    assert path.stat().st_size == 0  # nothing, not half of it

    def makes(tracking_uri):
        made = Path(tracking_uri.removeprefix("sqlite:///"))
        if not made.exists():
            shutil.copy(database, made)
        return MlflowClient(tracking_uri)

    monkeypatch.setattr("rxtune.track.store.MlflowClient", makes)
    connect(f"sqlite:///{path}", "babel")
    assert path.stat().st_size > 0
    assert [file.name for file in tmp_path.glob("mlflow*")] == ["mlflow.db"]


def test_a_place_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrackingError, match="give another file"):
        connect(f"sqlite:///{tmp_path}/file/x.db", "babel")


def test_a_deleted_experiment_is_refused_with_the_way_back(database):
    uri = f"sqlite:///{database}"
    client = MlflowClient(uri)
    number = client.create_experiment("gone", artifact_location=database.parent.as_uri())
    client.delete_experiment(number)
    with pytest.raises(TrackingError, match=rf"mlflow experiments restore -x {number}"):
        connect(uri, "gone")
    client.restore_experiment(number)
    assert connect(uri, "gone")[1] == number


def test_an_experiment_is_made_once(database):
    uri = f"sqlite:///{database}"
    assert connect(uri, "once")[1] == connect(uri, "once")[1]


def test_an_error_of_the_first_call_becomes_one_line():
    def call():
        raise ValueError("two\nlines")

    with pytest.raises(TrackingError, match="two lines"):
        within(10, "sqlite:///x", call)
