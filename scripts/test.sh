#!/usr/bin/env bash
# Installs what the tests need and runs them all. Called by `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

# need installs Debian packages where this is Debian, we are root and a command is missing; elsewhere it says what to install.
need() {
	local command=$1
	shift
	command -v "$command" >/dev/null 2>&1 && return
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		step "installing $*"
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
	else
		echo "The tests need $command. Install it (Debian: apt-get install $*; macOS: brew install $command) and run make test again." >&2
		exit 1
	fi
}

step 'what the tests need'
need gcc gcc libc6-dev # the race detector
need curl curl
need python3 python3 python3-venv
need node nodejs npm
need npm npm
need redis-server redis-server
need redis-cli redis-tools
need promtool prometheus
need amtool prometheus-alertmanager
need taskset util-linux # pins what bench/ measures
postgres() { command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb /opt/homebrew/opt/postgresql@*/bin/initdb 2>/dev/null; }
[ -n "$(postgres)" ] || need initdb postgresql
[ -n "$(postgres)" ] || { echo 'The tests need PostgreSQL (initdb). Install it and run make test again.' >&2; exit 1; }

step 'gofmt, go vet'
export CGO_ENABLED=1
unformatted=$(gofmt -l bench caddy modules)
[ -z "$unformatted" ] || { echo "run gofmt -w on:" $unformatted; exit 1; }
go vet -race ./... # as the tests are built, so that nothing is compiled twice

step 'go test -race, with coverage'
go test -race -timeout 20m -coverprofile coverage.out -coverpkg ./modules/... ./...
go tool cover -func coverage.out | tail -1

step 'fuzz targets, 10s each'
./scripts/fuzz.sh 10s

step 'bin/caddy'
CGO_ENABLED=0 make --no-print-directory build

export GATEWAY_BIN=$PWD/bin/caddy

step 'Valkey in the place of Redis'
./e2e/run-valkey.sh

step 'official SDKs'
./e2e/run-sdk.sh

step 'dashboards'
./e2e/run-dashboards.sh

step 'a real LLM server'
./e2e/run-llama.sh

step 'load tests, in short form'
./load_tests/run-tests.sh

step 'all tests passed'
