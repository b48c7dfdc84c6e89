#!/bin/sh
# Runs pin-gateway in a container. The first start makes the secrets that
# pin-gateway.json in the image names; later starts leave them alone.
set -eu

secrets="$GATEWAY_PATH/secrets"
if [ ! -e "$secrets" ]; then
  # All of them appear at once, as keys and what is verified with them belong
  # together: a container that dies before makes others at its next start.
  new="$GATEWAY_PATH/.first-start"
  rm -rf "$new"
  pin-gateway --config "$new/pin-gateway.json" init
  rm "$new/pin-gateway.json" # the example, which is not the configuration here
  mv "$new" "$secrets"
  echo "new: $secrets" >&2
fi
exec pin-gateway "$@"
