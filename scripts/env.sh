#!/bin/sh
# Writes .env for docker-compose.yml: .env.example with random secrets. A file that is there stays as it is.
#
#   scripts/env.sh [<file>]    .env by default; `make env` calls it so
set -eu
cd "$(dirname "$0")/.."

case "${1:-}" in
-h | --help)
	sed -n '2,4s/^# \{0,1\}//p' "$0"
	exit 0
	;;
-*)
	echo "unknown option $1; see $0 --help" >&2
	exit 2
	;;
esac
file=${1:-.env}

if [ -e "$file" ]; then
	echo "$file is there already and stays as it is. For new secrets remove it, and the volumes, which keep the old ones." >&2
	exit 0
fi

random() { # <bytes>, in hexadecimal
	od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'
}

# The shell writes the secrets itself, so that they are on no command line.
umask 077
while IFS= read -r line; do
	case $line in
	GATEWAY_ADMIN_KEY=) line=${line}sa_$(random 32) ;;
	POSTGRES_PASSWORD=) line=$line$(random 24) ;;
	GRAFANA_ADMIN_PASSWORD=) line=$line$(random 12) ;;
	esac
	printf '%s\n' "$line"
done <.env.example >"$file"
echo "wrote $file with random secrets, readable by you alone"
