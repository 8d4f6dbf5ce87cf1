#!/usr/bin/env bash
# Compares the Go benchmarks of this checkout with those of the last release, as Markdown on standard output.
set -euo pipefail

usage() {
	cat <<'TEXT'
Usage: scripts/bench-compare.sh [<revision>] [--help]

Runs the Go benchmarks of this checkout and of a revision (default: the last tag, else main) in turn, and has benchstat compare
them. What allocates more is told with certainty; times are those of a machine that others may use.

Environment:
  COUNT      how often each benchmark runs (default 6, the least that benchstat wants)
  BENCHTIME  for how long each time (default 100ms)
  PACKAGES   which packages (default ./modules/...)
TEXT
}

case ${1-} in
--help | -h) usage; exit ;;
-*) usage >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."
base=${1:-$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse --verify --quiet --abbrev-ref main || echo origin/main)}
count=${COUNT:-6} benchtime=${BENCHTIME:-100ms}
read -ra packages <<<"${PACKAGES:-./modules/...}"

scratch=$(mktemp -d)
cleanup() {
	git worktree remove --force "$scratch/base" 2>/dev/null || true
	rm -rf "$scratch"
}
trap cleanup EXIT
git worktree add --quiet --detach "$scratch/base" "$base"

run() { # <folder> <file>
	# A benchmark that one of the two does not have, or that fails there, is no reason to compare none.
	(cd "$1" && go test -run '^$' -bench . -benchmem -benchtime "$benchtime" "${packages[@]}" 2>&1) >>"$2" ||
		grep -E '^(FAIL|---)' "$2" >&2 || true
}
for ((i = 1; i <= count; i++)); do
	echo "round $i of $count" >&2
	run "$scratch/base" "$scratch/base.txt"
	run . "$scratch/here.txt"
done

echo "## Benchmarks beside $base"
echo
echo '```'
(cd "$scratch" && CGO_ENABLED=0 go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da "$base=base.txt" "this=here.txt")
echo '```'
