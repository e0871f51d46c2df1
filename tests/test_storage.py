"""Places: what lies below them, what they may hold, and how they are refused."""

from __future__ import annotations

import errno
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune import storage
from rxtune.errors import ClusterError, DiskFullError, StudyError
from rxtune.search.options import SearchOptions
from tests.faulty_store import faulty_store

NAMES = st.lists(st.from_regex(r"[a-z0-9.-]{1,8}", fullmatch=True), min_size=1, max_size=3)
PATHS = st.sampled_from(["/data", "data/", "s3://b", "s3://b/x/", "file:///a%20b", "/odd?name"])


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time; no test here waits for the limit but one, with its own."""
    monkeypatch.setattr(storage, "ANSWER_SECONDS", 120.0)


# --- names below a place


@given(place=PATHS, names=NAMES)
def test_joining_at_once_or_step_by_step_is_the_same(place: str, names: list[str]) -> None:
    stepwise = place
    for name in names:
        stepwise = storage.join(stepwise, name)
    assert storage.join(place, *names) == stepwise == place.rstrip("/") + "/" + "/".join(names)


@given(names=NAMES)
def test_the_options_of_a_uri_stay_at_its_end(names: list[str]) -> None:
    joined = storage.join("s3://b/x/?region=r&tls_ca_file_path=/etc/ca.pem", *names)
    assert joined == f"s3://b/x/{'/'.join(names)}?region=r&tls_ca_file_path=/etc/ca.pem"


def test_a_path_becomes_absolute_and_a_uri_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert storage.absolute("kept") == str(tmp_path / "kept")
    assert storage.absolute("s3://b/x?region=r") == "s3://b/x?region=r"


# --- secrets


@pytest.mark.parametrize(
    "uri",
    [
        "s3://AKIA:hidden@bucket/x",
        "s3://AKIA:hid/den@bucket/x?region=r",
        "s3://AKIA:hid@den@bucket/x",
        "abfs://files:hidden@account.dfs.core.windows.net/x",
        "abfs://files@account/x?client_secret=hidden",
        "gs://bucket/x?retry_limit_seconds=3&access_token=hidden",
    ],
)
def test_a_uri_with_credentials_is_refused_without_showing_them(uri: str) -> None:
    with pytest.raises(StudyError, match="--storage: a URI must not hold credentials") as refusal:
        SearchOptions(name="rs", storage=uri)
    assert [part for part in ("hid", "den@", "AKIA") if part in str(refusal.value)] == []


@pytest.mark.parametrize(
    "place",
    [
        "s3://bucket/x?endpoint_override=127.0.0.1:9000&scheme=http",
        "abfs://files@account.dfs.core.windows.net/x",
        "/data/a:b@c",
        "s3://bucket/a:b@c",
    ],
)
def test_what_is_no_secret_may_be_said(place: str) -> None:
    assert SearchOptions(name="rs", storage=place).storage == place


# --- a storage that can be written


def test_a_probe_of_a_folder_that_is_not_there_leaves_none(tmp_path: Path) -> None:
    storage.require_writable(str(tmp_path / "a" / "b"))
    storage.require_writable((tmp_path / "a" / "b").as_uri())
    assert list(tmp_path.iterdir()) == []


def test_a_probe_of_a_bucket_leaves_nothing(bucket: Any) -> None:
    storage.require_writable(bucket.uri("probed"))
    assert bucket.keys("probed") == []


def test_a_probe_leaves_what_was_there(bucket: Any) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key="full/run/file", Body=b"kept")
    storage.require_writable(bucket.uri("full/run"))
    assert set(bucket.keys("full/run")) - {"full/run/"} == {"full/run/file"}


def test_the_environment_may_name_the_server(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{bucket.endpoint}")
    storage.require_writable(f"s3://{bucket.name}/environment?region=us-east-1")


# --- and one that cannot


def test_a_file_is_no_storage(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ClusterError, match=r"--storage: .*/file/x must be writable.*permissions"):
        storage.require_writable(str(tmp_path / "file" / "x"))


@pytest.mark.parametrize("place", ["ftp://x/y", "s3://b/x?regoin=r", "s3:///x"])
def test_a_uri_that_means_nothing_is_refused_with_an_example(place: str) -> None:
    with pytest.raises(ClusterError, match="must be a path or a URI like s3://bucket/folder"):
        storage.require_writable(place)


def test_a_bucket_that_is_not_there_is_refused(bucket: Any) -> None:
    missing = bucket.uri("x").replace(bucket.name, "no-such-bucket")
    with pytest.raises(ClusterError, match=r"\(NO_SUCH_BUCKET: .*\); make the bucket") as refusal:
        storage.require_writable(missing)
    assert "Request ID" not in str(refusal.value)


@pytest.fixture
def strict(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bucket, while its server looks at credentials."""
    from moto import settings

    monkeypatch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
    return bucket


def test_wrong_credentials_are_refused_with_where_right_ones_belong(strict: Any) -> None:
    with pytest.raises(ClusterError, match=r"check the credentials: AWS_ACCESS_KEY_ID and") as no:
        storage.require_writable(strict.uri("denied"))
    assert "made-up-secret" not in str(no.value)


def test_a_server_that_is_not_there_is_refused(bucket: Any) -> None:
    with socket.socket() as closed:  # bound, but not listening: nobody else gets the port
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        nowhere = bucket.uri("x").replace(bucket.endpoint, f"127.0.0.1:{port}")
        with pytest.raises(ClusterError, match=r"NETWORK_CONNECTION.*check endpoint_override"):
            storage.require_writable(nowhere)


