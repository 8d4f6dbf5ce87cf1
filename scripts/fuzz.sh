#!/usr/bin/env bash
# Runs each fuzz target of the repository for a while, as many at once as there are processors: scripts/fuzz.sh [10s]
# Ends with 1 where a target found something, once all have run.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-10s}

# one runs a target and says in a line how it went.
one() {
	local package=$1 target=$2 out
	fuzz() { go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1s -parallel 1 "$package" 2>&1; }
	# Go's fuzzer at times takes its own end for a failure (golang/go#75804, mended in 1.27). A true one names its input.
	if out=$(fuzz) || { grep -q 'context deadline exceeded' <<<"$out" && out=$(fuzz); }; then
		echo "$package $target: $(tail -2 <<<"$out" | head -1)"
	else
		printf '%s %s: FAIL\n%s\n' "$package" "$target" "$out"
		return 1
	fi
}
export -f one
export time

grep -rl --include='*_test.go' '^func Fuzz' modules | sort | while read -r file; do
	sed -n "s|^func \(Fuzz[A-Za-z0-9_]*\).*|./$(dirname "$file") \1|p" "$file"
done | xargs -P "$(getconf _NPROCESSORS_ONLN)" -L 1 bash -c 'one "$@"' fuzz
