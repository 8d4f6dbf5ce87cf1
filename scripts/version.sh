#!/bin/sh
# Prints the version that is stamped into bin/caddy: the tag, or the commit, of this checkout, and Caddy's.
set -eu
cd "$(dirname "$0")/.."
ours=$(git describe --tags --always --dirty 2>/dev/null || echo unknown)
caddy=$(go list -m -f '{{.Version}}' github.com/caddyserver/caddy/v2)
echo "caddy-llm-$ours+caddy-$caddy"
