#!/bin/sh
# Builds bin/caddy, Caddy with the gateway's modules, from this checkout: static, reproducible, at pinned versions.
#
#   ./xcaddy.sh                                  bin/caddy
#   ./xcaddy.sh --with github.com/some/module    the same with one more module; arguments go to `xcaddy build`
set -eu
cd "$(dirname "$0")"

XCADDY_VERSION=v0.4.5
CADDY_VERSION=v2.11.9
MODULE=github.com/caddy-llm/caddy-llm

case "${1:-}" in
-h | --help)
	sed -n '2,5s/^# \{0,1\}//p' "$0"
	exit 0
	;;
esac

# The module is this checkout, so nobody need be asked for it. Without this first proxy, which says of $MODULE/modules that
# it is no module of its own, Go would look for one on the network.
nobody=$(mktemp -d)
trap 'rm -rf "$nobody"' EXIT
mkdir -p "$nobody/$MODULE/modules/@v"
: >"$nobody/$MODULE/modules/@v/list"

GOPROXY="file://$nobody,$(go env GOPROXY)"
CGO_ENABLED=0
# shellcheck disable=SC2089 # xcaddy itself takes the quotes away
XCADDY_GO_BUILD_FLAGS="-trimpath -buildvcs=false -tags=nobadger,nomysql,nopgx -ldflags='-s -w -X github.com/caddyserver/caddy/v2.CustomVersion=$(./scripts/version.sh)'"
# shellcheck disable=SC2090
export GOPROXY CGO_ENABLED XCADDY_GO_BUILD_FLAGS

mkdir -p bin
go run "github.com/caddyserver/xcaddy/cmd/xcaddy@$XCADDY_VERSION" build "$CADDY_VERSION" \
	--with "$MODULE/modules" --replace "$MODULE=$PWD" --output bin/caddy "$@"
bin/caddy version
