#!/bin/sh
# Runs pin-billing in a container. The first start makes the tokens that
# pin-billing.json in the image names; later starts leave them alone.
set -eu

secrets="$BILLING_PATH/secrets"
if [ ! -e "$secrets" ]; then
  new="$BILLING_PATH/.first-start"
  rm -rf "$new"
  pin-billing --config "$new/pin-billing.json" init
  rm "$new/pin-billing.json" # the example, which is not the configuration here
  mv "$new" "$secrets"
  echo "new: $secrets" >&2
fi
exec pin-billing "$@"
