"""Credentials that a search needs are nowhere in what it leaves or says."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow_end_to_end

SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAKEYTHATNOBODYSEES",
    "AWS_SECRET_ACCESS_KEY": "secret/that+nobody=sees",
    "MLFLOW_TRACKING_USERNAME": "user-that-nobody-sees",
    "MLFLOW_TRACKING_PASSWORD": "password-that-nobody-sees",
}


@pytest.fixture(scope="module")
def searched(workplace: Any, bucket: Any) -> Iterator[Any]:
    """The search `secret`, with its credentials in the environment, and where Ray's logs lie."""
    # Of a short name: Ray puts sockets there, and a socket's path has room for 107 bytes.
    with tempfile.TemporaryDirectory(prefix="rx-", ignore_cleanup_errors=True) as logs:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in {**SECRETS, "RAY_TMPDIR": logs}.items():
                environment.setenv(name, value)
            storage = ["--storage", bucket.uri("secret")]
            words = workplace.new_search("secret", "--workers", "1", "--trials", "2", *storage)
            ended = workplace.run(*words)
        yield ended, Path(logs)


def holding(folder: Path, secret: str) -> list[str]:
    """Return the files below a folder in which a secret stands."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if secret.encode() in path.read_bytes()]


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_printed_or_written(
    workplace: Any, bucket: Any, searched: Any, name: str
) -> None:
    ended, logs = searched
    assert ended.code == 0, ended
    assert SECRETS[name] not in ended.output + ended.errors
    # The run's folder and MLflow's database with its artifacts; then Ray's logs.
    assert holding(workplace.folder, SECRETS[name]) == []
    assert list(logs.rglob("*.log"))
    assert holding(logs, SECRETS[name]) == []


def test_no_secret_lies_in_the_storage(bucket: Any, searched: Any) -> None:
    keys = [key for key in bucket.keys("secret/") if not key.endswith("/")]
    stored = [bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read() for key in keys]
    assert stored
    assert not [key for key, found in zip(keys, stored, strict=True)
                if any(secret.encode() in found for secret in SECRETS.values())]  # fmt: skip


def test_a_failing_storage_does_not_make_it_tell(workplace: Any, bucket: Any) -> None:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in SECRETS.items():
            environment.setenv(name, value)
        place = bucket.uri("secret").replace(bucket.name, "no-such-bucket")
        ended = workplace.run(*workplace.new_search("untold-secret", "--storage", place))
    assert ended.code == 4, ended
    assert not any(secret in ended.output + ended.errors for secret in SECRETS.values())
