#!/usr/bin/env bash
# A search over the nodes of a Slurm allocation: Ray's head and the search itself on the first node,
# trials on all of them. At the top of the checkout, in a file system that all nodes share:
#
#     sbatch cluster/slurm.sh search_spaces/rs.yaml big --trials 48    # space, name, more flags
#
# Give the same command again to go on with a search that its time limit, or anything else, has
# ended. cluster/slurm.md walks from nothing to results.

# Adapt these to your cluster (`sinfo` lists its partitions).
#SBATCH --job-name=rxtune
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=24:00:00
# Ray's ports are fixed: one such job a node.
#SBATCH --exclusive
# A preempted job, or one whose node failed, starts again, and the search goes on.
#SBATCH --requeue
# Five minutes before the limit, to this script only: time for checkpoints.
#SBATCH --signal=B:TERM@300
#SBATCH --output=rxtune-%j.log
set -euo pipefail

space=$1
name=$2
shift 2

cd "$SLURM_SUBMIT_DIR"
# shellcheck disable=SC1091
source .venv/bin/activate

# Other users' jobs reach this network, too: without the token no node starts, and nobody connects.
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
ray get-auth-token --generate >/dev/null
chmod 600 ~/.ray/auth_token

# This script runs on the first node: its first address, or the first that begins with NETWORK.
head_node=$SLURMD_NODENAME
head_address=$(hostname -I | tr ' ' '\n' | grep -m 1 "^${NETWORK:-.}")
temp=/tmp/ray-$SLURM_JOB_ID # /tmp/ray may be another user's
per_node=(--block "--temp-dir=$temp" "--num-cpus=$SLURM_CPUS_PER_TASK")
others=$((SLURM_JOB_NUM_NODES - 1))
steps=()

# shellcheck disable=SC2317,SC2329 # called by the trap
finish() {
    kill "${steps[@]}" 2>/dev/null || true
    wait "${steps[@]}" 2>/dev/null || true
    srun --overlap --ntasks="$SLURM_JOB_NUM_NODES" rm -rf "$temp" || true
}
trap finish EXIT

srun --nodes=1 --ntasks=1 --nodelist="$head_node" --cpus-per-task="$SLURM_CPUS_PER_TASK" \
    ray start --head --node-ip-address="$head_address" --port=6379 --dashboard-host=127.0.0.1 \
    "${per_node[@]}" &
steps+=($!)
until ray health-check --address "$head_address:6379" 2>/dev/null; do
    kill -0 "${steps[0]}" || exit 1 # the head has not started: its words are above
    sleep 1
done
if ((others > 0)); then
    srun --nodes="$others" --ntasks="$others" --exclude="$head_node" \
        --cpus-per-task="$SLURM_CPUS_PER_TASK" \
        ray start --address="$head_address:6379" "${per_node[@]}" &
    steps+=($!)
fi

# A search counts the GPUs when it starts: all nodes must be there.
python - "$head_address:6379" "$SLURM_JOB_NUM_NODES" <<'PYTHON'
import sys
import time

import ray

address, expected = sys.argv[1], int(sys.argv[2])
ray.init(address, logging_level="ERROR", log_to_driver=False)
deadline = time.monotonic() + 300
while (found := sum(node["Alive"] for node in ray.nodes())) < expected:
    if time.monotonic() > deadline:
        sys.exit(f"only {found} of {expected} nodes have joined within five minutes")
    time.sleep(1)
PYTHON

# The first TERM ends a search in good order; a signal also ends `wait`, so wait again.
cluster/search-or-resume.sh --space "$space" --name "$name" --address "$head_address:6379" \
    --storage "$PWD/storage" "$@" &
search=$!
trap 'kill -TERM "$search"' TERM
status=0
wait "$search" || status=$?
while kill -0 "$search" 2>/dev/null; do
    status=0
    wait "$search" || status=$?
done
exit "$status"
