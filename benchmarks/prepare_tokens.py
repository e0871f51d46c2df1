"""Time and memory of preparing a training set of XNLI's size, and of reading it in workers.

    python benchmarks/prepare_tokens.py            # 392,702 pairs
    python benchmarks/prepare_tokens.py --pairs 20000

Every figure comes from a process of its own. "private" is memory that no other process shares
(RssAnon); "peak" is the largest resident set, which counts mapped files as well.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

MIB = 2**20
WORKERS = 2


def private_mib() -> float:
    """Return the private memory of this process, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


class PeakPrivate(threading.Thread):
    """Looks at the private memory of this process a hundred times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.start_mib = self.peak_mib = private_mib()
        self.start()

    def run(self) -> None:
        while True:
            self.peak_mib = max(self.peak_mib, private_mib())
            time.sleep(0.01)


def generate(folder: Path, pairs: int) -> None:
    """Write pairs of XNLI's shape (20 and 10 words, Zipf's law), and a tokenizer for them."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertTokenizer

    draw = np.random.default_rng(0)
    syllables = [a + b for a in "bcdfghjklmnprstvz" for b in ("a", "e", "i", "o", "u", "en")]
    made = random.Random(0)
    words = np.array(
        ["".join(made.choices(syllables, k=made.randint(1, 4))) for _ in range(40000)]
    )
    schema = pa.schema({"text": pa.string(), "text_pair": pa.string(), "label": pa.int64()})

    def texts(count: int, mean: int) -> list[str]:
        lengths = np.maximum(3, draw.poisson(mean, count))
        ranks = np.minimum(draw.zipf(1.3, lengths.sum()), len(words)) - 1
        parts = np.split(words[ranks], lengths.cumsum()[:-1])
        return [" ".join(part) + "." for part in parts]

    with (
        pa.OSFile(str(folder / "train.arrow"), "wb") as file,
        pa.ipc.new_file(file, schema) as out,
    ):
        for start in range(0, pairs, 20000):
            count = min(20000, pairs - start)
            columns = [texts(count, 20), texts(count, 10), draw.integers(0, 3, count)]
            out.write_table(pa.table(columns, schema=schema))
    trained = BertWordPieceTokenizer()
    trained.train_from_iterator(texts(20000, 20), vocab_size=30000, show_progress=False)
    BertTokenizer(vocab=trained.get_vocab()).save_pretrained(folder)


def prepare(folder: Path) -> None:
    """Read the training set as tokens, as a search does, and print what it took."""
    from rxtune.data import Task, load_tokenizer
    from rxtune.data.token_cache import TokenReader

    def read(language: str, split: str) -> pa.Table:
        return pa.ipc.open_file(pa.memory_map(str(folder / "train.arrow"))).read_all()

    task = Task(
        name="xnli-like", title="", labels=("a", "b", "c"), source_language="en",
        target_languages=(), dev_languages=(), default_model="", epochs=1.0, batch_size=32,
        max_length=128, read=read, identify=lambda language, split: "generated",
    )  # fmt: skip
    reader = TokenReader(load_tokenizer(folder), 128, folder / "cache")
    memory, began = PeakPrivate(), time.perf_counter()
    table = reader.split(task, "en", "train")
    tell(
        seconds=time.perf_counter() - began,
        rows=table.num_rows,
        tokens_mib=table.nbytes / MIB,
        private_before_mib=memory.start_mib,
        private_peak_mib=memory.peak_mib,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def share(folder: Path) -> None:
    """Hand the tokens to Ray workers, as a search does, and print what each of them holds."""
    import ray

    (path,) = (folder / "cache").glob("*.arrow")
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=40)
    began = time.perf_counter()
    shared = ray.put(table)
    put_seconds = time.perf_counter() - began
    worker = ray.remote(num_cpus=1)(Worker)
    workers = [worker.remote() for _ in range(WORKERS)]
    found = ray.get([one.read.remote([shared]) for one in workers])
    tell(put_seconds=put_seconds, workers=found)
    ray.shutdown()


class Worker:
    """Reads the tokens and cuts the first batches of an epoch from them."""

    def read(self, shared: list[object]) -> dict[str, float]:
        import ray

        from rxtune.data.training import PlainData
        from rxtune.train.batches import TrainingBatches

        ray.get(ray.put(pa.table({"warm": [1]})))
        before, began = private_mib(), time.perf_counter()
        table = ray.get(shared[0])
        seconds = time.perf_counter() - began
        batches = TrainingBatches(PlainData(table), pad_id=0, batch_size=32, seed=0)
        for update in range(200):
            batches.batch(update)
        return {"get_seconds": seconds, "private_growth_mib": private_mib() - before}


def tell(**figures: object) -> None:
    print(json.dumps(figures))


def in_own_process(step: str, folder: Path, pairs: int) -> dict[str, object]:
    command = [sys.executable, __file__, "--step", step, "--folder", folder, "--pairs", pairs]
    done = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True)
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=392_702)
    parser.add_argument("--step", choices=["generate", "prepare", "share"])
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.step == "generate":
        return generate(given.folder, given.pairs)
    if given.step:
        return {"prepare": prepare, "share": share}[given.step](given.folder)
    with tempfile.TemporaryDirectory(prefix="rxtune-benchmark-") as name:
        folder = Path(name)
        in_own_process("generate", folder, given.pairs)
        for title, step in (
            ("first start", "prepare"), ("second start", "prepare"), ("workers", "share"),
        ):  # fmt: skip
            tell(step=title, **in_own_process(step, folder, given.pairs))


if __name__ == "__main__":
    main()
