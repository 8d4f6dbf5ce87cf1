#!/usr/bin/env bash
# Runs the tests of several gateways with one Redis and one PostgreSQL at full length, and shows the figures that they print:
# scripts/faults.sh [a pattern of test names]
set -euo pipefail
cd "$(dirname "$0")/.."
go test -count 1 -timeout 30m -v -run "${1:-Fleet}" ./caddy -fleet.full
