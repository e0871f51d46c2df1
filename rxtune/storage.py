"""Places outside the process: paths and URIs, what lies below them, and how they are opened."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, TypeVar

from rxtune.errors import ClusterError, DiskFullError, RxtuneError, StudyError

if TYPE_CHECKING:
    from pyarrow import fs

ANSWER_SECONDS = 10.0
"""How long a storage may take to answer at all."""
WRITE_SECONDS = 60.0
"""How long it may then take to show that it can be written: some seconds for each request."""
PAUSES = (1.0, 2.0, 4.0)  # seconds before each further try of what a storage has refused

_Found = TypeVar("_Found")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_IN_WORDS = ("No space left on device", "Disk quota exceeded")

_SECRET_OPTION = re.compile(r"[?&][^=&]*(secret|token|password|key|sas)[^=&]*=", re.IGNORECASE)
_CREDENTIALS = re.compile(r"^[^:/]+://[^/?]*:.*@")  # a secret key may hold a slash
_REFUSAL = re.compile(r"AWS Error (?P<kind>\w+).*?: (?P<text>.*?)( \(Request ID.*)?$", re.DOTALL)
_ADVICE = {
    "NO_SUCH_BUCKET": "make the bucket, or correct its name",
    "NETWORK_CONNECTION": (
        "check endpoint_override, scheme and region in the URI, or AWS_ENDPOINT_URL"
    ),
    "ACCESS_DENIED": "the credentials may not write there: check their policy",
}
_CHECK_CREDENTIALS = (
    "check the credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws/credentials, or"
    " the role of the machine"
)


def is_uri(place: str) -> bool:
    """Return whether a place is a URI; anything else is a path on this machine."""
    return "://" in place


def join(place: str, *names: str) -> str:
    """Return the place below a place; the options of a URI (`?region=…`) stay at its end."""
    base, mark, options = place.partition("?") if is_uri(place) else (place, "", "")
    return "/".join([base.rstrip("/"), *names]) + mark + options


def absolute(place: str) -> str:
    """Return a place that means the same in every working directory: workers change theirs."""
    return place if is_uri(place) else str(Path(place).absolute())


def without_secrets(uri: str) -> str:
    """Return a URI as it may be shown: nothing stands before its `@`, no option is a secret."""
    shown = re.sub(r"://.*@", "://…@", uri)
    return shown.partition("?")[0] + "?…" if _SECRET_OPTION.search(shown) else shown


def require_no_secrets(place: str) -> None:
    """Refuse credentials in a URI: it is kept in the run's folder and sent to every worker.

    Raises:
        StudyError: the URI holds a password, a key or a token.
    """
    if is_uri(place) and (_CREDENTIALS.match(place) or _SECRET_OPTION.search(place)):
        raise StudyError(
            f"--storage: a URI must not hold credentials, got {without_secrets(place)!r}; give"
            " them by the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), by"
            " ~/.aws/credentials, or by the role of the machine"
        )


def open_place(place: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a place, and the place's path there.

    A URI may have the options that `pyarrow.fs.FileSystem.from_uri` reads, such as
    `s3://bucket/folder?endpoint_override=127.0.0.1:9000&scheme=http`. S3 also reads
    AWS_ENDPOINT_URL, and credentials where the AWS tools look for them.

    Raises:
        OSError: the storage does not answer (S3 is asked for its region if none is given).
        ValueError: the URI is malformed, or of an unknown kind.
    """
    from pyarrow import fs

    if not is_uri(place):
        return fs.LocalFileSystem(), str(Path(place).absolute())
    filesystem, path = fs.FileSystem.from_uri(place)
    return filesystem, path.rstrip("/")


def is_object_store(filesystem: fs.FileSystem) -> bool:
    """Return whether a file appears only when it is whole, and folders need not be made.

    Such a store has no rename: a move is a copy and a deletion, and between the two uploads of a
    replaced file there would be none. An upload that breaks off leaves the old file.
    """
    return filesystem.type_name in ("s3", "gcs")


