"""A cluster that asks for a token says at once to whom it does not talk, and what would help."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from rxtune.errors import ClusterError
from rxtune.search.cluster_token import require_token


class Head(grpc.GenericRpcHandler):
    """Stands for Ray's control service: answers everybody who has its token, if it has one."""

    def __init__(self, token: str | None) -> None:
        self.token = token

    def service(self, call: Any) -> Any:
        sent = dict(call.invocation_metadata).get("authorization")

        def answer(request: bytes, context: Any) -> bytes:
            if self.token is not None and sent != f"Bearer {self.token}":
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken: missing")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def head() -> Iterator[Any]:
    """Return a function that starts such a service and returns its address."""
    servers = []

    def start(token: str | None) -> str:
        server = grpc.server(ThreadPoolExecutor(1), handlers=(Head(token),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(None)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without any token."""
    for name in ("MODE", "TOKEN", "TOKEN_PATH"):
        monkeypatch.delenv(f"RAY_AUTH_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def put(home: Path, token: str) -> None:
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text(f"{token}\n")


def test_a_cluster_without_a_token_takes_everybody(head: Any) -> None:
    require_token(head(None))


def test_who_has_none_is_told_where_to_get_it(head: Any) -> None:
    address = head("right")
    with pytest.raises(ClusterError) as refusal:
        require_token(address)
    told = str(refusal.value)
    assert told.startswith(f"--address: the cluster at '{address}' asks for its token, and there")
    assert "there is none in ~/.ray/auth_token: copy that file from the head (`scp HEAD:" in told
    assert "`ray exec cluster/" in told


def test_a_wrong_one_is_named_by_its_place_and_not_shown(
    head: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(home, "wrong-one")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with pytest.raises(ClusterError, match=r"the one in ~/\.ray/auth_token is not it") as refusal:
        require_token(head("right"))
    assert "wrong-one" not in str(refusal.value)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "another")
    with pytest.raises(ClusterError, match="the one in RAY_AUTH_TOKEN is not it"):
        require_token(head("right"))


def test_the_right_one_passes(head: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home, "right")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    require_token(head("right"))
    moved = (home / ".ray" / "auth_token").rename(home / "elsewhere")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(moved))
    require_token(head("right"))


def test_a_token_that_ray_would_not_send_there_is_told_of_and_not_sent(
    head: Any, home: Path
) -> None:
    put(home, "right")
    with pytest.raises(ClusterError, match="only with RAY_AUTH_MODE=token: set that"):
        require_token(head("right"))


def test_to_the_cluster_of_this_machine_ray_sends_what_there_is(
    head: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(home, "right")
    monkeypatch.setenv("RAY_ADDRESS", head("right"))
    require_token("auto")
    monkeypatch.setenv("RAY_ADDRESS", head("another"))
    with pytest.raises(ClusterError, match="the cluster at 'auto' asks for its token"):
        require_token("auto")


def test_where_no_ray_answers_ray_itself_shall_say_so() -> None:
    with socket.socket() as closed:  # bound, but not listening: nobody else gets the port
        closed.bind(("127.0.0.1", 0))
        require_token(f"127.0.0.1:{closed.getsockname()[1]}")
