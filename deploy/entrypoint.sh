#!/bin/sh
# Runs ipfs-cluster-service in a container. The first start writes identity
# and service.json, with what the CLUSTER_ variables say; later starts leave
# both alone. A variable that is set overrides service.json at every start.
set -eu

if [ ! -e "$IPFS_CLUSTER_PATH/service.json" ]; then
  ipfs-cluster-service init --state scylla
fi
exec ipfs-cluster-service "$@"
