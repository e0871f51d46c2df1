"""The journal: a group is written whole or not at all, and damage never passes unseen."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from rxtune.errors import RxtuneError, StudyError
from rxtune.search.journal import JournalFile

ROOT = Path(__file__).parents[2]


def no_sync(_: int) -> None:
    """Stand in for `os.fsync`."""


def write_groups(path: Path, sizes: list[int]) -> None:
    journal = JournalFile(path, sync=no_sync)
    for size in sizes:
        with journal.group():
            journal.append_logs([{"op_code": 2, "text": "ü" * size} for _ in range(size)])
    journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.log"


# --- groups


def test_every_line_is_numbered_and_a_groups_last_line_carries_the_commit_mark(
    path: Path,
) -> None:
    write_groups(path, [2, 1, 3])
    logs = [json.loads(line) for line in path.read_text().splitlines()]
    assert [log["seq"] for log in logs] == [0, 1, 2, 3, 4, 5]
    assert [log["seq"] for log in logs if log.get("commit")] == [1, 2, 5]


def test_a_group_is_one_write_and_one_sync(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    journal = JournalFile(path, sync=lambda _: calls.append("sync"))
    write = os.write
    monkeypatch.setattr(os, "write", lambda *args: (calls.append("write"), write(*args))[1])
    calls.clear()
    with journal.group():
        for number in range(5):
            journal.append_logs([{"op_code": number}])
    with journal.group():
        pass
    assert calls == ["write", "sync"]


def test_an_open_group_is_read_by_its_storage_but_not_yet_in_the_file(path: Path) -> None:
    journal = JournalFile(path)
    storage = JournalStorage(journal)
    with journal.group():
        study = optuna.create_study(storage=storage)
        study.ask()
        assert len(study.trials) == 1
        assert path.read_bytes() == b""
    assert path.read_bytes() != b""


def test_an_exception_in_a_group_writes_nothing(path: Path) -> None:
    journal = JournalFile(path)
    journal.append_logs([{"op_code": 0}])
    before = path.read_bytes()

    def fail_inside() -> None:
        with journal.group():
            journal.append_logs([{"op_code": 1}])
            raise KeyError("no such parameter")

    with pytest.raises(KeyError, match="no such parameter"):
        fail_inside()
    assert path.read_bytes() == before
    assert len(journal.read_logs(0)) == 1
    journal.append_logs([{"op_code": 2}])
    assert [log["seq"] for log in journal.read_logs(0)] == [0, 1]


def test_an_append_outside_of_a_group_is_a_group(path: Path) -> None:
    journal = JournalFile(path)
    journal.append_logs([{"op_code": 0}, {"op_code": 1}])
    assert ["commit" in log for log in journal.read_logs(0)] == [False, True]


def test_another_threads_append_to_an_open_group_is_a_mistake_and_no_deadlock(path: Path) -> None:
    journal = JournalFile(path)
    caught: list[BaseException] = []

    def append() -> None:
        try:
            journal.append_logs([{"op_code": 1}])
        except AssertionError as error:
            caught.append(error)

    with journal.group():
        thread = threading.Thread(target=append)
        thread.start()
        thread.join()
    assert "another thread" in str(caught[0])


def test_groups_of_many_threads_do_not_mix(path: Path) -> None:
    journal = JournalFile(path, sync=no_sync)

    def work(worker: int) -> None:
        for _ in range(20):
            with journal.group():
                for _ in range(3):
                    journal.append_logs([{"op_code": worker}])

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logs = journal.read_logs(0)
    assert [log["seq"] for log in logs] == list(range(240))
    assert all(len({log["op_code"] for log in logs[n : n + 3]}) == 1 for n in range(0, 240, 3))


# --- other readers


def test_optunas_own_backend_reads_the_same_trials(path: Path) -> None:
    journal = JournalFile(path)
    study = optuna.create_study(storage=JournalStorage(journal), study_name="s")
    with journal.group():
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        trial.suggest_categorical("ü", ["a", None])
        trial.report(0.5, step=1)
        study.tell(trial, 0.5)
    stock = JournalStorage(JournalFileBackend(str(path)))
    assert optuna.load_study(storage=stock, study_name="s").trials == study.trials


def test_a_reader_looks_on_without_holding_or_repairing_the_file(path: Path) -> None:
    write_groups(path, [2, 1])
    holder = JournalFile(path)
    with path.open("ab") as file:
        file.write(b'{"op_code"')  # as if seen in the middle of a write
    reader = JournalFile(path, read_only=True)
    assert len(reader.read_logs(0)) == 3
    assert path.read_bytes().endswith(b'{"op_code"')
    reader.close()
    holder.close()


# --- opening after a crash


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.floats(0, 1))
def test_a_cut_anywhere_opens_at_the_last_commit_before_it(sizes: list[int], at: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.log"
        write_groups(path, sizes)
        content = path.read_bytes()
        cut = round(at * len(content))
        path.write_bytes(content[:cut])
        ends = [
            0,
            *(n + 1 for n, byte in enumerate(content) if byte == 10 and _commits(content, n)),
        ]
        expected = content[: max(end for end in ends if end <= cut)]
        journal = JournalFile(path, sync=no_sync)
        assert path.read_bytes() == expected
        assert (journal.recovered is None) == (cut == len(expected))
        journal.append_logs([{"op_code": 9}])
        journal.close()
        assert JournalFile(path).recovered is None


def _commits(content: bytes, newline: int) -> bool:
    return b'"commit":true' in content[:newline].rpartition(b"\n")[2]


def test_recovery_says_what_it_removed(path: Path) -> None:
    write_groups(path, [2, 1, 2])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + b'{"op')
    recovered = JournalFile(path).recovered
    assert recovered is not None
    assert f"removed {len(lines[3]) + 4} bytes after line 3" in recovered


def drop(lines: list[bytes]) -> None:
    del lines[3]


def repeat(lines: list[bytes]) -> None:
    lines.insert(3, lines[2])


def garble(lines: list[bytes]) -> None:
    lines[3] = lines[3][:9] + b"\0" + lines[3][9:]


def foreign(lines: list[bytes]) -> None:
    lines.append(b'{"op_code":2,"study_id":0,"user_attr":{"note":"x"}}\n')


@pytest.mark.parametrize(
    ("damage", "line", "groups", "text"),
    [
        (drop, 4, 2, "sequence number 4 where 3 must stand .lines before it are missing"),
        (repeat, 4, 2, "sequence number 2 where 3 must stand .lines are repeated"),
        (garble, 4, 2, "not a JSON object"),
        (foreign, 7, 3, "not written by rxtune .it has no sequence number"),
    ],
)
def test_other_damage_is_refused_by_line_and_left_as_it_is(
    path: Path, damage: Callable[[list[bytes]], None], line: int, groups: int, text: str
) -> None:
    write_groups(path, [2, 1, 3])
    lines = path.read_bytes().splitlines(keepends=True)
    damage(lines)
    path.write_bytes(b"".join(lines))
    with pytest.raises(StudyError, match=rf"journal.log, line {line}: {text}") as error:
        JournalFile(path)
    assert f"the {groups} decisions before it are whole" in str(error.value)
    assert path.read_bytes() == b"".join(lines)


def test_the_copy_that_a_refusal_proposes_can_be_opened(path: Path) -> None:
    write_groups(path, [2, 1, 3])
    lines = path.read_bytes().splitlines(keepends=True)
    garble(lines)
    path.write_bytes(b"".join(lines))
    with pytest.raises(StudyError, match="To go on from there, type in") as error:
        JournalFile(path)
    command = str(error.value).split("`")[1]
    subprocess.run(["bash", "-c", command], cwd=path.parent, check=True)
    assert path.read_bytes() == b"".join(lines[:3])
    assert JournalFile(path).recovered is None


def test_a_journal_damaged_in_its_first_decision_has_nothing_to_save(path: Path) -> None:
    write_groups(path, [2])
    path.write_bytes(b"x" + path.read_bytes())
    with pytest.raises(StudyError, match=r"line 1: not a JSON.*start a new search with another"):
        JournalFile(path)


@settings(max_examples=300, deadline=None)
@given(st.integers(0), st.integers(1, 255))
def test_one_wrong_byte_is_refused_by_line_or_changes_nothing(at: int, flip: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.log"
        write_groups(path, [2, 1, 3])
        content = bytearray(path.read_bytes())
        written = logs_of(path)
        at %= len(content) - 1  # without the last line end, the last group is torn
        content[at] ^= flip
        path.write_bytes(content)
        line = bytes(content[:at]).count(b"\n") + 1
        found: Any = None
        with suppress(StudyError):
            found = logs_of(path)
        if found is None:
            with pytest.raises(StudyError, match=rf"journal\.log, line {line}: "):
                JournalFile(path)
        else:
            assert found == written  # it was the checksum's own name
        assert path.read_bytes() == content


def logs_of(path: Path) -> list[Any]:
    with closing(JournalFile(path, sync=no_sync)) as journal:
        logs = journal.read_logs(0)
    return [{key: log[key] for key in ("op_code", "text", "seq")} for log in logs]


def test_a_value_that_was_changed_is_refused(path: Path) -> None:
    with closing(JournalFile(path)) as journal:
        journal.append_logs([{"op_code": 0, "value": 0.5}, {"op_code": 1}])
    path.write_bytes(path.read_bytes().replace(b"0.5", b"0.6"))
    with pytest.raises(StudyError, match=r"line 1: its checksum is \w{8} and must be \w{8}"):
        JournalFile(path)


def test_a_journal_without_checksums_is_read_and_goes_on_with_them(path: Path) -> None:
    path.write_text('{"op_code":0,"seq":0,"commit":true}\n')
    with closing(JournalFile(path)) as journal:
        journal.append_logs([{"op_code": 1}])
    assert [b"crc" in line for line in path.read_bytes().splitlines()] == [False, True]
    assert len(JournalFile(path).read_logs(0)) == 2


# --- one process


def test_a_second_opener_is_refused_at_once_and_told_who_has_the_file(path: Path) -> None:
    with pytest.raises(StudyError, match=rf"\(pid {os.getpid()}\) is using .*journal.log"):
        _ = JournalFile(path), JournalFile(path)


HOLD = """
import sys
from rxtune.search.journal import JournalFile
journal = JournalFile(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_another_process_is_refused_until_the_holder_dies(path: Path) -> None:
    holder = python(HOLD, path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StudyError, match=rf"another rxtune search \(pid {holder.pid}\)"):
        JournalFile(path)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    JournalFile(path).close()
    assert os.listdir(path.parent) == ["journal.log"]


def test_what_another_program_wrote_meanwhile_is_not_overwritten(path: Path) -> None:
    journal = JournalFile(path)
    journal.append_logs([{"op_code": 0}])
    with path.open("ab") as file:
        file.write(b"note\n")
    with pytest.raises(RxtuneError, match="changed by another program"):
        journal.append_logs([{"op_code": 1}])
    assert path.read_bytes().endswith(b"note\n")


def test_a_closed_journal_refuses_and_closes_twice(path: Path) -> None:
    journal = JournalFile(path)
    journal.close()
    journal.close()
    with pytest.raises(RxtuneError, match="is closed"):
        journal.append_logs([{"op_code": 0}])


@pytest.mark.parametrize("place", ["", "missing/journal.log"])
def test_a_place_that_cannot_be_opened_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(StudyError, match="cannot open the search's journal"):
        JournalFile(tmp_path / place)


# --- a full disk

FILL = """
import resource, sys
from rxtune.errors import RxtuneError
from rxtune.search.journal import JournalFile
journal = JournalFile(sys.argv[1])
journal.append_logs([{"op_code": 0}])
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
for _ in range(2):
    try:
        journal.append_logs([{"op_code": 1, "text": "x" * 50} for _ in range(9)])
    except RxtuneError as error:
        print(error)
"""


def test_a_full_disk_undoes_the_group_and_ends_the_use_of_the_journal(path: Path) -> None:
    output, _ = python(FILL, path).communicate()
    messages = output.splitlines()
    assert len(messages) == 2
    assert messages[0] == messages[1]
    assert "cannot write the search's journal (File too large)" in messages[0]
    assert "make room, then resume" in messages[0]
    (line,) = path.read_text().splitlines()
    assert json.loads(line).items() >= {"op_code": 0, "seq": 0, "commit": True}.items()


def test_a_write_that_cannot_be_made_durable_is_undone(path: Path) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    write_groups(path, [1])
    before = path.read_bytes()
    journal = JournalFile(path, sync=fail)
    with pytest.raises(RxtuneError, match="Input/output error"):
        journal.append_logs([{"op_code": 1}])
    assert path.read_bytes() == before
    assert not journal.is_usable


def test_an_interrupt_during_the_write_undoes_the_group_and_no_more(path: Path) -> None:
    interrupts = [KeyboardInterrupt()]

    def interrupt(_: int) -> None:
        if interrupts:
            raise interrupts.pop()

    write_groups(path, [1])
    before = path.read_bytes()
    journal = JournalFile(path, sync=interrupt)
    with pytest.raises(KeyboardInterrupt):
        journal.append_logs([{"op_code": 1}])
    assert path.read_bytes() == before
    journal.append_logs([{"op_code": 2}])
    assert [log["op_code"] for log in journal.read_logs(1)] == [2]
