"""The commands that cluster/on-prem.md gives its reader, as the tests type them."""

from __future__ import annotations

import re

from tests.cluster.real.hosts import REPOSITORY
from tests.cluster.real.launched import Cluster

PAGE = REPOSITORY / "cluster" / "on-prem.md"


def script(heading: str, cluster: Cluster) -> str:
    """Return the commands under a heading, for this cluster and a search of a minute."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = "\n".join(re.findall(r"^```bash\n(.*?)^```", section, re.MULTILINE | re.DOTALL))
    workers = " ".join(worker.address for worker in cluster.workers)
    for written, meant in (
        ("WORKER-1-ADDRESS WORKER-2-ADDRESS", workers),
        ("-i ~/.ssh/rxtune USER@", f"-o StrictHostKeyChecking=no -i {cluster.network.key} root@"),
        ("/nfs/rxtune", str(cluster.network.shared)),
        ("search_spaces/rs.yaml", "search_spaces/quick.yaml"),
        (" --trials 48", ""),
    ):
        lines = lines.replace(written, meant)
    return f"set -eu\n{lines}"
