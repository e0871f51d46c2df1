"""The pages of cluster/: every command on them is one that its program understands."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from typing import Any

import pytest

from tests.cluster.files import CLUSTER, LAUNCH_FILES, PAGES, REPOSITORY, code, commands, load

LAUNCHED = {"aws.md": "gpu.yaml", "gcp.md": "gcp.yaml", "on-prem.md": "on-prem.yaml"}


def text(page: str) -> str:
    return (CLUSTER / page).read_text()


def parse(words: list[str]) -> None:
    """Let rxtune read a command's words as it would; run nothing."""
    import typer.main

    from rxtune.cli import app

    verb, *options = words
    root: Any = typer.main.get_command(app)
    root.commands[verb].make_context(verb, options)


# --- the commands


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_are_shell(page: str) -> None:
    subprocess.run(["bash", "-n"], input=code(page), text=True, check=True)


@pytest.mark.parametrize("page", LAUNCHED)
def test_a_page_goes_from_up_to_down(page: str) -> None:
    steps = [words[0] for words in commands(page, "ray")]
    order = ["get-auth-token", "up", "exec", "attach", "dashboard", "rsync-down", "down"]
    assert [steps.index(step) for step in order] == sorted(steps.index(step) for step in order)


@pytest.mark.parametrize("page", LAUNCHED)
def test_a_page_uses_its_own_file(page: str) -> None:
    named = {word for call in commands(page, "ray") for word in call if word.endswith(".yaml")}
    assert named == {f"cluster/{LAUNCHED[page]}"}


@pytest.mark.parametrize("page", PAGES)
def test_ray_has_every_option_that_a_page_uses(page: str) -> None:
    from ray.scripts.scripts import cli

    for verb, *words in commands(page, "ray"):
        known = {option for p in cli.commands[verb].params for option in p.opts}
        assert {w.split("=")[0] for w in words if w.startswith("-")} <= known, verb


@pytest.mark.parametrize("page", PAGES)
def test_rxtune_understands_every_call_on_a_page(page: str) -> None:
    for words in commands(page, "rxtune"):
        parse(words)


def test_rxtune_understands_what_slurm_and_kubernetes_start() -> None:
    from tests.cluster.test_kuberay import objects

    program, *words = shlex.split(objects()["RayJob"]["spec"]["entrypoint"])
    assert program == "search-or-resume.sh"
    parse(["search", *words])
    ((script, space, name, *flags),) = commands("slurm.md", "sbatch")
    assert (CLUSTER.parent / script).exists()
    own = re.search(r"search-or-resume\.sh (.*?) &$", text("slurm.sh"), re.M | re.S)
    assert own is not None
    filled = own[1].replace("\\\n", " ").replace('"$@"', shlex.join(flags))
    filled = filled.replace("$space", space).replace("$name", name)
    parse(["search", *shlex.split(filled)])


def test_every_page_with_a_search_has_one_that_runs_on_the_cluster() -> None:
    for page in LAUNCHED:
        (search,) = [words for words in commands(page, "rxtune") if words[0] == "search"]
        assert search[search.index("--address") + 1] == "auto"
        assert "--storage" in search
        assert search[search.index("--tracking-uri") + 1] == "http://127.0.0.1:5000"


@pytest.mark.parametrize("page", PAGES)
def test_every_server_listens_on_loopback(page: str) -> None:
    for words in commands(page, "mlflow"):
        assert words[words.index("--host") + 1] == "127.0.0.1"


def test_the_older_autoscaler_is_chosen_before_the_first_use() -> None:
    lines = code("on-prem.md").splitlines()
    chosen = lines.index("export RAY_UP_enable_autoscaler_v2=0")
    assert chosen < min(n for n, line in enumerate(lines) if line.startswith("ray up"))


# --- what a page promises


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_there(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text(page))
    named = re.findall(r"\bcluster/[\w.-]+\.\w+", text(page))
    assert {p for p in links if not (CLUSTER / p).exists()} == set()
    assert {p for p in named if not (REPOSITORY / p).exists()} == set()


def test_the_way_in_leads_to_every_page_and_every_file() -> None:
    way_in = text("README.md")
    for page in PAGES[1:]:
        assert f"[{page}]({page})" in way_in
    for name in (*LAUNCH_FILES, "kuberay.yaml", "Dockerfile", "slurm.sh"):
        assert f"`{name}`" in way_in


@pytest.mark.parametrize("page", PAGES[1:])
def test_every_page_says_how_to_watch_and_what_is_billed(page: str) -> None:
    headings = re.findall(r"^## (.*)$", text(page), re.MULTILINE)
    assert "Watch" in headings
    assert headings[-1] == "Results, and down"
    assert re.search(r"\bbilled\b|\bcharged\b", text(page).partition("\n## ")[0], re.IGNORECASE)


def test_the_aws_page_makes_what_the_file_names() -> None:
    kinds = load("gpu.yaml")["available_node_types"].values()
    profiles = {kind["node_config"]["IamInstanceProfile"]["Name"] for kind in kinds}
    assert f"for ROLE in {' '.join(sorted(profiles))}; do" in code("aws.md")
    assert f"--group-name ray-autoscaler-{load('gpu.yaml')['cluster_name']}" in code("aws.md")
    assert f"AWS_DEFAULT_REGION={load('gpu.yaml')['provider']['region']}" in code("aws.md")


def policy(name: str) -> list[dict[str, Any]]:
    """Return the statements of a policy on the AWS page, as the shell reads them."""
    found = re.search(rf"^{name}='.*?\]}}'$", code("aws.md"), re.MULTILINE | re.DOTALL)
    assert found is not None
    script = f'BUCKET=mine\n{found[0]}\nprintf %s "${name}"'
    shown = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return json.loads(shown.stdout)["Statement"]


def test_the_roles_on_the_aws_page_are_for_machines_only() -> None:
    (statement,) = policy("TRUST")
    assert statement["Principal"] == {"Service": "ec2.amazonaws.com"}


def test_the_storage_policy_opens_one_folder_of_one_bucket() -> None:
    listing, objects = policy("STORAGE")
    assert (listing["Action"], listing["Resource"]) == ("s3:ListBucket", "arn:aws:s3:::mine")
    assert objects["Resource"] == "arn:aws:s3:::mine/rxtune/*"
    assert {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"} < set(objects["Action"])
    (search,) = [words for words in commands("aws.md", "rxtune") if words[0] == "search"]
    assert search[search.index("--storage") + 1] == "s3://your-bucket/rxtune"


@pytest.mark.parametrize("path", sorted(p.name for p in CLUSTER.iterdir() if p.is_file()))
def test_nothing_looks_like_a_secret(path: str) -> None:
    found = text(path)
    assert not re.search(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b", found)  # AWS access key ids
    assert not re.search(r"\b(hf|ghp|gho)_\w{16,}|BEGIN [A-Z ]*PRIVATE KEY", found)
    assert not re.search(
        r"(?i)(?<!\.)\b(secret|password|passwd|api_?key|auth_token)\s*[:=]\s*['\"\w]", found
    )
    assert not re.search(r"\b[0-9a-f]{32,}\b|://[^/\s]+:[^/\s]+@|\b\d{12}\b", found)
