"""Does a sampler that sees only some of a long search's trials propose as well? Simulated trials.

    python benchmarks/bounded_history.py        # about 20 minutes

TPE models the best and the latest trials of a search (`rxtune.search.lessons.LEARNT_FROM`): its
cost grows with what it sees. Here whole searches run with several bounds, and with none, on the
surface of `simulated.py`, whose true quality is known: it is not what a trial reports, which has
noise. Nothing is trained, and no time matters but the processor time of a proposal.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory

from search_time import processor
from simulated import messages, quality

from rxtune.config import Configuration, load_study

SPACE = Path(__file__).parents[1] / "search_spaces" / "rs.yaml"
RESULTS = Path(__file__).parent / "results"
BOUNDS = (100, 200, 400, 10**9)
LAST = 200
"""Proposals at the end, which the whole search has taught."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one search found."""

    bound: int
    seed: int
    best: float
    """True quality of the configuration with the best reported score."""
    late: float
    """Mean true quality of the last proposals."""
    ask: float
    """Processor time of one of the last proposals, in ms."""


def run(bound: int, seed: int, trials: int) -> Outcome:
    """Run one search with one worker."""
    from growth import SilentMlflow, make_director

    from rxtune.search import lessons
    from rxtune.search.decisions import SearchStudy
    from rxtune.track import Tracker

    lessons.LEARNT_FROM = bound
    lessons._BEST = bound // 4
    client = SilentMlflow()
    tracker = Tracker(client, "silent", "0", "bounded", [client.create_run("0", tags={})])  # type: ignore[arg-type]
    study = load_study(SPACE, {"search.trials": trials, "search.seed": seed})
    true, asks = [], []
    with (
        TemporaryDirectory() as folder,
        SearchStudy.create(Path(folder) / "journal.log", study) as decisions,
    ):
        director = make_director(decisions, tracker, Path(folder))
        while True:
            began = time.thread_time()
            config = director.next_trial()
            if config is None:
                break
            asks.append(time.thread_time() - began)
            configuration = Configuration.from_json(config["configuration"])
            true.append(quality(configuration))
            _run_trial(director, config["number"], configuration)
        finished = [r for r in decisions.records() if r.zero_shot is not None]
        winner = max(finished, key=lambda record: record.value or 0.0)
    tracker.close()
    return Outcome(
        bound=bound,
        seed=seed,
        best=quality(winner.configuration),
        late=mean(true[-LAST:]),
        ask=1000 * mean(asks[-LAST:]),
    )


def _run_trial(director: object, number: int, configuration: Configuration) -> None:
    for message in messages(number, configuration):
        if director.hear(number, message):  # type: ignore[attr-defined]
            break
    director.left(number)  # type: ignore[attr-defined]


def table(found: Sequence[Outcome]) -> str:
    """Return the outcomes by bound, as Markdown."""
    lines = [
        f"| trials it sees | winner's true accuracy | of the last {LAST} proposals | difference"
        " to all (95 % CI) | a proposal, ms |",
        "|---|---|---|---|---|",
    ]
    unbounded = {o.seed: o for o in found if o.bound == BOUNDS[-1]}
    for bound in BOUNDS:
        ours = sorted((o for o in found if o.bound == bound), key=lambda o: o.seed)
        gap = "–"
        if bound != BOUNDS[-1]:
            gap = _interval([100 * (o.late - unbounded[o.seed].late) for o in ours])
        seen = "all" if bound == BOUNDS[-1] else f"{bound}"
        best, late = (_spread([100 * getattr(o, name) for o in ours]) for name in ("best", "late"))
        lines.append(f"| {seen} | {best} | {late} | {gap} | {mean(o.ask for o in ours):.0f} |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.2f} ± {stdev(values):.2f}"


def _interval(differences: Sequence[float]) -> str:
    from scipy.stats import t

    half = t.ppf(0.975, len(differences) - 1) * stdev(differences) / len(differences) ** 0.5
    middle = mean(differences)
    return f"{middle:+.2f} ({middle - half:+.2f} to {middle + half:+.2f})"


def main() -> None:
    """Run what is missing, keep it, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=800)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--most", type=int, help="run so many of the missing searches only")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of .jsonl and .md")
    given = parser.parse_args()
    from rxtune.track import versions

    kept = given.out / "bounded_history.jsonl"
    lines = kept.read_text().splitlines() if kept.exists() else []
    found = [Outcome(**json.loads(line)) for line in lines]
    done = {(outcome.bound, outcome.seed) for outcome in found}
    missing = [(b, s) for s in range(given.seeds) for b in BOUNDS if (b, s) not in done]
    for bound, seed in missing[: given.most]:
        found.append(run(bound, seed, given.trials))
        with kept.open("a") as out:
            out.write(json.dumps(asdict(found[-1])) + "\n")
    if len(found) < len(BOUNDS) * given.seeds:
        return
    head = f"{processor()}, {os.cpu_count()} cores; {versions()}"
    what = f"{given.trials} trials of `search_spaces/rs.yaml`, {given.seeds} seeds."
    text = f"# A bounded history\n\n{head}\n\n{what}\n\n{table(found)}\n"
    (given.out / "bounded_history.md").write_text(text)


if __name__ == "__main__":
    main()
