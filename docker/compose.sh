#!/usr/bin/env bash
# Runs `docker compose`, or docker-compose if only that is installed, in this folder with compose.yaml and .env:
#   docker/compose.sh ps | logs -f | exec fastmar fastmar models | --profile monitoring up -d
set -euo pipefail
cd "$(dirname "$0")"
if docker compose version > /dev/null 2>&1; then exec docker compose "$@"; fi
if command -v docker-compose > /dev/null; then exec docker-compose "$@"; fi
printf 'Neither `docker compose` nor docker-compose is installed.\n  Fix: install the package docker-compose-plugin, or docker-compose.\n' >&2
exit 1
