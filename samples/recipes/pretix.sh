#!/bin/sh
# The order positions of a pretix event, as CSV on standard output (pretix' API, "Data exporters").
# The header with the token stands in ./token-header, mode 0600: `Authorization: Token …`.
set -eu
run() { curl --fail --silent --show-error --max-time 300 --header @token-header "$@"; }
started=$(run --header 'Content-Type: application/json' \
  --data '{"_format": "positions:default"}' "$1/exporters/orderlist/run/")
address=$(printf %s "$started" | sed -n 's/.*"download": *"\([^"]*\)".*/\1/p')
list=$(mktemp)
trap 'rm -f "$list"' EXIT
# 409: the export is not ready yet.
while [ "$(curl --silent --max-time 300 --header @token-header \
  --output "$list" --write-out '%{http_code}' "$address")" = 409 ]; do
  sleep "${PAUSE:-5}"
done
run "$address"
