#!/bin/sh
# Publish what comes on standard input, with curl.
#
#     WSPLUG_TOKEN=secret sh publish.sh news < news.json
#
# WSPLUG_URL says where, if it isn't http://localhost:9000/publish.

set -eu

channel=${1:?which channel?}
: "${WSPLUG_TOKEN:?the token is missing}"

# The token goes by standard input too, so that it is in no list of processes.
body=$(mktemp)
trap 'rm -f "$body"' EXIT
cat > "$body"
printf 'header = "Authorization: Bearer %s"\n' "$WSPLUG_TOKEN" |
    curl --config - --silent --show-error --fail-with-body \
        --header 'Content-Type: text/plain' --data-binary "@$body" \
        "${WSPLUG_URL:-http://localhost:9000/publish}?channel=$channel"