def make_folder(filesystem: fs.FileSystem, path: str) -> None:
    """Make a folder with its parents where files need one."""
    if not is_object_store(filesystem):  # there it would be an empty object that stays behind
        filesystem.create_dir(path, recursive=True)


def write_whole(filesystem: fs.FileSystem, path: str, content: bytes) -> None:
    """Write a small file in place of an older one: it appears under its name when it is whole.

    Its folder is made. After a power loss a file on a disk may be the older one or empty.
    """
    make_folder(filesystem, path.rpartition("/")[0])
    target = path if is_object_store(filesystem) else f"{path}.{uuid.uuid4().hex}.new"
    with filesystem.open_output_stream(target) as stream:
        stream.write(content)
    if target != path:
        filesystem.move(target, path)


def upload(local: Path, filesystem: fs.FileSystem, target: str) -> None:
    """Copy a file of this machine to a storage; in an object store an older one stays till then.

    An upload that fails is an OSError; `copy_files` of pyarrow takes no notice of the end of one.
    """
    import pyarrow as pa

    # Mapped: a stream that was closed by a failing read would make a file of what it has got.
    with pa.memory_map(str(local)) as source, filesystem.open_output_stream(target) as stream:
        stream.write(source.read_buffer())


def read_whole(filesystem: fs.FileSystem, path: str) -> bytes:
    """Return the content of a small file."""
    with filesystem.open_input_stream(path) as stream:
        return bytes(stream.read())


def delete_folder(filesystem: fs.FileSystem, path: str) -> None:
    """Delete a folder and all in it; it may be missing."""
    from pyarrow import fs

    if filesystem.get_file_info(path).type == fs.FileType.Directory:
        filesystem.delete_dir(path)


def delete_if_empty(filesystem: fs.FileSystem, path: str) -> None:
    """Delete a folder if there is no file in it, at any depth; it may be missing."""
    from pyarrow import fs

    below = fs.FileSelector(path, recursive=True, allow_not_found=True)
    if not any(info.type == fs.FileType.File for info in filesystem.get_file_info(below)):
        delete_folder(filesystem, path)


def bytes_below(filesystem: fs.FileSystem, path: str) -> int:
    """Return the length of all files below a folder, in bytes; it may be missing."""
    from pyarrow import fs

    if isinstance(filesystem, fs.LocalFileSystem):
        return local_bytes_below(Path(path))
    below = fs.FileSelector(path, recursive=True, allow_not_found=True)
    return sum(info.size or 0 for info in filesystem.get_file_info(below))


def local_bytes_below(folder: Path) -> int:
    """Return the length of all files below a folder of this machine, in bytes."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # deleted or renamed since: others write here
                total += os.lstat(f"{root}/{name}").st_size
    return total


def free_bytes(place: str) -> int | None:
    """Return the room on the disk of a place, in bytes; None: not on a disk of this machine."""
    if is_uri(place) and not place.startswith("file://"):
        return None
    try:
        path = Path(open_place(place)[1]) if is_uri(place) else Path(place).absolute()
        return shutil.disk_usage(nearest_folder(path)).free
    except (OSError, ValueError):
        return None


def size_text(number: float) -> str:
    """Return a number of bytes in a unit that suits it."""
    for size, unit in ((1e9, "GB"), (1e6, "MB")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1e3:.0f} kB"


def persistently(action: Callable[[], _Found], *, pauses: Sequence[float] | None = None) -> _Found:
    """Return what an action gives; while the storage fails, try it again after `PAUSES`.

    Raises:
        OSError: The storage failed every time, or is full: that does not pass by itself.
    """
    for pause in PAUSES if pauses is None else pauses:
        try:
            return action()
        except OSError as error:
            if is_disk_full(error):
                raise
            time.sleep(pause)
    return action()


@contextmanager
def telling_of_full_disk(place: str, what: str, needed: int | None = None) -> Iterator[None]:
    """Name the place that is full, where a library says only that some is.

    Args:
        place: Where the block writes.
        what: What it writes, such as "a checkpoint".
        needed: Its size in bytes, if that is known.

    Raises:
        DiskFullError: the block failed because there is no room.
    """
    try:
        yield
    except Exception as error:
        told = named_if_full(error, place, what, needed)
        if told is error:
            raise
        raise told from error


def named_if_full(
    error: Exception, place: str, what: str = "it", needed: int | None = None
) -> Exception:
    """Return an error as one that names the full disk; as it is where that is not the cause."""
    if isinstance(error, RxtuneError) or not is_disk_full(error):
        return error
    free = free_bytes(place)
    size = f"{what} needs {size_text(needed)}" if needed is not None else f"{what} has no room"
    left = f", {size_text(free)} are free" if free is not None else ""
    return DiskFullError(
        f"{without_secrets(place)}: the disk is full: {size}{left}. Nothing that was finished is"
        " lost: make room there, then go on with --resume"
    )


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error, or the one behind it, says that a disk or a quota is used up."""
    cause = error.__cause__
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    # safetensors and MLflow have only words for it.
    if any(words in str(error) for words in _FULL_IN_WORDS):
        return True
    return cause is not None and is_disk_full(cause)


