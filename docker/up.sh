#!/usr/bin/env bash
# Implements `make up`: builds missing images, generates a key once, starts compose.yaml, and waits until it is ready.
# Settings are in docker/.env, which the first run creates. With monitoring: make up COMPOSE_PROFILES=monitoring
# ENGINE=torchserve or ENGINE=asgi chooses the server's image, also for later runs, unless FASTMAR_IMAGE names one.
set -euo pipefail
cd "$(dirname "$0")"
settings=.env key=keys/inference.key

refuse() { printf '%s\n  Fix: %s\n' "$1" "$2" >&2; exit 1; }

write_settings() {
  # The container runs as the calling user, so that it can read the key; for root as the image's user.
  uid=${SUDO_UID:-$(id -u)} gid=${SUDO_GID:-$(id -g)}
  if [ "$uid" = 0 ]; then uid=10001 gid=10001; fi
  cat > $settings << END
COMPOSE_PROJECT_NAME=fastmar
FASTMAR_UID=$uid
FASTMAR_GID=$gid
FASTMAR_KEY_FILE=/run/$key
# Further settings with their defaults; see docs/deployment/compose.md.
#FASTMAR_IMAGE=fastmar:latest
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

setting() { # NAME DEFAULT: value from the environment, else from .env, as in Compose
  [ -z "${!1:-}" ] || { echo "${!1}"; return; }
  value=$(sed -n "s/^$1=//p" $settings | tail -n 1)
  echo "${value:-$2}"
}

remember_image() { # IMAGE: writes it to .env, so that later runs and docker/compose.sh use it too
  before=$(sed -n 's/^FASTMAR_IMAGE=//p' $settings | tail -n 1)
  [ "$before" != "$1" ] || return 0
  others=$(grep -v '^FASTMAR_IMAGE=' $settings || true)
  printf '%s\nFASTMAR_IMAGE=%s\n' "$others" "$1" > $settings
  echo "docker/.env has FASTMAR_IMAGE=$1 now${before:+, instead of $before}: later runs use it, too."
}

case ${ENGINE:-} in
  '') image='' ;;
  torchserve) image=fastmar:latest ;;
  asgi) image=fastmar:asgi ;;
  *) refuse "There is no engine $ENGINE." "set ENGINE to torchserve or asgi." ;;
