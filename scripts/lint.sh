#!/usr/bin/env bash
# Checks the sources without running them. Called by `make lint`; the first run builds the linters, which takes minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '== %s\n' "$*"; }

step 'gofmt'
unformatted=$(gofmt -l bench caddy modules)
[ -z "$unformatted" ] || { printf 'run gofmt -w on:\n%s\n' "$unformatted"; exit 1; }

step 'go vet'
go vet ./...

step 'go mod tidy'
go mod tidy -diff

step 'golangci-lint'
CGO_ENABLED=0 go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run ./...

step 'actionlint'
CGO_ENABLED=0 go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

if command -v shellcheck >/dev/null; then
	step 'shellcheck'
	shellcheck --severity warning --external-sources --source-path SCRIPTDIR xcaddy.sh scripts/*.sh e2e/*.sh
fi
