#!/usr/bin/env bash
# Runs the official SDKs of OpenAI, Anthropic and Google for Python and for Node, LangChain and Vercel's AI SDK against the
# gateway's binary: the one that GATEWAY_BIN names, else one built from this checkout. The providers behind it are the
# stand-in in upstream/. Needs the network on its first run only.
#
#   ./run-sdk.sh                     everything
#   ./run-sdk.sh python              one suite: python, langchain or node
#   ./run-sdk.sh langchain -k agent  one suite, with arguments for pytest or node --test
set -euo pipefail
. "$(dirname "$0")/setup.sh"

# npm brings a Node of the SDKs' liking along, so that the machine's own only has to run npm.
install_node() {
	if ! cmp -s node/package-lock.json node/node_modules/installed.json; then
		say "installing node/package-lock.json"
		npm --prefix node ci --no-audit --no-fund --loglevel=error
		cp node/package-lock.json node/node_modules/installed.json
	fi
}

run() {
	local suite=$1
	shift
	case $suite in
	python | langchain) "$cache/e2e-$suite/bin/python" -m pytest "$suite" "$@" ;;
	node) (cd node && PATH=$PWD/node_modules/.bin:$PATH node --test --test-reporter=dot "$@") ;;
	esac
}

ready() {
	case $1 in
	python | langchain) make_venv "e2e-$1" "$1/requirements.txt" ;;
	node) install_node ;;
	*)
		echo "there is no suite $1; there are python, langchain and node" >&2
		exit 2
		;;
	esac
}

build_gateway
command -v npm >/dev/null || install nodejs npm
python3 -c 'import ensurepip' 2>/dev/null || install python3 python3-venv

if [ $# -gt 0 ]; then
	ready "$1"
	run "$@"
	exit
fi

# Side by side, each in a process group of its own, so that Ctrl-C reaches all of it and it can stop its gateways.
set -m
suites=(python langchain node)
logs=$(mktemp -d)
declare -A job
stop() {
	for suite in "${!job[@]}"; do
		kill -INT -- "-${job[$suite]}" 2>/dev/null || true
	done
	wait
	rm -r "$logs"
}
trap 'exit 130' INT TERM
trap stop EXIT

# all FUNCTION runs it for each suite, and then tells what each said. Fails where one did.
all() {
	local status=0 suite
	for suite in "${suites[@]}"; do
		"$1" "$suite" >"$logs/$suite" 2>&1 &
		job[$suite]=$!
	done
	for suite in "${suites[@]}"; do
		wait "${job[$suite]}" || status=1
		unset "job[$suite]"
		say "$1 $suite"
		cat "$logs/$suite"
	done
	return $status
}

say "installing the SDKs, unless they are: ${suites[*]}"
all ready
say "running ${suites[*]}, about a minute"
all run
