#!/usr/bin/env bash
# What `make up` does: the images that are missing, a key at the first time, compose.yaml up, and waiting until it is ready.
# Settings are in docker/.env, written here once. With monitoring: make up COMPOSE_PROFILES=monitoring
set -euo pipefail
cd "$(dirname "$0")"
settings=.env key=keys/inference.key

refuse() { printf '%s\n  Fix: %s\n' "$1" "$2" >&2; exit 1; }

write_settings() {
  # The container runs as who starts it, so that it can read the key; for root as the image's own user.
  uid=${SUDO_UID:-$(id -u)} gid=${SUDO_GID:-$(id -g)}
  if [ "$uid" = 0 ]; then uid=10001 gid=10001; fi
  cat > $settings << END
COMPOSE_PROJECT_NAME=fastmar
FASTMAR_UID=$uid
FASTMAR_GID=$gid
FASTMAR_KEY_FILE=/run/$key
# Others, with what they are otherwise; docs/deployment/compose.md explains them.
#COMPOSE_PROFILES=monitoring
#MODEL_STORE=../model_store
#FASTMAR_PORT=8080
#FASTMAR_METRICS_PORT=8082
#FASTMAR_WEB_PORT=8501
#FASTMAR_WEB_NAME=localhost
#FASTMAR_WEB_MEMORY=768m
#FASTMAR_WEB_UPLOADS=512m
#FASTMAR_WORKERS=
#FASTMAR_MEMORY=4g
#FASTMAR_UNPACKED=1g
#FASTMAR_CPUS=0
#FASTMAR_DRAIN_TIMEOUT=30
#FASTMAR_STOP_GRACE=45s
#PROMETHEUS_PORT=9090
#GRAFANA_PORT=3000
END
}

setting() { # NAME DEFAULT: from the environment, else from .env, as compose has it
  [ -z "${!1:-}" ] || { echo "${!1}"; return; }
  value=$(sed -n "s/^$1=//p" $settings | tail -n 1)
  echo "${value:-$2}"
}

docker info > /dev/null 2>&1 || refuse "No Docker engine answers." "start one, and see that you may use it (docker info)."
[ -f $settings ] || write_settings
store=$(setting MODEL_STORE ../model_store) image=$(setting FASTMAR_IMAGE fastmar:latest) web=$(setting FASTMAR_WEB_IMAGE fastmar-web:latest)
uid=$(setting FASTMAR_UID 10001) gid=$(setting FASTMAR_GID 10001) port=$(setting FASTMAR_PORT 8080)
ls "$store"/*.mar > /dev/null 2>&1 ||
  refuse "There is no archive in $(realpath -m "$store")." "fastmar export LEARNER.pkl --name NAME, which writes one to model_store/."
if [ ! -s $key ]; then
  (umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > $key)
  echo "A new key is in docker/$key."
fi
if [ "$(id -u)" = 0 ]; then # compose.yaml's user is another, and must read it
  chown "$uid:$gid" $key
fi
docker image inspect "$image" > /dev/null 2>&1 || { echo "Building $image, which takes a few minutes."; IMAGE=$image ./build.sh; }
docker image inspect "$web" > /dev/null 2>&1 || { echo "Building $web."; TARGET=web IMAGE=$web ./build.sh; }

start() { # one service, or without words all of them
  ./compose.sh up -d --no-build "$@" ||
    refuse "Compose did not start it." "see the lines above; where a port is taken, name another in docker/.env."
}
look() { docker inspect --format "{{$1}}" "$container" 2> /dev/null || echo 0; }
wait_for() { # SERVICE SECONDS; leaves the container's name in `container`
  container=$(./compose.sh ps -q "$1")
  began=$SECONDS
  until [ "$(look .State.Health.Status)" = healthy ]; do
    if [ "$(look .RestartCount)" != 0 ] || [ $((SECONDS - began)) -gt "$2" ]; then
      docker logs --tail 30 "$container" >&2
      ./compose.sh stop "$1" > /dev/null 2>&1
      refuse "It did not become ready, and is stopped." "see the lines above; then make up again."
    fi
    sleep 0.5
  done
}
start fastmar  # first, so that it is looked at here if it fails; Compose would wait for it before the others
wait_for fastmar $(($(setting FASTMAR_READY_TIMEOUT 120) + 30))
served=$container
start
wait_for web 60
# What the server said last in the container, as it is on this side of it: ports, the key's file, samples of records.
docker logs "$served" 2> /dev/null | awk '/^Inference / { text = "" } !/^(Management|Ready)/ { text = text $0 "\n" } END { printf "%s", text }' |
  sed -e "s|0\.0\.0\.0:8080|127.0.0.1:$port|; s|127\.0\.0\.1:8080|127.0.0.1:$port|; s|/run/keys/|docker/keys/|" \
    -e "s|0\.0\.0\.0:8082|127.0.0.1:$(setting FASTMAR_METRICS_PORT 8082)|" \
    -e 's|^  curl \(.*\)--data-binary @\(/run/fastmar/[^ ]*\)|  docker/compose.sh exec -T fastmar cat \2 \| curl \1--data-binary @-|'
echo "Forms       http://127.0.0.1:$(setting FASTMAR_WEB_PORT 8501)"
case ",$(setting COMPOSE_PROFILES '')," in *,monitoring,*)
  echo "Prometheus  http://127.0.0.1:$(setting PROMETHEUS_PORT 9090)"
  echo "Grafana     http://127.0.0.1:$(setting GRAFANA_PORT 3000)" ;;
esac
echo "Ready. make down stops it; docker/compose.sh logs -f shows what it says."
