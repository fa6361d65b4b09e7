#!/usr/bin/env bash
# Builds the image: docker/build.sh. Settings come from the environment:
#   IMAGE=fastmar:latest   its name
#   VARIANT=cpu            or gpu, for which IMAGE is fastmar:gpu
#   BASE=...               Debian bookworm; without it debian:bookworm-slim, or where that can't be pulled docker/base.sh
#   CREATED=...            a date for its label; without it the label says 1970, so that the same files give the same image
# Where pip is configured on this machine (an index, a folder of wheels, a certificate), packages are downloaded here, with
# that configuration, and given to the build as files: the image learns nothing of it.
set -euo pipefail
cd "$(dirname "$0")/.."
VARIANT=${VARIANT:-cpu}
case $VARIANT in cpu) tag=latest ;; gpu) tag=gpu ;; *) echo "VARIANT is cpu or gpu, not $VARIANT." >&2; exit 2 ;; esac
IMAGE=${IMAGE:-fastmar:$tag}
PYTHON=${PYTHON:-python3}
wheels=.build/wheels

docker info > /dev/null 2>&1 ||
  { printf 'No Docker engine answers.\n  Fix: start one, and see that you may use it (docker info).\n' >&2; exit 1; }

choose_base() {
  official=debian:bookworm-slim made=fastmar-base:bookworm
  if docker image inspect "$official" > /dev/null 2>&1 || docker pull --quiet "$official" > /dev/null 2>&1; then
    BASE=$official
    return
  fi
  BASE=$made
  docker image inspect "$made" > /dev/null 2>&1 && return
  echo "$official can't be pulled: making $made, which takes a minute."
  docker/base.sh "$made"
}

fetch_wheels() {  # as the build would, for its Python; once for the same locks
  locks=$(cat docker/requirements-build.lock "docker/requirements-$VARIANT.lock" | sha256sum)
  if [ "$(cat "$wheels/.locks" 2> /dev/null)" = "$locks" ]; then return; fi
  rm -rf "$wheels"
  mkdir -p "$wheels"
  machine=$(docker version --format '{{.Server.Arch}}' | sed 's/amd64/x86_64/; s/arm64/aarch64/')
  platforms=(--platform any --platform "manylinux2014_$machine" --platform "linux_$machine")
  for glibc in $(seq 17 36); do platforms+=(--platform "manylinux_2_${glibc}_$machine"); done
  for lock in build "$VARIANT"; do
    "$PYTHON" -m pip download -qq --disable-pip-version-check --dest "$wheels" --no-deps --require-hashes \
      --only-binary=:all: --implementation cp --python-version 3.11 --abi cp311 --abi abi3 --abi none "${platforms[@]}" \
      -r "docker/requirements-$lock.lock"
  done
  echo "$locks" > "$wheels/.locks"
}

network=()
if [ -z "${BASE:-}" ]; then
  choose_base
  if [ "$BASE" = fastmar-base:bookworm ]; then network=(--network host); fi  # that machine's way out may be its own
fi
if [ -n "$("$PYTHON" -m pip config list 2> /dev/null | grep -E 'index|find-links|cert|proxy')" ]; then fetch_wheels; fi

version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
revision=$(git rev-parse HEAD 2> /dev/null || echo unknown)
source=${SOURCE:-$(git remote get-url origin 2> /dev/null || echo unknown)}
log=.build/image-$VARIANT.log
mkdir -p .build
if ! docker build ${network[@]+"${network[@]}"} --tag "$IMAGE" --file docker/Dockerfile \
  --build-arg "BASE=$BASE" --build-arg "VARIANT=$VARIANT" ${TORCH_INDEX_URL:+--build-arg "TORCH_INDEX_URL=$TORCH_INDEX_URL"} \
  --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "SOURCE=$source" \
  ${CREATED:+--build-arg "CREATED=$CREATED"} . > "$log" 2>&1; then
  tail -n 20 "$log" >&2
  printf 'The image was not built.\n  Fix: read the lines above; %s holds all of them.\n' "$log" >&2
  exit 1
fi
if [ "$VARIANT" = cpu ]; then docker/size.sh "$IMAGE"; else docker/size.sh "$IMAGE" 8000; fi