def require_writable(place: str, seconds: float | None = None) -> None:
    """Refuse a storage that cannot be written; nothing is left in it.

    Args:
        place: Path or URI; need not exist.
        seconds: How long the first answer may take; `ANSWER_SECONDS` by default. Measured here,
            because a server that accepts a connection and says nothing is retried for minutes.

    Raises:
        ClusterError: it cannot be written, or does not answer in time.
    """
    limit = ANSWER_SECONDS if seconds is None else seconds
    outcome: list[Exception | None] = []
    answers = Event()

    def probe() -> None:
        try:
            _write_and_delete(place, answers)
            outcome.append(None)
        except Exception as error:
            outcome.append(error)

    thread = Thread(target=probe, name="rxtune-storage", daemon=True)
    thread.start()
    thread.join(limit)
    if answers.is_set():
        limit = WRITE_SECONDS
        thread.join(limit)
    error = outcome[0] if outcome else TimeoutError(f"no answer within {limit:g} s")
    if error is not None:
        raise ClusterError(_refusal(place, error)) from error


def _write_and_delete(place: str, answers: Event) -> None:
    """Write and delete a file; set `answers` once the storage has said anything."""
    from pyarrow import fs

    filesystem, path = open_place(place)
    if isinstance(filesystem, fs.LocalFileSystem):
        with tempfile.TemporaryFile(dir=nearest_folder(Path(path))):
            return
    probe = f"{path}/.rxtune-probe"
    try:
        filesystem.get_file_info(probe)
    except OSError as error:
        if "NETWORK_CONNECTION" in str(error):  # else what writing says is clearer
            raise
    answers.set()
    make_folder(filesystem, path)
    with filesystem.open_output_stream(probe) as stream:
        stream.write(b"rxtune")
    filesystem.delete_file(probe)
    delete_if_empty(filesystem, path)


def nearest_folder(path: Path) -> Path:
    """Return the folder itself, or the one in which it would have to be made."""
    while not path.exists():
        path = path.parent
    return path


def _refusal(place: str, error: Exception) -> str:
    """Return why a storage is refused, and what to do: without what S3 adds for its own staff."""
    if isinstance(error, ValueError):
        return (
            f"--storage: {without_secrets(place)!r} must be a path or a URI like s3://bucket/folder"
            f" ({_first_line(error)})"
        )
    why, advice = _first_line(error), "check the path and the permissions"
    if found := _REFUSAL.search(why):
        why = f"{found['kind']}: {found['text']}"
        advice = _ADVICE.get(found["kind"], _CHECK_CREDENTIALS)
    if isinstance(error, TimeoutError):
        advice = _ADVICE["NETWORK_CONNECTION"]
    return f"--storage: {without_secrets(place)} must be writable, but is not ({why}); {advice}"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
