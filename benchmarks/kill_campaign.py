"""Does a search survive `kill -9` at any moment? Kills many, resumes them, compares each.

    python benchmarks/kill_campaign.py --kills 30

Searches of a few small trials run as real commands, each in an empty folder of its own, so that
MLflow's database and the token cache are killed in the making as well. At random moments, uniform
over the life of a command from its first instruction to its last, the driver, the process that
trains, or both are killed; a killed search is resumed, perhaps killed again, until it ends. With
one worker the ended search must equal one that was never stopped: trials, parameters, values,
rungs, states, zero-shot results, the files of the best model, and all that MLflow shows. With two
workers (a part of the kills) nothing recorded may be lost, repeated or changed, and every trial
must have the values of the same configuration trained alone.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from kill_comparison import Alone, differences, faults, outcome

from rxtune.results import TrialRecord
from rxtune.search.decisions import SearchStudy
from rxtune.track import versions

SPACE = """\
space:
  method: {choice: [standard, rs_rp, adv]}
  sigma: {log_uniform: [0.1, 3.0], when: {method: [rs_rp]}}
  radius: {log_uniform: [0.003, 0.3], when: {method: [adv]}}
  pgd_steps: {int: [1, 2], when: {method: [adv]}}
  learning_rate: {log_uniform: [0.3, 3.0]}
search: {trials: 8, startup_trials: 4}
stopping: {asha: {evaluations: 4, first_rung: 1, reduction_factor: 2}}
train: {epochs: 0.4, max_length: 32}
"""
TRIALS = 8
NAME = "search"
PATIENCE = 600.0
"""Seconds after which a command that has not ended counts as hanging."""
MOST_BY_COMMAND = 2  # kills
MOST_LOSSES = 2
"""Workers that a trial may lose; with the third it fails, as it should."""
MERCY = 0.5
"""Share of the resumed commands that are left to end."""
TARGETS = ("driver", "worker", "both")
OUTPUT = Path(__file__).parent / "results" / "kill_campaign.txt"


@dataclass
class Kill:
    """One row of the table."""

    number: int
    search: str
    seconds: float
    target: str
    doing: str


@dataclass
class Place:
    """A search in a folder of its own, with what its journal held at the kills."""

    folder: Path
    workers: int
    seen: list[list[TrialRecord]] = field(default_factory=list)

    @property
    def journal(self) -> Path:
        return self.folder / "runs" / NAME / "journal.log"

    def has_begun(self) -> bool:
        """Return whether there is something to resume."""
        return self.journal.exists() and self.journal.stat().st_size > 0

    def records(self) -> list[TrialRecord]:
        if not self.has_begun():
            return []
        with SearchStudy.open(self.journal, read_only=True) as study:
            return study.records()

    def may_not_lose(self) -> bool:
        """Return whether a running trial would fail if it lost its worker, as it should."""
        return any(r.losses >= MOST_LOSSES for r in self.records() if r.ended is None)

    def start(self, encoder: Path, *, log: str) -> subprocess.Popen[bytes]:
        """Start the search, or resume it where there is something to resume."""
        new = ["--space", "../space.yaml", "--model", str(encoder)]
        what = ["--resume"] if self.has_begun() else new
        self.folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "rxtune", "search", "--name", NAME, *what]
        quiet = {"RXTUNE_CACHE": str(self.folder / "cache"), "HF_HUB_OFFLINE": "1"}
        with (self.folder / log).open("wb") as output:
            return subprocess.Popen(
                [*command, "--workers", str(self.workers)],
                cwd=self.folder,
                env={**os.environ, **quiet},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


# --- processes


def below(pid: int) -> Iterator[int]:
    """Yield the ids of all processes that a process has started, and theirs."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has ended
            for child in path.read_text().split():
                yield int(child)
                yield from below(int(child))