esac
docker info > /dev/null 2>&1 || refuse "The Docker engine does not respond." "start it, and check that you have access (docker info)."
[ -f $settings ] || write_settings
if [ -n "$image" ] && [ -z "${FASTMAR_IMAGE:-}" ]; then remember_image $image; fi
store=$(setting MODEL_STORE ../model_store) image=$(setting FASTMAR_IMAGE fastmar:latest) web=$(setting FASTMAR_WEB_IMAGE fastmar-web:latest)
uid=$(setting FASTMAR_UID 10001) gid=$(setting FASTMAR_GID 10001) port=$(setting FASTMAR_PORT 8080)
ls "$store"/*.mar > /dev/null 2>&1 ||
  refuse "There is no archive in $(realpath -m "$store")." "run fastmar export LEARNER.pkl --name NAME, which writes one to model_store/."
if [ ! -s $key ]; then
  (umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > $key && echo >> $key)
  echo "A new key is in docker/$key."
fi
if [ "$(id -u)" = 0 ]; then # the user in compose.yaml is not root, and must be able to read the key
  if [ -z "$(find $key -user "$uid" -group "$gid")" ]; then
    chown "$uid:$gid" $key
    echo "docker/$key belongs to user $uid now, as which the server runs."
  fi
fi
case $image in *:asgi) ENGINE=asgi ;; esac
docker image inspect "$image" > /dev/null 2>&1 ||
  { echo "Building $image, which takes a few minutes."; IMAGE=$image ENGINE=${ENGINE:-torchserve} ./build.sh; }
docker image inspect "$web" > /dev/null 2>&1 || { echo "Building $web."; TARGET=web IMAGE=$web ./build.sh; }

image_of() { # SERVICE: its image in compose.yaml
  ./compose.sh config | awk -v name="$1:" '/^[^ ]/ { inside = $1 == "services:" } /^  [^ ]/ { service = $1 } inside && service == name && /^    image:/ { print $2 }'
}
missing='' unavailable='' # services without an image, and these images
require_image() { # SERVICE: pulls its image; without it, the other services start all the same
  needed=$(image_of "$1")
  docker image inspect "$needed" > /dev/null 2>&1 || docker pull --quiet "$needed" > /dev/null ||
    { missing="$missing $1" unavailable="$unavailable $needed"; }
}
is_missing() { case "$missing " in *" $1 "*) ;; *) return 1 ;; esac; } # SERVICE
start() { # [OPTION or SERVICE]...: without a name all services
  ./compose.sh up -d --no-build "$@" ||
    refuse "Compose did not start the services." "read the lines above; if a port is taken, set another in docker/.env."
}
state() { docker inspect --format "{{$1}}" "$container" 2> /dev/null || echo 0; }
end_crash_loop() { # SERVICE: stops it if Docker keeps restarting it, since a start then counts its restarts from 0
  container=$(./compose.sh ps -q "$1" 2> /dev/null | tail -n 1)
  [ -n "$container" ] && [ "$(state .RestartCount)" != 0 ] && [ "$(state .State.Health.Status)" != healthy ] || return 0
  ./compose.sh stop "$1" > /dev/null 2>&1
}
wait_for() { # SERVICE SECONDS; sets `container` to the container's id
  container=$(./compose.sh ps -q "$1")
  began=$SECONDS
  until [ "$(state .State.Health.Status)" = healthy ]; do
    if [ "$(state .RestartCount)" != 0 ] || [ $((SECONDS - began)) -gt "$2" ]; then
      docker logs --since "$started_at" --tail 30 "$container" >&2
      ./compose.sh stop "$1" > /dev/null 2>&1
      refuse "The service $1 did not become ready, and was stopped." "read the lines above; then run make up again."
    fi
    sleep 0.5
  done
}
started_at=$(date +%s)
end_crash_loop fastmar
start fastmar  # before the others, so that a failure is reported here; Compose would wait for it
wait_for fastmar $(($(setting FASTMAR_READY_TIMEOUT 120) + 30))
served=$container
monitoring=''
case ",$(setting COMPOSE_PROFILES '')," in *,monitoring,*) monitoring='prometheus grafana' ;; esac
for service in $monitoring; do require_image "$service"; done
if [ -z "$missing" ]; then
  start
else
  started=web
  for service in $monitoring; do is_missing "$service" || started="$started $service"; done
  start --no-deps $started
fi
wait_for web 60
# Print the server's output with the ports, the key file and the sample files as they are outside the container.
docker logs "$served" 2> /dev/null | awk '/^Inference / { text = "" } !/^(Management|Ready)/ { text = text $0 "\n" } END { printf "%s", text }' |
  sed -e "s|0\.0\.0\.0:8080|127.0.0.1:$port|; s|127\.0\.0\.1:8080|127.0.0.1:$port|; s|/run/keys/|docker/keys/|" \
    -e "s|0\.0\.0\.0:8082|127.0.0.1:$(setting FASTMAR_METRICS_PORT 8082)|" \
    -e 's|^  curl \(.*\)--data-binary @\(/run/fastmar/[^ ]*\)|  docker/compose.sh exec -T fastmar cat \2 \| curl \1--data-binary @-|'
echo "Forms       http://127.0.0.1:$(setting FASTMAR_WEB_PORT 8501)"
for service in $monitoring; do
  is_missing "$service" && continue
  case $service in
    prometheus) echo "Prometheus  http://127.0.0.1:$(setting PROMETHEUS_PORT 9090)" ;;
    grafana) echo "Grafana     http://127.0.0.1:$(setting GRAFANA_PORT 3000)" ;;
  esac
done
echo "Ready. Stop it with make down; read its log with docker/compose.sh logs -f."
[ -z "$missing" ] ||
  refuse "Not started:$missing, since Docker can't pull$unavailable (see above)." "check the network, or load the images with docker load; then run make up again."
