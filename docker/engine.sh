#!/usr/bin/env bash
# For CI: sees that a Docker engine answers. As root on Debian it installs what is missing and starts one; where it can't,
# it says so, and tests that need an engine are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
answers() { docker info > /dev/null 2>&1; }
give_up() { echo "No Docker engine: $1. Tests that need one are skipped."; exit 0; }

if answers; then exit 0; fi
[ "$(id -u)" = 0 ] || give_up "none answers, and only root can start one"
if ! command -v dockerd > /dev/null; then
  command -v apt-get > /dev/null || give_up "dockerd is not installed"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends debootstrap docker-compose docker.io iptables \
    > /dev/null || give_up "docker.io can't be installed"
fi
mkdir -p .build
setsid dockerd > .build/dockerd.log 2>&1 < /dev/null &
for _ in $(seq 60); do
  if answers; then exit 0; fi
  kill -0 $! 2> /dev/null || break
  sleep 0.5
done
give_up "dockerd does not run here, $(tail -n 1 .build/dockerd.log)"
