#!/bin/sh
# Publish the standard input with curl.
#
#     WSPLUG_TOKEN=secret sh publish.sh news < news.json
#
# WSPLUG_URL is the URL; the default is http://localhost:9000/publish.

set -eu

channel=${1:?which channel?}
: "${WSPLUG_TOKEN:?the token is missing}"

# curl reads the token from standard input, so that lists of processes don't show it.
body=$(mktemp)
trap 'rm -f "$body"' EXIT
cat > "$body"
printf 'header = "Authorization: Bearer %s"\n' "$WSPLUG_TOKEN" |
    curl --config - --silent --show-error --fail-with-body \
        --header 'Content-Type: text/plain' --data-binary "@$body" \
        "${WSPLUG_URL:-http://localhost:9000/publish}?channel=$channel"
