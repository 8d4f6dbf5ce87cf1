#!/usr/bin/env bash
# Tests the load tests: their own unit tests, the commands of their README, and each scenario but endurance in a short form.
# The gateway is the one that GATEWAY_BIN names, else one built from this checkout. It takes about two minutes; the first run
# needs the network.
set -euo pipefail
. "$(dirname "$0")/../e2e/setup.sh"

build_gateway
make_venv load-tests ../load_tests/requirements.txt
command -v curl >/dev/null || install curl
command -v redis-server >/dev/null || install redis-server
command -v redis-cli >/dev/null || install redis-tools
cd ..

say "the load tests' own tests"
"$venv/bin/python" -W error::ResourceWarning -m unittest discover -s load_tests/tests

RESULTS=$(mktemp -d)
export RESULTS
trap 'rm -rf "$RESULTS"' EXIT
for run in baseline:15s stress:15s spike:16s native:8s; do
	SCENARIO=${run%:*} DURATION=${run#*:} ./scripts/load-test.sh
done
