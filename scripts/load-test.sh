#!/usr/bin/env bash
# Runs one load test against a gateway of its own, and checks what it gave. Called by `make load-test`.
set -euo pipefail

usage() {
	cat <<'TEXT'
Usage: [SCENARIO=…] [DURATION=…] scripts/load-test.sh [--help]

Builds the gateway, starts it with the repository's Caddyfile and a data directory of its own, makes the keys, runs the load
with Locust, and checks the results. It ends what it started, with Ctrl-C too. Exit status 1 says that a check failed.

Environment:
  SCENARIO     baseline (the default), stress, spike, endurance or native; load_tests/README.md tells of each
  DURATION     how long, such as 90s, 20m or 1h30m (default: baseline 30s, stress 60s, spike 60s, endurance 20m, native 30s)
  PORT         the gateway's port (default: a free one)
  RESULTS      where the results go (default results/)
  GATEWAY_BIN  a gateway that is built already
  MODEL        the model that native asks (default: the first that the gateway lists)
TEXT
}

case ${1:-} in
--help | -h) usage; exit ;;
'') ;;
*) usage >&2; exit 2 ;;
esac

# A scenario is a locustfile, a number of users, the users that come each second, the limit of its key and what is checked.
scenario=${SCENARIO:-baseline}
users=10 rate=2 limit=1000/1h checks=() growth=()
case $scenario in
baseline) duration=30s file=baseline_test.py checks=(--require cache-hits) ;;
stress) duration=60s file=baseline_test.py users=50 rate=5 checks=(--require cache-hits --require rate-limits) ;;
spike) duration=60s file=spike_test.py users=100 rate=10 checks=(--require cache-hits) ;;
endurance) duration=20m file=baseline_test.py users=30 rate=3 limit=none checks=(--require cache-hits) growth=(--max-growth 110) ;;
native) duration=30s file=native_test.py ;;
*) echo "There is no scenario $scenario: baseline, stress, spike, endurance and native are there." >&2; exit 2 ;;
esac
duration=${DURATION:-$duration}
if [[ ! $duration =~ ^(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s?)?$ ]] || [ -z "$duration" ]; then
	echo "DURATION=$duration is no duration: write 90s, 20m or 1h30m." >&2
	exit 2
fi
seconds=$((10#0${BASH_REMATCH[2]} * 3600 + 10#0${BASH_REMATCH[4]} * 60 + 10#0${BASH_REMATCH[6]}))
[ $seconds -ge 5 ] || { echo 'DURATION is too short: 5s at least.' >&2; exit 2; }
if [ "$scenario" = stress ]; then
	# Two minutes of this load are 1,400 calls, which 1000 an hour do not allow. A shorter run has less to go beyond.
	limit=$((seconds < 120 ? 6 * seconds : 1000))/1h
fi

cd "$(dirname "$0")/.."
results=$(realpath -m "${RESULTS:-results}")
. e2e/setup.sh
build_gateway
make_venv load-tests ../load_tests/requirements.txt
cd ..
python=$venv/bin/python

scratch=$(mktemp -d)
gateway='' recorder='' load=''
finish() {
	trap - INT TERM
	local pid
	for pid in $load $recorder $gateway; do kill "$pid" 2>/dev/null || true; done
	for pid in $load $recorder $gateway; do wait "$pid" 2>/dev/null || true; done
	rm -rf "$scratch"
}
trap finish EXIT
trap 'echo "Stopped." >&2; exit 130' INT
trap 'exit 143' TERM

say "the gateway"
port=${PORT:-$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')}
host=http://localhost:$port
export GATEWAY_ADDR=:$port GATEWAY_DATA=$scratch/data
XDG_CONFIG_HOME=$scratch XDG_DATA_HOME=$scratch "$GATEWAY_BIN" run --config Caddyfile --adapter caddyfile >"$scratch/gateway.log" 2>&1 &
gateway=$!
for ((tries = 0; ; tries++)); do
	curl -sf "$host/v1/ready" >/dev/null && kill -0 $gateway 2>/dev/null && break
	if [ $tries -ge 300 ] || ! kill -0 $gateway 2>/dev/null; then
		echo "The gateway did not start at $host:" >&2
		grep -v -e 'gateway key' -e 'admin credential' -e 'sp_' "$scratch/gateway.log" | tail -n 20 >&2
		exit 1
	fi
	sleep 0.1
done
"$python" load_tests/create_keys.py --host "$host" --caddy "$GATEWAY_BIN" --high-limit "$limit" --output "$scratch/keys.env"
set -a
. "$scratch/keys.env"
set +a

say "$scenario, $duration"
mkdir -p "$results"
prefix=${results#"$PWD"/}/$scenario
rm -f "$prefix"_*.csv
"$python" load_tests/gateway_resources.py record "${prefix}_resources.csv" --host "$host" --progress $((seconds > 300 ? 60 : 10)) &
recorder=$!
# Locust's own status is not asked: it ends with 1 after one failure, and the thresholds are checked below.
"$venv/bin/locust" -f "load_tests/$file" --host "$host" --headless --users $users --spawn-rate $rate --run-time "${seconds}s" \
	--csv "$prefix" --html "$prefix.html" --only-summary >"$scratch/load.log" 2>&1 &
load=$!
wait $load || true
load=''
kill $recorder && wait $recorder
recorder=''
if ! [ -s "${prefix}_stats.csv" ]; then
	echo 'Locust wrote no results:' >&2
	tail -n 20 "$scratch/load.log" >&2
	exit 1
fi
grep -v -x -e 'Cache hit! .*' -e 'Rate limit hit (expected)' "$scratch/load.log" || true
hits=$(grep -c 'Cache hit!' "$scratch/load.log" || true)
refusals=$(grep -c 'Rate limit hit' "$scratch/load.log" || true)
echo "\"Cache hit!\" was printed $hits times, \"Rate limit hit (expected)\" $refusals times."

say "checks"
status=0
"$python" scripts/check_load_test_results.py "${prefix}_stats.csv" "${checks[@]}" || status=1
echo
"$python" load_tests/gateway_resources.py report "${prefix}_resources.csv" --plot "${prefix}_resources.svg" "${growth[@]}" || status=1
echo "The rest is in $prefix.html and ${prefix}_*.csv."
exit $status