def test_a_server_that_says_nothing_is_not_waited_for(bucket: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        uri = bucket.uri("x").replace(bucket.endpoint, f"127.0.0.1:{port}")
        with pytest.raises(ClusterError, match=r"\(no answer within 0\.2 s\); check endpoint_ov"):
            storage.require_writable(uri, seconds=0.2)


# --- folders


def test_a_slow_storage_is_waited_for_once_it_has_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = threading.Event()

    def answer_and_take_time(place: str, answers: threading.Event) -> None:
        answers.set()
        assert done.wait(60)  # a mock of a storage that takes seconds for every request

    monkeypatch.setattr(storage, "_write_and_delete", answer_and_take_time)
    threading.Timer(2.0, done.set).start()
    storage.require_writable("s3://slow/x", seconds=1.0)
    assert done.is_set()


def test_only_a_folder_without_a_file_is_deleted(bucket: Any, tmp_path: Path) -> None:
    for place in (bucket.uri("folders"), str(tmp_path / "folders")):
        filesystem, path = storage.open_place(place)
        filesystem.create_dir(f"{path}/empty/deeper", recursive=True)
        filesystem.create_dir(f"{path}/full", recursive=True)
        with filesystem.open_output_stream(f"{path}/full/file") as stream:
            stream.write(b"kept")
        for name in ("empty", "full", "missing"):
            storage.delete_if_empty(filesystem, f"{path}/{name}")
        kinds = [filesystem.get_file_info(f"{path}/{x}").type.name for x in ("empty", "full")]
        assert kinds == ["NotFound", "Directory"]
        storage.delete_folder(filesystem, f"{path}/full")
        storage.delete_folder(filesystem, f"{path}/full")
        assert filesystem.get_file_info(f"{path}/full").type.name == "NotFound"


# --- a full disk


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
]


@pytest.mark.parametrize("error", FULL)
def test_a_full_disk_is_told_with_its_place_and_what_was_needed(
    error: Exception, tmp_path: Path
) -> None:
    place = str(tmp_path / "trial-0001")
    with (
        pytest.raises(
            DiskFullError, match=r"trial-0001: the disk is full: a model needs 2\.1 MB, "
        ),
        storage.telling_of_full_disk(place, "a model", 2_100_000),
    ):
        raise error
    told = str(storage.named_if_full(error, place))
    assert " are free. Nothing that was finished is lost: make room there, then go on" in told


def test_the_cause_of_an_error_may_be_the_full_disk() -> None:
    error = RuntimeError("could not save")
    error.__cause__ = FULL[0]
    assert storage.is_disk_full(error)
    assert not storage.is_disk_full(RuntimeError("could not save"))


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    for error in (ValueError("x"), DiskFullError("told already"), OSError(errno.EIO, "bad disk")):
        with (
            pytest.raises(type(error)) as raised,
            storage.telling_of_full_disk(str(tmp_path), "x"),
        ):
            raise error
        assert raised.value is error


def test_the_room_of_a_bucket_is_not_known(tmp_path: Path) -> None:
    assert storage.free_bytes("s3://b/x") is None
    here = storage.free_bytes(str(tmp_path / "not" / "made"))
    assert here is not None
    assert here > 0
    assert storage.free_bytes((tmp_path / "x").as_uri()) is not None


@pytest.mark.parametrize(
    ("size", "text"), [(2_100_000, "2.1 MB"), (3.24e9, "3.2 GB"), (999, "1 kB"), (0, "0 kB")]
)
def test_a_size_has_a_unit_that_suits_it(size: float, text: str) -> None:
    assert storage.size_text(size) == text


def test_what_lies_below_a_folder_is_added_up(bucket: Any, tmp_path: Path) -> None:
    for place in (bucket.uri("sizes"), str(tmp_path / "sizes")):
        filesystem, path = storage.open_place(place)
        assert storage.bytes_below(filesystem, path) == 0
        for name in ("a", "b/c"):
            storage.make_folder(filesystem, f"{path}/b")
            with filesystem.open_output_stream(f"{path}/{name}") as stream:
                stream.write(b"12345")
        assert storage.bytes_below(filesystem, path) == 10


@pytest.mark.parametrize("position", [0, 1, 2], ids=["beginning", "amid", "end"])
def test_an_upload_that_fails_anywhere_is_an_error_and_the_older_file_stays(
    bucket: Any, tmp_path: Path, position: int
) -> None:
    local = tmp_path / "file"
    local.write_bytes(b"new" * 1000)
    with faulty_store(bucket.endpoint) as store:
        options = f"endpoint_override={store.endpoint}&scheme=http&region=us-east-1"
        files, path = storage.open_place(f"s3://{bucket.name}/sent{position}?{options}")
        storage.write_whole(files, path, b"old")
        store.refuse_uploads(*[""] * position, "deny")
        with pytest.raises(OSError, match="ACCESS_DENIED"):
            storage.upload(local, files, path)
        store.work()
        assert storage.read_whole(files, path) == b"old"
        storage.upload(local, files, path)
        assert storage.read_whole(files, path) == local.read_bytes()


# --- a storage that fails for a while


def failing(times: int, error: Exception) -> Any:
    left = [error] * times

    def act() -> str:
        if left:
            raise left.pop()
        return "done"

    return act


def test_what_a_storage_refuses_is_tried_again() -> None:
    assert storage.persistently(failing(2, OSError("no")), pauses=(0.0, 0.0)) == "done"
    with pytest.raises(OSError, match="no"):
        storage.persistently(failing(3, OSError("no")), pauses=(0.0, 0.0))


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), DiskFullError("full"), ValueError("odd")]
)
def test_what_does_not_pass_by_itself_is_not_tried_again(error: Exception) -> None:
    with pytest.raises(type(error)):
        storage.persistently(failing(1, error), pauses=(0.0, 0.0))
