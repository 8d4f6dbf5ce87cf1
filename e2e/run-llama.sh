#!/usr/bin/env bash
# Runs the gateway before a real llama.cpp server with a tiny made-up model. The gateway is the one that GATEWAY_BIN
# names, else one built from this checkout. The first run needs the network, and some minutes to compile llama.cpp.
set -euo pipefail
. "$(dirname "$0")/setup.sh"

build_gateway
if ! cmp -s llama/requirements.txt "$cache/e2e-llama/installed.txt"; then
	command -v cmake >/dev/null || install cmake
	command -v g++ >/dev/null || install g++
	say "llama.cpp is compiled next: about four minutes on two cores"
fi
# Not for this machine's processor alone, so that the cache may move to another.
export CMAKE_ARGS=-DGGML_NATIVE=OFF
make_venv e2e-llama llama/requirements.txt

say "the gateway before llama.cpp"
"$venv/bin/python" -m pytest llama
