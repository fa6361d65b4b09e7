#!/usr/bin/env bash
# Builds an image: docker/build.sh. Environment variables:
#   TARGET=server          server, or web for the forms in a browser
#   ENGINE=torchserve      engine of the server: torchserve, or asgi
#   VARIANT=cpu            cpu, or gpu for a server with TorchServe
#   IMAGE=...              name of the image; default: fastmar:latest, fastmar:gpu, fastmar:asgi or fastmar-web:latest
#   BASE=...               base image; default: debian:bookworm-slim, or one built by docker/base.sh if that can't be pulled
#   SOURCE=...             URL of the sources, for the label
#   CREATED=...            date for the label; default: 1970, so that the same files give the same image
# If pip is configured on this machine (index, folder of wheels, certificate), packages are downloaded here with that
# configuration and copied into the build, so that the image does not contain the configuration.
set -euo pipefail
cd "$(dirname "$0")/.."
TARGET=${TARGET:-server} ENGINE=${ENGINE:-torchserve} VARIANT=${VARIANT:-cpu}
case $TARGET,$ENGINE,$VARIANT in # name, Dockerfile, lock file, limit of the size in MB
  server,torchserve,cpu) name=fastmar:latest file=Dockerfile lock=cpu limit=600 ;;
  server,torchserve,gpu) name=fastmar:gpu file=Dockerfile lock=gpu limit=8000 ;;
  server,asgi,cpu) name=fastmar:asgi file=Dockerfile lock=asgi limit=300 ;;
  web,*,cpu) name=fastmar-web:latest file=Dockerfile.web lock=web limit=200 ;;
  *)
    printf 'There is no image for TARGET=%s ENGINE=%s VARIANT=%s.\n' "$TARGET" "$ENGINE" "$VARIANT" >&2
    echo '  Fix: TARGET is server or web, ENGINE torchserve or asgi, VARIANT cpu, or gpu for a server with TorchServe.' >&2
    exit 2 ;;
esac
wheels=.build/wheels-$lock
IMAGE=${IMAGE:-$name}
PYTHON=${PYTHON:-python3}

docker info > /dev/null 2>&1 ||
  { printf 'The Docker engine does not respond.\n  Fix: start it, and check that you have access (docker info).\n' >&2; exit 1; }

choose_base() {
  official=debian:bookworm-slim own=fastmar-base:bookworm
  if docker image inspect "$official" > /dev/null 2>&1 || docker pull --quiet "$official" > /dev/null 2>&1; then
    BASE=$official
    return
  fi
  BASE=$own
  docker image inspect "$own" > /dev/null 2>&1 && return
  echo "$official can't be pulled: building $own, which takes a minute."
  docker/base.sh "$own"
}

fetch_wheels() {  # for the Python of the image; only if the lock files have changed
  locks=$(cat docker/requirements-build.lock "docker/requirements-$lock.lock" | sha256sum)
  if [ "$(cat "$wheels/.locks" 2> /dev/null)" = "$locks" ]; then return; fi
  rm -rf "$wheels"
  mkdir -p "$wheels"
  machine=$(docker version --format '{{.Server.Arch}}' | sed 's/amd64/x86_64/; s/arm64/aarch64/')
  platforms=(--platform any --platform "manylinux2014_$machine" --platform "linux_$machine")
  for glibc in $(seq 17 36); do platforms+=(--platform "manylinux_2_${glibc}_$machine"); done
  for list in build "$lock"; do
    arguments=(download -qq --disable-pip-version-check --dest "$wheels" --no-deps --require-hashes --only-binary=:all:
      --implementation cp --python-version 3.11 --abi cp311 --abi abi3 --abi none "${platforms[@]}"
      -r "docker/requirements-$list.lock")
    "$PYTHON" -m pip "${arguments[@]}"
  done
  echo "$locks" > "$wheels/.locks"
}

# Cloud registries and SageMaker need a single image; by default buildx pushes an index with an attestation.
export BUILDX_NO_DEFAULT_ATTESTATIONS=1

network=()
if [ -z "${BASE:-}" ]; then
  choose_base
  if [ "$BASE" = fastmar-base:bookworm ]; then network=(--network host); fi  # such machines may need the host's network configuration
fi
if [ -n "$("$PYTHON" -m pip config list 2> /dev/null | grep -E 'index|find-links|cert|proxy')" ]; then fetch_wheels; fi

version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
revision=$(git rev-parse HEAD 2> /dev/null || echo unknown)
log=.build/image-$lock.log
mkdir -p .build
for_server=()
if [ "$TARGET" = server ]; then
  for_server=(--build-arg "VARIANT=$lock")
fi
if ! docker build ${network[@]+"${network[@]}"} --tag "$IMAGE" --file "docker/$file" \
  ${for_server[@]+"${for_server[@]}"} --build-arg "BASE=$BASE" --build-arg "VERSION=$version" --build-arg "REVISION=$revision" \
  ${SOURCE:+--build-arg "SOURCE=$SOURCE"} ${CREATED:+--build-arg "CREATED=$CREATED"} . > "$log" 2>&1; then
  tail -n 20 "$log" >&2
  printf 'The image was not built.\n  Fix: read the lines above; the complete log is %s.\n' "$log" >&2
  exit 1
fi
docker/size.sh "$IMAGE" "$limit"
