#!/usr/bin/env bash
# Builds what a release consists of, into dist/: for each platform an archive of the binary and its SBOM (CycloneDX), and
# checksums of all.
#
#   scripts/release.sh [<os>/<arch>...]    linux and darwin on amd64 and arm64 by default
#
# It needs Go and GNU tar. Two runs on the same commit give the same bytes, SBOMs apart, which have a time and a number.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
-h | --help)
	sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"
	exit
	;;
-*)
	echo "unknown option $1; see $0 --help" >&2
	exit 2
	;;
esac
[ $# -gt 0 ] || set -- linux/amd64 linux/arm64 darwin/amd64 darwin/arm64

version=$(git describe --tags --always --dirty)
stamp=$(./scripts/version.sh)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
rm -rf dist
mkdir dist

for platform in "$@"; do
	os=${platform%/*} arch=${platform#*/}
	name=caddy-llm_${version}_${os}_${arch}
	printf '== %s\n' "$name"
	mkdir "$scratch/$name"
	CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -buildvcs=false \
		-ldflags "-s -w -X github.com/caddyserver/caddy/v2.CustomVersion=$stamp" -o "$scratch/$name/caddy" ./caddy
	cp Caddyfile README.md "$scratch/$name"
	tar --create --directory "$scratch" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" "$name" |
		gzip --no-name --best >"dist/$name.tar.gz"
	go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0 bin -json -version "$version" \
		-output "dist/$name.cdx.json" "$scratch/$name/caddy"
done
(cd dist && sha256sum -- * >"$scratch/SHA256SUMS" && mv "$scratch/SHA256SUMS" .)
ls -l dist
