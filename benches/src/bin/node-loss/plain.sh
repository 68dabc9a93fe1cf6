# PostgreSQL as plain Swarm runs it: on /data, which all nodes share.
export LC_ALL=C
chown postgres: /data
exec setpriv --reuid=postgres --regid=postgres --init-groups bash -euc '
  if [[ ! -e /data/pg/made ]]; then
    rm -rf /data/pg
    initdb --pgdata=/data/pg --auth=trust >/dev/null
    printf "host all all all trust\n" >>/data/pg/pg_hba.conf
    touch /data/pg/made
  fi
  exec postgres -D /data/pg -c listen_addresses=* -c unix_socket_directories='
