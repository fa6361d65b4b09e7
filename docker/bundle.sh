#!/usr/bin/env bash
# Implements `make bundle`: writes .build/fastmar-VERSION-offline.tar, with wheels and images for a machine without a network.
# Environment variables:
#   EXTRAS=...    extras of the wheels; default: client,serve,asgi,web,monitoring,bulk. export,vision,text add torch (gigabytes)
#   IMAGES=...    images, separated by spaces; default: fastmar:latest fastmar:asgi fastmar-web:latest; empty: none
#   PYTHON=...    the wheels fit its version and its platform; default: python3
#   PIP_ARGS=...  additional options for pip, such as the index of PyTorch's CPU wheels
set -euo pipefail
cd "$(dirname "$0")/.."
EXTRAS=${EXTRAS:-client,serve,asgi,web,monitoring,bulk}
IMAGES=${IMAGES-fastmar:latest fastmar:asgi fastmar-web:latest}
PYTHON=${PYTHON:-python3}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
name=fastmar-$version-offline
folder=.build/$name

for image in $IMAGES; do
  docker image inspect "$image" > /dev/null 2>&1 || docker pull --quiet "$image" > /dev/null ||
    { printf 'The image %s is not on this machine, and cannot be pulled.\n  Fix: run make image, or set IMAGES.\n' "$image" >&2; exit 1; }
done

rm -rf "$folder" "$folder.tar"
mkdir -p "$folder/wheels" "$folder/model_store"
echo "Wheels: fastmar[$EXTRAS] for $("$PYTHON" --version)"
"$PYTHON" -m pip wheel -qq --disable-pip-version-check --no-deps --wheel-dir "$folder/wheels" .
# shellcheck disable=SC2086
"$PYTHON" -m pip download -qq --disable-pip-version-check --only-binary=:all: --dest "$folder/wheels" --find-links "$folder/wheels" \
  -c constraints.txt ${PIP_ARGS:-} "fastmar[$EXTRAS]==$version"
if [ -n "$IMAGES" ]; then
  echo "Images: $IMAGES"
  # shellcheck disable=SC2086
  docker save $IMAGES | gzip > "$folder/images.tar.gz"  # one file, in which the images share their layers
fi
git ls-files -z docker deploy LICENSE | grep -zv '^docker/bundle' | xargs -0 cp --parents --target-directory "$folder"
cp docker/bundle/README.md docker/bundle/install.sh "$folder"
sed -i "s/^extras=.*/extras=$EXTRAS/" "$folder/install.sh"
(cd "$folder" && find . -type f ! -name SHA256SUMS -print0 | sort -z | xargs -0 sha256sum > SHA256SUMS)
tar --create --file "$folder.tar" --directory .build "$name"
printf '%s.tar: %s\n' "$folder" "$(du -h "$folder.tar" | cut -f 1)"
rm -rf "$folder"
