#!/usr/bin/env bash
# Makes local images that stand in for those of docker-compose.yml where no registry can be reached: Debian's Redis,
# PostgreSQL, Prometheus and Alertmanager, PyPI's Locust, and the Go toolchain of this machine. Grafana is in neither, so
# nothing stands in for it. The images are named caddy-llm-stand-in:<service>, and what it prints are the variables that make
# docker-compose.yml use them:
#
#   scripts/stand-ins.sh >stand-ins.env
#   docker compose --env-file .env --env-file stand-ins.env up -d --wait api-server prometheus alertmanager
#
# It needs root, debootstrap, Go, Debian's mirror, PyPI and a Docker daemon, and takes about two minutes the first time. To be rid of
# the images: docker rmi $(docker images --quiet caddy-llm-stand-in)
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
'') ;;
-h | --help)
	sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
	exit
	;;
*)
	echo "unknown argument $1; see $0 --help" >&2
	exit 2
	;;
esac

name=caddy-llm-stand-in
suite=bookworm
say() { printf '   %s\n' "$*" >&2; }
missing() { echo "$* See $0 --help." >&2; exit 1; }

have() { docker image inspect "$name:$1" >/dev/null 2>&1; }

[ "$(id -u)" = 0 ] || missing 'Making images without a registry needs root.'
command -v debootstrap >/dev/null || missing 'Making images without a registry needs debootstrap (apt-get install debootstrap).'

scratch=$(mktemp -d)
container=
cleanup() {
	[ -z "$container" ] || docker rm --force "$container" >/dev/null 2>&1 || true
	rm -rf --one-file-system "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# image <service> <base> <script> <change>...: runs a script in a container of the base and keeps what it left.
image() {
	local service=$1 base=$2 script=$3 changes=() change
	shift 3
	have "$service" && return
	say "$name:$service"
	for change in "$@"; do changes+=(--change "$change"); done
	container=$(docker create --user 0 --entrypoint /bin/sh --env DEBIAN_FRONTEND=noninteractive "$name:$base" -euc "$script")
	if [ "$service" = golang ]; then
		docker cp --quiet "$(go env GOROOT)/." "$container:/usr/local/go"
	fi
	if ! docker start --attach "$container" >"$scratch/log" 2>&1; then
		tail -n 20 "$scratch/log" >&2
		missing "$name:$service could not be made."
	fi
	docker commit "${changes[@]}" "$container" "$name:$service" >/dev/null
	docker rm "$container" >/dev/null
	container=
}

if ! have base; then
	say "$name:base"
	debootstrap --variant=minbase --include=ca-certificates,wget "$suite" "$scratch/root" >"$scratch/log" 2>&1 ||
		{ tail -n 20 "$scratch/log" >&2; missing 'debootstrap failed.'; }
	# A proxy of this machine's network may have a certificate of its own.
	[ ! -f /etc/ssl/certs/ca-certificates.crt ] || cp /etc/ssl/certs/ca-certificates.crt "$scratch/root/etc/ssl/certs/"
	tar --directory "$scratch/root" --create . | docker import - "$name:base" >/dev/null
fi

install='apt-get update -qq && apt-get install -y -qq --no-install-recommends'
path=ENV\ PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

image golang base 'mkdir -p /go' "$path" 'ENV GOPATH=/go' 'CMD ["go", "version"]'
image redis base "$install redis-server && install -d -o redis -g redis /data" 'ENTRYPOINT ["env"]' 'CMD ["redis-server"]' 'VOLUME /data'
image prometheus base "$install prometheus && install -d -o nobody -g nogroup /prometheus && rm -rf /etc/prometheus/*" \
	'ENTRYPOINT ["prometheus"]' 'VOLUME /prometheus'
image alertmanager base "$install prometheus-alertmanager && install -d -o nobody -g nogroup /alertmanager /etc/alertmanager" \
	'ENTRYPOINT ["prometheus-alertmanager"]' 'VOLUME /alertmanager'
locust=$(sed -n 's/.*locustio\/locust:\([0-9.]*\)}.*/\1/p' docker-compose.yml)
image locust base "$install python3-venv && useradd --create-home locust && python3 -m venv /opt/venv &&
	PIP_CERT=/etc/ssl/certs/ca-certificates.crt /opt/venv/bin/pip install --quiet locust==$locust" \
	'ENTRYPOINT ["/opt/venv/bin/locust"]'
# Makes the database as the official image does, from the same variables.
image postgres base "$install postgresql && cat >/entrypoint.sh <<'SH'
#!/bin/sh
set -eu
PATH=\$(echo /usr/lib/postgresql/*/bin):\$PATH
if [ ! -s \"\$PGDATA/PG_VERSION\" ]; then
	printf %s \"\$POSTGRES_PASSWORD\" >/tmp/password
	initdb --pgdata=\"\$PGDATA\" --username=\"\$POSTGRES_USER\" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256
	rm /tmp/password
	echo 'host all all all scram-sha-256' >>\"\$PGDATA/pg_hba.conf\"
	echo \"CREATE DATABASE \$POSTGRES_DB\" | postgres --single -D \"\$PGDATA\" postgres
fi
exec postgres -D \"\$PGDATA\" -c listen_addresses='*'
SH
chmod 755 /entrypoint.sh && chown postgres:postgres /var/lib/postgresql && chmod 3777 /run/postgresql" \
	'ENTRYPOINT ["/entrypoint.sh"]' 'ENV PGDATA=/var/lib/postgresql/data' 'VOLUME /var/lib/postgresql'

cat <<ENV
GO_IMAGE=$name:golang
REDIS_IMAGE=$name:redis
POSTGRES_IMAGE=$name:postgres
PROMETHEUS_IMAGE=$name:prometheus
ALERTMANAGER_IMAGE=$name:alertmanager
LOCUST_IMAGE=$name:locust
ENV
