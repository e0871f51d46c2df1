"""A proxy before an S3 server that delays, refuses, denies or cuts off what is sent through it."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Literal

Fault = Literal["", "deny", "refuse", "cut"]
"""Nothing; answer 403, which nobody repeats; answer 500; break off amid the body."""
_ANSWERS = {"deny": 403, "refuse": 500}
_OF_CONNECTION = ("transfer-encoding", "content-length", "connection", "expect")
_OWN_HEADERS = (*_OF_CONNECTION, "server", "date")


@dataclass
class FaultyStore:
    """The proxy's address, and what it does to requests, which a test may change at any time."""

    endpoint: str
    fault_of: Callable[[str, str], Fault] = lambda method, path: ""
    """Method and path of a request -> what becomes of it."""
    delay_of: Callable[[str, str], float] = lambda method, path: 0.0
    """Method and path of a request -> seconds before it is passed on."""
    done: list[tuple[str, str, Fault]] = field(default_factory=list)
    """Every request so far, with what became of it."""

    def refuse_uploads(self, *faults: Fault) -> None:
        """Do these to the uploads in turn, for ever."""
        count = iter(range(10**9))
        self.fault_of = lambda method, path: (
            faults[next(count) % len(faults)] if method in ("PUT", "POST") else ""
        )

    def work(self) -> None:
        """Do nothing to anything."""
        self.fault_of, self.delay_of = (lambda method, path: ""), (lambda method, path: 0.0)


@contextmanager
def faulty_store(behind: str) -> Iterator[FaultyStore]:
    """Run a proxy before the server at `behind`, `host:port`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    store = FaultyStore(f"127.0.0.1:{server.server_port}")
    _Handler.places[server.server_port] = (store, behind)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    places: ClassVar[dict[int, tuple[FaultyStore, str]]] = {}
    """By port: the proxy, and what is behind it."""

    def _pass_on(self) -> None:
        store, behind = self.places[self.server.server_address[1]]
        fault = store.fault_of(self.command, self.path)
        store.done.append((self.command, self.path, fault))
        if fault == "cut":
            self.rfile.read(int(self.headers.get("Content-Length", 0)) // 2)
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = self._body()
        time.sleep(store.delay_of(self.command, self.path))
        if fault:
            self._answer(_ANSWERS[fault], {}, b"")
            return
        connection = http.client.HTTPConnection(behind)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _OF_CONNECTION}
        headers["Content-Length"] = str(len(body))
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        self._answer(answer.status, dict(answer.getheaders()), answer.read())
        connection.close()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = b""
        while length := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(length)
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return found

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        sent = {k: v for k, v in headers.items() if k.lower() not in _OWN_HEADERS}
        length = str(len(body))
        if self.command == "HEAD":  # what it says is the object's
            length = {k.lower(): v for k, v in headers.items()}.get("content-length", length)
        with suppress(OSError):  # whoever asked has gone
            self.send_response(status)
            for name, value in {**sent, "Content-Length": length}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on

    def log_message(self, *_: object) -> None:
        """Print nothing."""
