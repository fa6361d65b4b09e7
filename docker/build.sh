#!/usr/bin/env bash
# Builds an image: docker/build.sh. Settings come from the environment:
#   TARGET=server          or web, the forms in a browser
#   IMAGE=fastmar:latest   its name; fastmar-web:latest for the forms
#   VARIANT=cpu            of the server, or gpu, for which IMAGE is fastmar:gpu
#   BASE=...               Debian bookworm; without it debian:bookworm-slim, or where that can't be pulled docker/base.sh
#   TORCH_INDEX_URL=...    index of PyTorch's CPU wheels, if not their own
#   SOURCE=...             URL of the sources, for its label
#   CREATED=...            a date for its label; without it the label says 1970, so that the same files give the same image
# Where pip is configured on this machine (an index, a folder of wheels, a certificate), packages are downloaded here, with
# that configuration, and given to the build as files: the image learns nothing of it.
set -euo pipefail
cd "$(dirname "$0")/.."
TARGET=${TARGET:-server} VARIANT=${VARIANT:-cpu}
case $TARGET,$VARIANT in # its name, its file, its list of packages, their folder, and the most megabytes it may have
  server,cpu) name=fastmar:latest file=Dockerfile lock=cpu wheels=.build/wheels most=1400 ;;
  server,gpu) name=fastmar:gpu file=Dockerfile lock=gpu wheels=.build/wheels most=8000 ;;
  web,cpu) name=fastmar-web:latest file=Dockerfile.web lock=web wheels=.build/wheels-web most=200 ;;
  *) echo "TARGET is server or web, not $TARGET; VARIANT is cpu, or gpu for the server, not $VARIANT." >&2; exit 2 ;;
esac
IMAGE=${IMAGE:-$name}
PYTHON=${PYTHON:-python3}
torch_index=${TORCH_INDEX_URL:-https://download.pytorch.org/whl/cpu}

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
  locks=$(cat docker/requirements-build.lock "docker/requirements-$lock.lock" | sha256sum)
  if [ "$(cat "$wheels/.locks" 2> /dev/null)" = "$locks" ]; then return; fi
  rm -rf "$wheels"
  mkdir -p "$wheels"
  machine=$(docker version --format '{{.Server.Arch}}' | sed 's/amd64/x86_64/; s/arm64/aarch64/')
  platforms=(--platform any --platform "manylinux2014_$machine" --platform "linux_$machine")
  for glibc in $(seq 17 36); do platforms+=(--platform "manylinux_2_${glibc}_$machine"); done
  for list in build "$lock"; do
    words=(download -qq --disable-pip-version-check --dest "$wheels" --no-deps --require-hashes --only-binary=:all:
      --implementation cp --python-version 3.11 --abi cp311 --abi abi3 --abi none "${platforms[@]}"
      -r "docker/requirements-$list.lock")
    # What pip knows of may hold torch's CPU build; if not, its index does.
    "$PYTHON" -m pip "${words[@]}" 2> /dev/null || "$PYTHON" -m pip "${words[@]}" --extra-index-url "$torch_index"
  done
  echo "$locks" > "$wheels/.locks"
}

# Clouds' registries and SageMaker want one image, where buildx would push an index of it and of where it came from.
export BUILDX_NO_DEFAULT_ATTESTATIONS=1

network=()
if [ -z "${BASE:-}" ]; then
  choose_base
  if [ "$BASE" = fastmar-base:bookworm ]; then network=(--network host); fi  # that machine's way out may be its own
fi
if [ -n "$("$PYTHON" -m pip config list 2> /dev/null | grep -E 'index|find-links|cert|proxy')" ]; then fetch_wheels; fi

version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
revision=$(git rev-parse HEAD 2> /dev/null || echo unknown)
log=.build/image-$lock.log
mkdir -p .build
for_server=()
if [ "$TARGET" = server ]; then
  for_server=(--build-arg "VARIANT=$VARIANT" --build-arg "TORCH_INDEX_URL=$torch_index")
fi
if ! docker build ${network[@]+"${network[@]}"} --tag "$IMAGE" --file "docker/$file" \
  ${for_server[@]+"${for_server[@]}"} --build-arg "BASE=$BASE" --build-arg "VERSION=$version" --build-arg "REVISION=$revision" \
  ${SOURCE:+--build-arg "SOURCE=$SOURCE"} ${CREATED:+--build-arg "CREATED=$CREATED"} . > "$log" 2>&1; then
  tail -n 20 "$log" >&2
  printf 'The image was not built.\n  Fix: read the lines above; %s holds all of them.\n' "$log" >&2
  exit 1
fi
docker/size.sh "$IMAGE" "$most"