def training(pid: int) -> list[int]:
    """Return the processes below a driver that train: Ray names them after what they run."""
    return [child for child in below(pid) if _command(child).startswith("ray::ImplicitFunc")]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def kill(pids: list[int]) -> None:
    """Kill at once, as the system does when memory runs out."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


# --- the campaign


class Campaign:
    """Kills, one search after another, until there were as many as asked for."""

    def __init__(self, root: Path, output: TextIO, seed: int) -> None:
        self.root = root
        self.encoder = make_encoder(root / "encoder")
        self.chance = random.Random(seed)
        self.output = output
        self.kills = self.searches = self.different = 0
        self.targets: Counter[str] = Counter()
        self.startup = self.life = 0.0
        (root / "space.yaml").write_text(SPACE)

    def say(self, line: str) -> None:
        """Print a line, and keep it."""
        print(line, flush=True)
        print(line, file=self.output, flush=True)

    def reference(self) -> Place:
        """Run the search that is never stopped, and measure how long its parts take."""
        place = Place(self.root / "reference", workers=1)
        began = time.monotonic()
        process = place.start(self.encoder, log="run.txt")
        while not place.has_begun() and process.poll() is None:
            time.sleep(0.01)
        self.startup = time.monotonic() - began
        if process.wait(PATIENCE):
            sys.exit(f"the search fails without a kill: {tail(place.folder / 'run.txt')}")
        self.life = time.monotonic() - began
        return place

    def run(self, workers: int, most: int) -> tuple[Place, list[Kill]]:
        """Run one search to its end, killed at most `most` times on the way."""
        self.searches += 1
        place = Place(self.root / f"{self.searches:02d}", workers)
        kills: list[Kill] = []
        while True:
            is_spared = bool(kills) and self.chance.random() < MERCY
            log = f"run-{len(kills):02d}.txt"
            process = place.start(self.encoder, log=log)
            kills += self.attack(place, process, 0 if is_spared else most - len(kills))
            code = process.wait(PATIENCE)
            if code != -signal.SIGKILL:
                if code:
                    self.say(f"exit {code}: {tail(place.folder / log)}")
                return place, kills

    def attack(self, place: Place, process: subprocess.Popen[bytes], most: int) -> Iterator[Kill]:
        """Kill at random moments while a command runs; a second time only if it has outlived."""
        began = time.monotonic()
        moment = 0.0
        for _ in range(min(most, MOST_BY_COMMAND)):
            target = self.chance.choice(TARGETS)
            first = max(moment, self.startup if target == "worker" else 0.0)
            moment = self.chance.uniform(first, max(first, self.expected_life(place)))
            if not is_alive_at(process, began + moment):
                return
            yield self.kill(place, process.pid, target, moment)
            if process.poll() is not None or target != "worker":
                return

    def kill(self, place: Place, driver: int, target: str, moment: float) -> Kill:
        """Kill now; where nothing trains yet, the driver."""
        workers = training(driver)
        if not workers or (target == "worker" and place.may_not_lose()):
            target = "driver"
        doing = doing_in(place, bool(workers))
        place.seen.append(place.records())
        kill({"driver": [driver], "worker": workers, "both": [*workers, driver]}[target])
        time.sleep(0.05)  # until the system has done it
        self.kills += 1
        self.targets[target] += 1
        return Kill(self.kills, place.folder.name, moment, target, doing)

    def expected_life(self, place: Place) -> float:
        """Return how long a command will live: its start-up, and what is left of the trials."""
        ended = sum(record.ended is not None for record in place.records())
        return self.startup + (self.life - self.startup) * max(1 - ended / TRIALS, 0.1)

    def tell(self, kills: list[Kill], unequal: list[str]) -> None:
        """Print a search's rows, once it has ended and is compared."""
        verdict = "NO: " + "; ".join(unequal) if unequal else "yes"
        for row in kills:
            self.say(
                f"{row.number:4d}  {row.search:>6s}  {row.seconds:6.1f}  {row.target:6s}  "
                f"{row.doing:58s}  {verdict}"
            )
        self.different += len(kills) if unequal else 0


def one_worker(campaign: Campaign, kills: int) -> None:
    """Kill searches with one worker; each must equal the one that is never stopped."""
    expected = outcome(campaign.reference().folder, NAME)
    campaign.say(
        f"one worker; uninterrupted {campaign.life:.0f} s, {campaign.startup:.0f} s of them until "
        f"the first trial\n{HEADER}"
    )
    while campaign.kills < kills:
        place, rows = campaign.run(1, min(4, kills - campaign.kills))
        campaign.tell(rows, differences(outcome(place.folder, NAME), expected))


def two_workers(campaign: Campaign, kills: int) -> None:
    """Kill searches with two workers; nothing recorded may be lost, repeated or changed."""
    campaign.say(f"two workers\n{HEADER}")
    alone: Alone | None = None
    until = campaign.kills + kills
    while campaign.kills < until:
        place, rows = campaign.run(2, min(4, until - campaign.kills))
        alone = alone or Alone(place.journal, campaign.root / "alone")
        campaign.tell(rows, faults(place.folder, NAME, place.seen, alone))


HEADER = f"kill  search  second  target  {'what was running':58s}  equal?"


def main() -> None:
    """Run the campaign, print its table and one line that sums it up."""
    parser = argparse.ArgumentParser(description="Kill searches, resume them, compare.")
    parser.add_argument("--kills", type=int, default=30, help="with one worker")
    parser.add_argument("--two-workers", type=int, default=8, help="kills with two workers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--folder", type=Path, help="where to run and leave everything")
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary, arguments.output.open("w") as output:
        root = (arguments.folder or Path(temporary)).absolute()
        root.mkdir(parents=True, exist_ok=True)
        campaign = Campaign(root, output, arguments.seed)
        campaign.say(f"seed {arguments.seed}; {os.cpu_count()} cores; {versions()}")
        one_worker(campaign, arguments.kills)
        if arguments.two_workers:
            two_workers(campaign, arguments.two_workers)
        targets = ", ".join(f"{n} {target}" for target, n in sorted(campaign.targets.items()))
        campaign.say(
            f"{campaign.kills} kills ({targets}) in {campaign.searches} searches, "
            f"{time.monotonic() - began:.0f} s: {campaign.kills - campaign.different} equal, "
            f"{campaign.different} different"
        )
    sys.exit(campaign.different > 0)


def is_alive_at(process: subprocess.Popen[bytes], until: float) -> bool:
    """Wait for a moment; return whether the process still runs then."""
    while (left := until - time.monotonic()) > 0:
        if process.poll() is not None:
            return False
        time.sleep(min(left, 0.02))
    return process.poll() is None


def doing_in(place: Place, trains: bool) -> str:
    """Return what a command is doing just now."""
    records = place.records()
    running = [record for record in records if record.ended is None]
    if not records:
        return "starting, no journal yet"
    if len(records) == TRIALS and not running:
        return "all trials have ended"
    what = ", ".join(f"trial {r.number} after {len(r.evaluations)}/4" for r in running)
    ended = f"{len(records) - len(running)} trials ended"
    return (what or ended) if trains else f"nothing trains yet; {what or ended}"


def tail(path: Path) -> str:
    """Return the end of what a command has printed."""
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    return " / ".join(lines[-3:])


def make_encoder(folder: Path) -> Path:
    """Save a BERT with random weights, spread so wide that its accuracy is not constant."""
    import torch
    import transformers

    from rxtune.testbed.tokenizer import build_tokenizer

    tokenizer = build_tokenizer()
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.2,
    )
    config.rxtune = {"learning_rate": 3e-3}
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
