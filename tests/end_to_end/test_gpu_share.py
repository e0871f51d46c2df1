"""The share of a GPU that Ray gives a worker bounds its memory there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune

from rxtune.search.cluster import ray_running
from rxtune.search.options import SearchOptions

pytestmark = pytest.mark.slow_end_to_end


@pytest.fixture
def ray_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Ray with one GPU on paper: it counts shares of it, and there is none to be opened."""
    start = ray.init
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(
        ray, "init", lambda **given: start(**given | {"num_cpus": 2, "num_gpus": 1})
    )
    with ray_running(SearchOptions(name="shared")):
        yield


@pytest.mark.usefixtures("ray_with_a_gpu")
def test_a_worker_is_bounded_by_what_ray_has_given_it(tmp_path: Path) -> None:
    def bounds() -> list[float]:  # in here, because workers cannot import the tests
        """Return the bounds that a worker sets, with torch's own setter replaced by a list."""
        import rxtune.train
        from rxtune.search.cluster import keep_to_share

        seen: list[float] = []
        rxtune.train.limit_memory = lambda device, share: seen.append(share)
        keep_to_share("cpu")
        keep_to_share("cuda")
        return seen

    def trial(config: dict[str, Any]) -> None:
        tune.report({"bounds": bounds()})

    found = tune.Tuner(
        tune.with_resources(trial, {"cpu": 1.0, "gpu": 0.25}),
        tune_config=tune.TuneConfig(num_samples=2, reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
    ).fit()
    assert [result.metrics["bounds"] for result in found] == [[0.25], [0.25]]
    task = ray.remote(num_cpus=1, num_gpus=0.5)(bounds)
    assert ray.get(task.remote()) == [0.5]
