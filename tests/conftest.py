"""What every test needs: no network, no telemetry, no GPU, one thread."""

from __future__ import annotations

import os

# At import, before any test module imports torch, ray or a hub client, which read them only once.
os.environ.update(
    {
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "TOKENIZERS_PARALLELISM": "false",
    }
)
