#!/bin/bash
# Runs once, when the database volume is empty: one role and one database a service, and no
# way for one service into the database of another.
set -euo pipefail
for service in broker catalog clearing; do
  PASSWORD_FILE=${SECRETS:-/run/secrets}/$service-database-password \
    psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --set service="$service" \
    --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\set password `cat "$PASSWORD_FILE"`
CREATE ROLE :"service" LOGIN PASSWORD :'password';
CREATE DATABASE :"service" OWNER :"service";
REVOKE ALL ON DATABASE :"service" FROM PUBLIC;
SQL
done
