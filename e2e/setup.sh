# What run-sdk.sh and run-llama.sh have in common; they source it. It leaves the shell in this folder.
# shellcheck shell=bash

if [ -n "${GATEWAY_BIN:-}" ]; then
	GATEWAY_BIN=$(realpath "$GATEWAY_BIN")
fi
cd "$(dirname "${BASH_SOURCE[0]}")" || exit
cache=$(cd .. && pwd)/.cache

say() { printf '\n== %s\n' "$*"; }

# install PACKAGE... installs Debian packages, or says which are missing.
install() {
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "Missing here: $*. Install them, or run this as root on Debian." >&2
		exit 1
	fi
	say "installing $*"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "$@"
}

# build_gateway builds the gateway from this checkout, unless GATEWAY_BIN names one.
build_gateway() {
	if [ -z "${GATEWAY_BIN:-}" ]; then
		say "building the gateway"
		(cd .. && go build -o bin/caddy ./caddy)
		GATEWAY_BIN=$(cd .. && pwd)/bin/caddy
	fi
	export GATEWAY_BIN
}

# make_venv NAME REQUIREMENTS makes .cache/NAME a virtual environment with what REQUIREMENTS pins, and sets venv to it.
# Where that is done already, nothing is asked of the network.
make_venv() {
	venv=$cache/$1
	if cmp -s "$2" "$venv/installed.txt"; then
		return
	fi
	python3 -c 'import ensurepip' 2>/dev/null || install python3 python3-venv
	say "installing $2 into .cache/$1"
	python3 -m venv "$venv"
	"$venv/bin/pip" install --disable-pip-version-check --progress-bar off -r "$2"
	cp "$2" "$venv/installed.txt"
}
