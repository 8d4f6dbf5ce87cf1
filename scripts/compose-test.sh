#!/usr/bin/env bash
# Brings up docker-compose.yml for real, uses it as the documentation says, and takes it down with all its volumes. Where no
# registry answers, local images stand in for the missing ones, all but Grafana's: see scripts/stand-ins.sh.
#
#   scripts/compose-test.sh [--stand-ins]
#
#   --stand-ins   do not ask a registry
#
# It needs a Docker daemon, `docker compose` 2.24 or later, and curl. The stack has a name, secrets and volumes of its own, so
# yours stay as they are; but `api-server` and the ports exist once, so yours must not run meanwhile. GATEWAY_PORT, REDIS_PORT,
# PROMETHEUS_PORT, ALERTMANAGER_PORT, GRAFANA_PORT and LOCUST_PORT choose other ports. The first run takes about five minutes,
# most of which compiles the gateway; another one half a minute.
set -euo pipefail
cd "$(dirname "$0")/.."

registry=true
case "${1:-}" in
'') ;;
--stand-ins) registry=false ;;
-h | --help)
	sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"
	exit
	;;
*)
	echo "unknown argument $1; see $0 --help" >&2
	exit 2
	;;
esac

fail() { printf '\n%s\n' "$*" >&2; exit 1; }
step() { printf '\n== %s\n' "$*"; }
ok() { printf '   %s\n' "$*"; }

docker info >/dev/null 2>&1 || fail 'No Docker daemon answers. Start one (systemctl start docker), or set DOCKER_HOST.'
docker compose version >/dev/null 2>&1 || fail 'There is no docker compose. Install the plugin: https://docs.docker.com/compose/install/'
! docker container inspect api-server >/dev/null 2>&1 || fail 'There is a container api-server already. Take it down first: docker compose down'

scratch=$(mktemp -d)
scripts/env.sh "$scratch/env" >/dev/null
: >"$scratch/images"
export GATEWAY_IMAGE=caddy-llm:test VERSION
VERSION=$(scripts/version.sh)
compose() { docker compose --project-name caddy-llm-test --env-file "$scratch/env" --env-file "$scratch/images" --profile load "$@"; }

cleanup() {
	local status=$?
	trap '' INT TERM
	if [ $status -ne 0 ] && [ $status -ne 130 ]; then
		compose ps --all || true
		compose logs --tail 15 || true
	fi
	step 'down'
	compose down --volumes --remove-orphans --timeout 5 2>&1 | tail -n 3 || true
	rm -rf "$scratch"
}
trap cleanup EXIT
trap 'echo "line $LINENO failed" >&2' ERR
trap 'exit 130' INT TERM

await() { # <what> <command>...: until it succeeds, a minute at most
	local what=$1 tries=0
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 120 ] || fail "waited a minute in vain for $what"
		sleep 0.5
	done
}

has() { # <text> <what is looked for> <name>
	case $1 in
	*"$2"*) ;;
	*) fail "$3 does not say $2:"$'\n'"$1" ;;
	esac
}

gateway=http://localhost:${GATEWAY_PORT:-8000}
prometheus=http://localhost:${PROMETHEUS_PORT:-9090}
services=(api-server redis postgres prometheus alertmanager grafana)

step 'images'
if $registry && ! compose pull --quiet --ignore-buildable; then
	ok 'no registry answers; local images stand in'
	registry=false
fi
if ! $registry; then
	scripts/stand-ins.sh >"$scratch/images"
	services=(api-server redis postgres prometheus alertmanager)
	ok 'Grafana is left out: without a registry there is no image of it, and nothing here tests it'
fi
ok 'building the gateway'
compose build --quiet

step 'up'
compose up --detach --wait --quiet-pull "${services[@]}"
key=$(compose exec -T api-server caddy llm keys create --name compose-test 2>/dev/null)
[[ $key =~ ^sp_[0-9a-f]{64}$ ]] || fail "caddy llm keys create printed ${#key} characters, which are no key"
API_KEY=$key compose up --detach --wait locust # it wants a key when it starts
services+=(locust)
compose ps --format 'table {{.Service}}\t{{.Image}}\t{{.Status}}'
for service in "${services[@]}"; do
	has "$(compose ps "$service" --format '{{.Health}}')" healthy "$service"
done

