"""Where a result comes from."""

import os
import platform
import subprocess

from rxtune.track import git_commit, versions


def git(folder, *arguments):
    """Run git without the settings of whoever runs the tests."""
    name = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }
    subprocess.run(
        ["git", "-C", str(folder), *name, *arguments],
        check=True,
        env=environment,
        capture_output=True,
    )


def test_the_commit_is_named_and_marked_when_files_differ(tmp_path):
    git(tmp_path, "init")
    assert git_commit(tmp_path) is None  # no commit yet
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "one")
    commit = git_commit(tmp_path)
    assert len(commit) == 40
    (tmp_path / "untracked").write_text("")
    assert git_commit(tmp_path) == commit
    (tmp_path / "a").write_text("2")
    assert git_commit(tmp_path) == f"{commit}-dirty"


def test_a_folder_that_is_no_checkout_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit(tmp_path) is None
    assert git_commit(tmp_path / "missing") is None


def test_versions_name_what_is_installed_and_import_nothing():
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["mlflow"].startswith("3.")
