#!/usr/bin/env bash
# Measures what the gateway costs Redis, and prints Markdown tables of it.
set -euo pipefail

usage() {
	cat <<'TEXT'
Usage: scripts/measure-redis.sh [--requests <n>] [--help]

Starts a Redis of its own and three gateways, sends them calls of each kind, and prints what INFO and MEMORY USAGE then say,
as Markdown. It ends what it started and leaves nothing behind.

  --requests <n>  calls of each kind (default 1000)

Environment:
  CADDY           the gateway's binary (default bin/caddy; `make build` makes it)
  REDIS_SERVER    redis-server or valkey-server (default redis-server)
  REDIS_CLI       its client (default redis-cli)
  REDIS_BENCHMARK its load generator (default redis-benchmark)

It also needs bash, curl and awk. It takes about a minute.
TEXT
}

requests=1000
while [ $# -gt 0 ]; do
	case $1 in
	--help | -h) usage; exit ;;
	--requests) requests=${2:?--requests needs a number}; shift 2 ;;
	*) usage >&2; exit 2 ;;
	esac
done

cd "$(dirname "$0")/.."
caddy=$(realpath "${CADDY:-bin/caddy}")
redis_cli=${REDIS_CLI:-redis-cli}
[ -x "$caddy" ] || { echo "$caddy is missing; make build, or set CADDY" >&2; exit 1; }

scratch=$(mktemp -d)
started=()
cleanup() {
	for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
	for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
	rm -rf "$scratch"
}
trap cleanup EXIT

free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 40000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo $port; return; }
	done
}

