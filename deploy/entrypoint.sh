#!/bin/sh
# Runs ipfs-cluster-service in a container. The first start writes identity
# and service.json, with what the CLUSTER_ variables say; later starts leave
# both alone. A variable that is set overrides service.json at every start.
set -eu

# docker run IMAGE init: the user writes them.
for word in "$@"; do
  if [ "$word" = init ]; then
    exec ipfs-cluster-service "$@"
  fi
done

if [ ! -e "$IPFS_CLUSTER_PATH/identity.json" ] || [ ! -e "$IPFS_CLUSTER_PATH/service.json" ]; then
  # A file appears only when it is whole: a container that dies here does the
  # rest at its next start. The peerstore is empty, the daemon makes its own.
  new="$IPFS_CLUSTER_PATH/.first-start"
  rm -rf "$new"
  ipfs-cluster-service --config "$new" init --state scylla
  for file in identity.json service.json; do
    if [ ! -e "$IPFS_CLUSTER_PATH/$file" ]; then
      mv "$new/$file" "$IPFS_CLUSTER_PATH/$file"
      echo "new: $IPFS_CLUSTER_PATH/$file" >&2
    fi
  done
  rm -rf "$new"
fi
exec ipfs-cluster-service "$@"
