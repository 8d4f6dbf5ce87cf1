#!/usr/bin/env bash
# Checks the dashboards in monitoring/ against Grafana's published types. Needs the network on its first run only.
set -euo pipefail
. "$(dirname "$0")/setup.sh"

if ! cmp -s dashboards/package-lock.json dashboards/node_modules/installed.json; then
	command -v npm >/dev/null || install nodejs npm
	say "installing dashboards/package-lock.json"
	npm --prefix dashboards ci --no-audit --no-fund
	cp dashboards/package-lock.json dashboards/node_modules/installed.json
fi
npm --prefix dashboards test
