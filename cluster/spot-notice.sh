#!/usr/bin/env bash
# Waits until the cloud announces that it takes this spot machine away (two minutes ahead on AWS,
# half a minute on Google), and tells Ray: trials save a checkpoint and go on elsewhere.
#
#     spot-notice.sh aws|gcp RAY     # RAY: the command of this node's Ray
set -u

cloud=$1
ray=$2
metadata=${METADATA:-http://169.254.169.254} # the cloud's own address, the same on every machine

announced_aws() {
    local token
    token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$metadata/latest/api/token") &&
        curl -sf -o /dev/null -H "X-aws-ec2-metadata-token: $token" \
            "$metadata/latest/meta-data/spot/instance-action"
}

announced_gcp() {
    [[ $(curl -sf -H 'Metadata-Flavor: Google' \
        "$metadata/computeMetadata/v1/instance/preempted") == TRUE ]]
}

until "announced_$cloud"; do sleep 2; done
case $cloud in
    aws) seconds=110 ;;
    gcp) seconds=25 ;;
esac
exec "$ray" drain-node --reason DRAIN_NODE_REASON_PREEMPTION --reason-message "spot notice" \
    --deadline-remaining-seconds "$seconds"