step 'the gateway'
health=$(curl -sSf "$gateway/v1/health")
has "$health" '"status":"ok"' /v1/health
ok 'curl /v1/health: ok'
has "$(docker logs api-server 2>&1)" 'serving initial configuration' 'docker logs api-server'
ok 'docker logs api-server'
has "$(docker inspect api-server --format '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}')" '65532:65532 true [ALL]' 'docker inspect'
[ "$(docker port api-server)" = "8000/tcp -> 127.0.0.1:${GATEWAY_PORT:-8000}" ] || fail "api-server publishes $(docker port api-server)"
ok 'no root, no capability, a root file system that cannot be written, one port on this machine alone'

analyze() { # prints the answer and its headers; the key is not on a command line
	curl -sSf --include --config - "$gateway/v1/analyze/" --header 'Content-Type: application/json' \
		--data '{"prompt": "Translate Hello World to French"}' <<<"header = \"X-API-Key: $key\"" | tr -d '\r'
}
remaining() { sed -n 's/^x-ratelimit-remaining: //ip'; }
has "$(analyze)" '"cached":false' 'the first /v1/analyze/'
second=$(analyze)
has "$second" '"cached":true' 'the second /v1/analyze/'
ok 'POST /v1/analyze/ twice: the second answer is from the cache'

step 'Redis'
cli() { compose exec -T redis redis-cli "$@"; }
if command -v redis-cli >/dev/null; then
	cli() { redis-cli -p "${REDIS_PORT:-6379}" "$@"; } # as from any terminal of this machine
fi
has "$(cli ping)" PONG 'redis-cli ping'
has "$(cli info stats)" keyspace_hits 'redis-cli info stats'
ok 'redis-cli ping, info stats'
has "$(cli config get maxmemory-policy)" noeviction 'redis-cli config get maxmemory-policy'
[ "$(remaining <<<"$second")" = 998 ] || fail "after two calls of 1000 there are $(remaining <<<"$second") left"
deleted=$(compose exec -T redis sh -c 'redis-cli KEYS "rate_limit:*" | xargs redis-cli DEL')
[ "${deleted//[^0-9]/}" -gt 0 ] || fail "no limit was deleted: $deleted"
third=$(analyze)
[ "$(remaining <<<"$third")" = 999 ] || fail "once limits are deleted, a call leaves $(remaining <<<"$third") of 1000"
has "$third" '"cached":true' 'the call after limits were deleted'
ok 'redis-cli KEYS "rate_limit:*" | xargs redis-cli DEL: limits begin anew, answers stay'
has "$(cli FLUSHALL)" OK 'redis-cli FLUSHALL'
forgotten() { analyze | grep -q '"cached":false'; }
await 'FLUSHALL to be heard of' forgotten
ok 'redis-cli FLUSHALL: answers are forgotten'

step 'Prometheus and Alertmanager'
scraped() { curl -sSf "$prometheus/api/v1/query" --data-urlencode 'query=up == 1' | grep -q api-server:9180; }
await 'Prometheus to scrape the gateway' scraped
ok 'the gateway is scraped'
alerting() { curl -sSf "$prometheus/api/v1/alertmanagers" | grep -q '"url":"http://alertmanager:9093/'; }
await 'Prometheus to find Alertmanager' alerting
ok 'alerts go to Alertmanager'

if $registry; then
	step 'Grafana'
	password=$(sed -n 's/^GRAFANA_ADMIN_PASSWORD=//p' "$scratch/env")
	boards=$(curl -sSf --config - "http://localhost:${GRAFANA_PORT:-3000}/api/search?type=dash-db" <<<"user = \"admin:$password\"")
	has "$boards" 'API Overview - Structured Prompt Service' 'Grafana'
	ok 'the dashboard is there'
fi

step 'Locust'
locust=http://localhost:${LOCUST_PORT:-8089}
curl -sSf "$locust/swarm" --data 'user_count=5&spawn_rate=5' >/dev/null
asked() { curl -sSf "$locust/stats/requests" | grep -Eq '"num_requests": ?[1-9]'; }
await 'the first request of Locust' asked
curl -sSf --request POST "$locust/stop" >/dev/null
has "$(curl -sSf "$locust/stats/requests" | tr -d ' ')" '"fail_ratio":0' Locust
ok 'five users called the gateway without a failure'

step 'a restart'
compose restart api-server >/dev/null 2>&1
await 'the gateway to be back' curl -sSf "$gateway/v1/ready"
analyze >/dev/null || fail 'the key is gone'
ok 'the key works as before'

step 'secrets'
for secret in "$key" $(sed -n 's/^\(GATEWAY_ADMIN_KEY\|POSTGRES_PASSWORD\|GRAFANA_ADMIN_PASSWORD\)=//p' "$scratch/env"); do
	! compose logs --no-color | grep -qF -e "$secret" || fail 'a secret is in the logs'
done
ok 'those that were given, and the key that was made, are in no log'
