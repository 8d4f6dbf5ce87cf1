#!/bin/sh
# Builds the binary twice, the second time from a copy in another directory and with an empty build cache, and fails where
# the two differ by a byte. It takes minutes.
set -eu
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/copy"
cp -R caddy modules go.mod go.sum "$scratch/copy"

build() { # <checkout> <output>
	(cd "$1" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$2" ./caddy)
}
build . "$scratch/first"
GOCACHE=$scratch/cache build "$scratch/copy" "$scratch/second"

if ! cmp "$scratch/first" "$scratch/second"; then
	echo 'The two builds differ.' >&2
	exit 1
fi
echo "Both builds are the same $(wc -c <"$scratch/first" | tr -d ' ') bytes."
