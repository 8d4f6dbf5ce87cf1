#!/usr/bin/env bash
# Installs other gateways at pinned versions into a directory. Called by `make bench-peers`.
set -euo pipefail
dir=${1:?usage: bench/peers/install.sh <directory>}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$dir"

one_api=v0.6.10

need() {
	command -v "$1" >/dev/null || { echo "$1 is missing; on Debian: apt-get install $2" >&2; exit 1; }
}
need python3 'python3 python3-venv'
need npm npm
need gcc 'gcc libc6-dev'

if ! cmp -s "$here/requirements.txt" "$dir/venv/requirements.txt"; then
	python3 -m venv --clear "$dir/venv"
	"$dir/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
	cp "$here/requirements.txt" "$dir/venv/"
fi

# one-api counts tokens by OpenAI's tables, and would fetch them from OpenAI's site. LiteLLM's package has them under the same names.
if [ ! -d "$dir/tokenizers" ]; then
	cp -r "$dir"/venv/lib/python3*/site-packages/litellm/litellm_core_utils/tokenizers "$dir/tokenizers"
fi

if ! cmp -s "$here/package-lock.json" "$dir/package-lock.json"; then
	cp "$here/package.json" "$here/package-lock.json" "$dir/"
	(cd "$dir" && npm ci --silent --no-audit --no-fund --ignore-scripts)
fi

# The Go proxy has this version but no list of versions, which `go install` asks for; so it is built from the module's own folder.
if [ "$(cat "$dir/one-api.version" 2>/dev/null)" != "$one_api" ]; then
	source=$(cd / && go mod download -json "github.com/songquanpeng/one-api@$one_api" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
	[ -n "$source" ] || { echo "the Go proxy does not give one-api $one_api" >&2; exit 1; }
	rm -rf "$dir/one-api.source"
	cp -r "$source" "$dir/one-api.source"
	chmod -R u+w "$dir/one-api.source"
	(cd "$dir/one-api.source" && CGO_ENABLED=1 go build -o "$dir/one-api" .)
	rm -rf "$dir/one-api.source"
	echo "$one_api" >"$dir/one-api.version"
fi