await() { # <what> <command>...: until the command succeeds, 30 seconds at most
	local what=$1 tries=0
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 300 ] || { echo "$what did not come; see below" >&2; tail -n 20 "$scratch"/*.log >&2; exit 1; }
		sleep 0.1
	done
}

# The servers -----------------------------------------------------------------------------------------------------------------

redis_port=$(free_port)
"${REDIS_SERVER:-redis-server}" --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no --dir "$scratch" \
	--enable-debug-command no >"$scratch/redis.log" 2>&1 &
redis_pid=$!
started+=("$redis_pid")
cli() { "$redis_cli" -p "$redis_port" "$@"; }
await Redis cli PING

ports=()
gateway() { # starts one more
	local port
	port=$(free_port)
	cat >"$scratch/$port.Caddyfile" <<-CADDYFILE
		{
			admin off
			llm_gateway {
				data_dir $scratch/$port
				store redis {
					url redis://127.0.0.1:$redis_port
					timeout 2s
				}
				provider demo {
					words 300
				}
			}
		}

		http://127.0.0.1:$port {
			llm_health
			@one header X-Limits one
			llm_rate_limit @one {
				key {http.request.header.X-Tenant}
				requests 10_000 1h
			}
			@three header X-Limits three
			llm_rate_limit @three {
				key {http.request.header.X-Tenant}
				requests 10_000 1h
				tokens 1_000_000_000 1h
				concurrency 1000
			}
			@thousand header X-Limits thousand
			llm_rate_limit @thousand {
				key {http.request.header.X-Tenant}
				requests 1000 1h
			}
			@million header X-Limits million
			llm_rate_limit @million {
				key {http.request.header.X-Tenant}
				requests 1_000_000 1h
			}
			llm_cache {
				scope shared
			}
			llm_proxy
		}
	CADDYFILE
	XDG_DATA_HOME=$scratch XDG_CONFIG_HOME=$scratch "$caddy" run --config "$scratch/$port.Caddyfile" --adapter caddyfile \
		>"$scratch/$port.log" 2>&1 &
	started+=($!)
	await "gateway $port" curl -sf "http://127.0.0.1:$port/v1/live"
	ports+=("$port")
	# The first level begins with the first call to the cache.
	call "$port" 1 warm-up-$port none key_000000000000000000000000 0
	sleep 1
}

# Calls -----------------------------------------------------------------------------------------------------------------------

# call <port> <n> <question> <limits> <tenant> <temperature> [<curl option>...] sends n calls over one connection. Each asks
# something else; temperature 0 makes an answer one that is cached. It fails where an answer is neither 200 nor 429.
call() {
	local port=$1 n=$2 question=$3 limits=$4 tenant=$5 temperature=$6 i
	shift 6
	for ((i = 0; i < n; i++)); do
		[ $i -eq 0 ] || echo next
		cat <<-CONFIG
			url = "http://127.0.0.1:$port/v1/chat/completions"
			header = "Content-Type: application/json"
			header = "X-Limits: $limits"
			header = "X-Tenant: $tenant"
			data = "{\"model\":\"demo\",\"temperature\":$temperature,\"messages\":[{\"role\":\"user\",\"content\":\"$question $i\"}]}"
			output = "/dev/null"
			write-out = "%{http_code}\n"
		CONFIG
	done >"$scratch/calls"
	curl -s "$@" -K "$scratch/calls" >"$scratch/codes" 2>"$scratch/curl.log" || { tail -n 5 "$scratch/curl.log" >&2; exit 1; }
	if grep -qvE '^(200|429)$' "$scratch/codes"; then
		echo "calls failed: $(sort "$scratch/codes" | uniq -c | tr '\n' ' ')" >&2
		tail -n 5 "$scratch/$port.log" >&2
		exit 1
	fi
}

# Tables ----------------------------------------------------------------------------------------------------------------------

first() { awk 'NR == 1'; } # reads to the end, so that whoever writes is not cut off

cpu() { cli INFO cpu | tr -d '\r' | awk -F: '/^used_cpu_(user|sys):/ { t += $2 } END { printf "%.6f", t }'; }

idle_reads=0 idle_in=0 idle_out=0 # each second, for the gateways that run

begin() {
	cli CONFIG RESETSTAT >/dev/null
	began=$EPOCHREALTIME cpu_began=$(cpu)
}

# row <what> <calls> prints what has happened since begin, for each call, less what gateways do without any.
row() {
	local seconds cpu_used
	seconds=$(awk "BEGIN { print $EPOCHREALTIME - $began }")
	cpu_used=$(awk "BEGIN { print $(cpu) - $cpu_began }")
	cli INFO all | tr -d '\r' | awk -F'[:=,]' -v what="$1" -v n="$2" -v seconds="$seconds" -v cpu="$cpu_used" \
		-v reads="$idle_reads" -v in_idle="$idle_in" -v out_idle="$idle_out" '
		/^total_reads_processed:/ { trips = $2 }
		/^total_net_input_bytes:/ { bytes_in = $2 }
		/^total_net_output_bytes:/ { bytes_out = $2 }
		/^cmdstat_/ {
			name = substr($1, 9)
			if (name ~ /^(ping|info|config|client|command|hello|subscribe)/) next
			calls[name] = $3
			if (name ~ /^eval/) script += $5
		}
		function per(x) { x = x / n; return x < 0 ? 0 : x }
		END {
			count = asorti_by_name(calls, names)
			for (i = 1; i <= count; i++) if (calls[names[i]] / n >= 0.005)
				list = list (list ? ", " : "") names[i] " " sprintf("%.2f", calls[names[i]] / n)
			printf "| %s | %.2f | %.0f | %.0f | %.1f | %.1f | %s |\n", what, per(trips - reads * seconds), per(bytes_in - in_idle * seconds),
				per(bytes_out - out_idle * seconds), per(script), per(1e6 * cpu), list ? list : "none"
		}
		function asorti_by_name(from, to,   name, k, j) {
			k = 0
			for (name in from) {
				for (j = k++; j > 0 && to[j] > name; j--) to[j + 1] = to[j]
				to[j + 1] = name
			}
			return k
		}'
}

idle() { # measures the gateways at rest
	cli CONFIG RESETSTAT >/dev/null
	sleep 5
	eval "$(cli INFO stats | tr -d '\r' | awk -F: '
		/^total_reads_processed:/ { print "idle_reads=" $2 / 5 }
		/^total_net_input_bytes:/ { print "idle_in=" $2 / 5 }
		/^total_net_output_bytes:/ { print "idle_out=" $2 / 5 }')"
}

memory() { # <what> <key>
	echo "| $1 | $(cli MEMORY USAGE "$2" SAMPLES 0) | $(cli OBJECT ENCODING "$2") |"
}

key=key_3f9a0c51d2e84b7796a1c0de

echo "Redis $(cli INFO server | tr -d '\r' | awk -F: '/^(redis|valkey)_version:/ { v = $2 } END { print v }'), $requests calls of each kind, one after the other" \
	"unless it says otherwise, answers of 300 words."
echo
echo "| for each call | round trips | bytes to Redis | bytes from Redis | µs in scripts | µs of Redis's CPU | commands, those within scripts too |"
echo "|---|---|---|---|---|---|---|"

gateway
idle
idle_one="$idle_reads $idle_in $idle_out"
one=${ports[0]}

call "$one" 1 first one "$key" 1
begin; call "$one" "$requests" bypass one "$key" 1; row "one limit, no cache" "$requests"
begin; call "$one" "$requests" bypass three "$key" 1; row "three limits (requests, tokens, concurrency), no cache" "$requests"
begin; call "$one" "$requests" alone none "$key" 0; row "no limit, miss, one gateway" "$requests"
gateway
gateway
idle
two=${ports[1]}
begin; call "$one" "$requests" cached one key_111111111111111111111111 0; row "one limit, miss, three gateways" "$requests"
begin; call "$one" "$requests" crowd none "$key" 0; row "no limit, miss, three gateways" "$requests"
begin; call "$one" "$requests" cached one key_222222222222222222222222 0; row "one limit, hit in the first level" "$requests"
begin; call "$two" "$requests" cached one key_333333333333333333333333 0; row "one limit, hit in Redis" "$requests"
call "$one" 1000 fill thousand "$key" 1
begin; call "$one" "$requests" denied thousand "$key" 1; row "one limit, refused" "$requests"
grep -q 200 "$scratch/codes" && { echo "a call beyond the limit was admitted" >&2; exit 1; }
begin; call "$one" "$requests" busy one key_444444444444444444444444 1 --parallel --parallel-max 32; row "one limit, no cache, 32 at a time" "$requests"
begin; call "$one" "$requests" busy three key_666666666666666666666666 1 --parallel --parallel-max 32; row "three limits, no cache, 32 at a time" "$requests"
begin; call "$one" "$requests" busy million key_444444444444444444444444 1 --parallel --parallel-max 32; row "one limit of 1,000,000, no cache, 32 at a time" "$requests"

echo
echo "At rest one gateway asks $(awk "BEGIN { split(\"$idle_one\", i, \" \"); printf \"%.1f times a second, with %.0f bytes there and %.0f back\", i[1], i[2], i[3] }");" \
	"three ask $(awk "BEGIN { printf \"%.1f times, with %.0f and %.0f\", $idle_reads, $idle_in, $idle_out }")."
echo

# An hour of a full window takes an hour, so the script is told the time: 60 minutes with a sixtieth of the million each.
lua=$(cat modules/stores/redis/scripts/window.lua modules/stores/redis/scripts/admit.lua)
hour=3600000000 million="rate_limit:{million:$key}:million:$key:requests:3600"
now=$(cli TIME | awk 'NR == 1 { printf "%.0f", $1 * 1000000 }')
for ((minute = 0; minute < 60; minute++)); do
	granted=$(cli EVAL "$lua" 1 "$million" $((now + minute * 60000000)) '' 0 4503599627370496 buckets $hour 16666 1 1000000 | first)
	[ "$granted" = 1 ] || { echo "the script refused to fill a window: $granted" >&2; exit 1; }
done

echo "| key | bytes, by MEMORY USAGE | kept as |"
echo "|---|---|---|"
call "$one" 1 once thousand key_555555555555555555555555 1
memory "1,000 an hour, one call" "$(cli --scan --pattern '*key_555*' | first)"
memory "1,000 an hour, full" "$(cli --scan --pattern "*:thousand:$key:*" | first)"
memory "1,000,000 an hour, full" "$million"
answer=$(cli --scan --pattern 'cache:1:*' | first)
memory "a cached answer of 300 words" "$answer"
echo

# How many decisions a Redis makes, when it has nothing else to do.
digest=$(cli SCRIPT LOAD "$lua")
benchmark() { "${REDIS_BENCHMARK:-redis-benchmark}" -p "$redis_port" -r 1000000 -q "$@" >/dev/null; }
decide() { # <what> <form> <n of the limit>
	local before=$EPOCHREALTIME cpu_before
	cpu_before=$(cpu)
	benchmark -n 100000 -c 64 EVALSHA "$digest" 1 'rate_limit:{key:key_000000000000__rand_int__}:key:key_000000000000__rand_int__:requests:3600' '' '' 0 1 "$2" $hour 1 1 "$3"
	awk "BEGIN { cpu = $(cpu) - $cpu_before; seconds = $EPOCHREALTIME - $before
		printf \"| %s | %.1f | %.0f | %.0f%% |\\n\", \"$1\", 10 * cpu, 100000 / seconds, 100 * cpu / seconds }"
}
echo "| 100,000 decisions by redis-benchmark, 64 connections, one limit, up to 1,000,000 keys | µs of Redis's CPU each | decisions a second | Redis's share of a CPU |"
echo "|---|---|---|---|"
decide "exact, 1,000 an hour" ring 1000
decide "in sixtieths, 1,000,000 an hour" buckets 1000000
echo

# What it takes to tell gateways of changes: the same writes without listeners and with some. Redis tells of all that was written
# in one round of its loop at once, so what comes alone is dearer.
listeners=50 writes=20000
for pid in "${started[@]:1}"; do kill "$pid" && wait "$pid" || true; done
started=("$redis_pid")
tell() { # <writers>: sets used and told
	local before
	cli CONFIG RESETSTAT >/dev/null
	before=$(cpu)
	benchmark -n $writes -c "$1" SET cache:1:__rand_int__0123456789abcdef0123456789abcdef0123456789abcdef0123 x
	sleep 1
	used=$(awk "BEGIN { print $(cpu) - $before }")
	told=$(cli INFO stats | tr -d '\r' | awk -F: '/^total_net_output_bytes:/ { print $2 }')
}
tell 1; alone=$used
tell 16; together=$used
for ((i = 0; i < listeners; i++)); do
	exec {fd}<>"/dev/tcp/127.0.0.1/$redis_port"
	printf 'HELLO 3\r\nCLIENT TRACKING ON BCAST PREFIX cache:1:\r\n' >&"$fd"
	cat <&"$fd" >/dev/null &
	started+=($!)
done
sleep 1
echo "| to tell one listener of one write ($writes writes, $listeners listeners) | µs of Redis's CPU | bytes |"
echo "|---|---|---|"
news() { # <what> <CPU without listeners>: after tell; a write itself is answered with 5 bytes
	awk "BEGIN { printf \"| %s | %.2f | %.0f |\\n\", \"$1\", 1e6 * ($used - $2) / $writes / $listeners, ($told - 5 * $writes) / $writes / $listeners }"
}
tell 1; news "one write at a time" "$alone"
tell 16; news "16 at a time" "$together"
