#!/usr/bin/env bash
# Three PostgreSQL servers as one would start them by hand: a primary by initdb, two standbys by pg_basebackup, each on a
# volume of Docker's local driver (which goes with its container), on the default bridge. Prints `STEP<tab>SECONDS`
# lines; removes nothing.
# Arguments: the image, a label for everything made, the beginning of names.
set -euo pipefail
export LC_ALL=C
image=$1 label=$2 prefix=$3
from=$EPOCHREALTIME

# lap STEP: prints how long it was since the last one.
lap() {
  local to=$EPOCHREALTIME
  awk -v step="$1" -v from="$from" -v to="$to" 'BEGIN { printf "%s\t%.3f\n", step, to - from }'
  from=$EPOCHREALTIME
}

# The driver is named: without it Docker asks every volume driver it ever met, also those that are gone.
# run NAME SCRIPT: starts a container that runs SCRIPT as the user postgres, in a data directory of its own.
run() {
  docker run --detach --label "$label" --name "$1" --mount type=volume,volume-driver=local,target=/data --shm-size 256m --entrypoint bash "$image" -c \
    'chown postgres: /data && exec setpriv --reuid=postgres --regid=postgres --init-groups bash -euc "$0"' "$2" >/dev/null
  docker inspect --format '{{.NetworkSettings.IPAddress}}' "$1"
}

sql() { PGCONNECT_TIMEOUT=2 psql -XAtq -h "$1" -U postgres -c "$2" 2>/dev/null; }
until_true() {
  until [[ $(sql "$1" "$2") == "$3" ]]; do
    ((SECONDS < 60)) || { echo "not within 60 s: $2 at $1" >&2; docker logs --tail 5 "$prefix-0" >&2; exit 1; }
    sleep 0.05
  done
}

primary=$(run "$prefix-0" '
  initdb --pgdata=/data/pg --auth=trust >/dev/null
  printf "host all all all trust\nhost replication all all trust\n" >>/data/pg/pg_hba.conf
  exec postgres -D /data/pg -c listen_addresses=* -c unix_socket_directories=')
lap 'docker run of the primary'
until_true "$primary" 'SELECT 1' 1
lap 'initdb, until the primary accepts queries'
copy="
  pg_basebackup --pgdata=/data/pg --host=$primary --username=postgres --write-recovery-conf --checkpoint=fast
  chmod 700 /data/pg
  exec postgres -D /data/pg -c listen_addresses=* -c unix_socket_directories="
first=$(run "$prefix-1" "$copy")
second=$(run "$prefix-2" "$copy")
lap 'docker run of both standbys'
until_true "$primary" "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'" 2
lap 'base backups, until both standbys stream'
until_true "$first" 'SELECT pg_is_in_recovery()' t
until_true "$second" 'SELECT pg_is_in_recovery()' t
lap 'until both standbys accept queries'
