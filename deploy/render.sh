#!/usr/bin/env bash
# Writes what `kubectl apply --kustomize` would apply: one file for each overlay and example, to .build/manifests or FOLDER.
#   deploy/render.sh [FOLDER]
set -euo pipefail
root=$(realpath "$(dirname "$0")/..")
folder=$(realpath -m "${1:-$root/.build/manifests}")
cd "$root"
kubectl=$(PATH="$root/.venv/bin:$PATH" command -v kubectl) ||
  { printf 'There is no kubectl.\n  Fix: run make setup, or install it.\n' >&2; exit 1; }
rm -rf "$folder"
mkdir -p "$folder"
# Components are parts of overlays, and the image of kubernetes/base has to be set by one.
find deploy -name kustomization.yaml -not -path '*/components/*' -not -path deploy/kubernetes/base/kustomization.yaml | sort |
  while read -r file; do
    overlay=$(dirname "$file")
    name=${overlay#deploy/}
    "$kubectl" kustomize "$overlay" > "$folder/${name//\//-}.yaml"
    echo "$folder/${name//\//-}.yaml"
  done
