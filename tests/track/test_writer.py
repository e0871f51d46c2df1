"""The writer takes work at once, joins what waits, retries what may pass, and ends in time."""

from threading import Barrier, Event

import pytest
from mlflow.exceptions import MlflowException

from rxtune.track import writer as module
from rxtune.track.writer import Writer


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(module, "FIRST_RETRY_SECONDS", 0.001)
    monkeypatch.setattr(module, "LAST_RETRY_SECONDS", 0.002)


def join(older, newer):
    return older + newer


def failing(errors, written):
    left = list(errors)

    def write(key, work):
        if left:
            raise left.pop(0)
        written.append((key, work))

    return write


def test_work_that_waits_is_joined_under_its_key():
    written, started, go_on = [], Event(), Event()

    def write(key, work):
        written.append((key, work))
        started.set()
        go_on.wait(10)

    writer = Writer(write, join)
    writer.put("a", [1])
    assert started.wait(10)
    for number in range(2, 100):
        writer.put("a", [number])
        writer.put("b", [number])
    go_on.set()
    assert writer.close(10) == []
    rest = list(range(2, 100))
    assert written == [("a", [1]), ("a", rest), ("b", rest)]


@pytest.mark.parametrize(
    "error", [MlflowException("database is locked"), ConnectionResetError("reset by peer")]
)
def test_a_passing_error_is_retried_and_noted_once(error):
    written = []
    writer = Writer(failing([error] * 3, written), join)
    writer.put("a", [1])
    assert writer.close(10) == []
    assert written == [("a", [1])]
    assert writer.problems == [f"MLflow, a: {error}"]


@pytest.mark.parametrize(
    "error", [MlflowException.invalid_parameter_value("bad key"), TypeError("bad key")]
)
def test_a_refusal_is_not_retried(error):
    written = []
    writer = Writer(failing([error], written), join)
    writer.put("a", [1])
    writer.put("b", [2])
    assert writer.close(10) == []
    assert ("b", [2]) in written
    assert ("a", [1]) not in written
    assert writer.problems == ["MLflow, a: bad key"]


def test_work_keeps_its_order_over_a_retry():
    written, failed = [], Event()
    errors = [OSError("once")]

    def write(key, work):
        if errors:
            failed.set()
            raise errors.pop()
        written.extend(work)

    writer = Writer(write, join)
    writer.put("a", [1])
    assert failed.wait(10)
    writer.put("a", [2])
    assert writer.close(10) == []
    assert written == [1, 2]


def test_closing_gives_up_on_a_store_that_hangs_and_says_what_is_left():
    started, go_on = Event(), Event()

    def write(key, work):
        started.set()
        go_on.wait(30)

    writer = Writer(write, join)
    writer.put("a", [1])
    assert started.wait(10)
    writer.put("b", [1])
    assert writer.close(0.01) == ["a", "b"]
    go_on.set()


def test_closing_gives_up_on_a_store_that_keeps_failing():
    def write(key, work):
        raise OSError("no route to host")

    writer = Writer(write, join)
    writer.put("a", [1])
    assert writer.close(0.05) == ["a"]
    assert writer.problems == ["MLflow, a: no route to host"]


def test_problems_are_bounded():
    writer = Writer(failing([TypeError(str(n)) for n in range(200)], []), join)
    for number in range(200):
        writer.put(str(number), [])
    assert writer.close(10) == []
    assert len(writer.problems) == module.MOST_PROBLEMS


def test_closing_twice_is_closing_once():
    writer = Writer(failing([], []), join)
    assert writer.close(10) == writer.close(10) == []


def test_several_threads_write_several_keys_at_a_time_but_never_one_key_twice():
    written, both = [], Barrier(2, timeout=10)

    def write(key, work):
        if work != [2]:
            both.wait()  # passes only if the other key is being written at the same time
        written.append((key, work))

    writer = Writer(write, join, threads=3)
    writer.put("a", [1])
    writer.put("b", [1])
    writer.put("a", [2])
    writer.put("b", [2])
    assert writer.close(10) == []
    assert [n for key, work in written if key == "a" for n in work] == [1, 2]
    assert [n for key, work in written if key == "b" for n in work] == [1, 2]


def test_a_key_that_hangs_holds_up_no_other():
    go_on, done = Event(), Event()

    def write(key, work):
        if key == "hangs":
            go_on.wait(30)
        else:
            done.set()

    writer = Writer(write, join, threads=2)
    writer.put("hangs", [1])
    writer.put("other", [1])
    assert done.wait(10)
    assert writer.close(0.01) == ["hangs"]
    go_on.set()
