#!/usr/bin/env bash
# Runs the official OpenAI and Anthropic SDKs for Python and for Node against the gateway's binary: the one that GATEWAY_BIN names,
# else one built from this checkout. Needs the network on its first run only.
set -euo pipefail
. "$(dirname "$0")/setup.sh"

build_gateway
make_venv e2e-python python/requirements.txt

# npm brings a Node of the SDK's liking along, so that the machine's own only has to run npm.
if ! cmp -s node/package-lock.json node/node_modules/installed.json; then
	command -v npm >/dev/null || install nodejs npm
	say "installing node/package-lock.json"
	npm --prefix node ci --no-audit --no-fund
	cp node/package-lock.json node/node_modules/installed.json
fi

status=0
say "the SDKs for Python, and /v1/analyze/"
"$venv/bin/python" -m pytest python || status=1
say "the SDKs for Node"
npm --prefix node test || status=1
exit $status
