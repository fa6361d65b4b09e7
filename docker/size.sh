#!/usr/bin/env bash
# Lists the size of an image by component. Exit status 1 if the image is larger than the limit.
#   docker/size.sh [IMAGE] [LIMIT]     defaults: fastmar:latest, 600 MB
set -euo pipefail
image=${1:-fastmar:latest}
limit=${2:-600}
size=$(docker image inspect --format '{{.Size}}' "$image")
docker run --rm --network none --user 0 --entrypoint find "$image" / -xdev -type f -printf '%i %n %s %p\n' | awk -v total="$size" '
  function part(path) {
    if (path ~ "^/opt/java/") return "Java (jlink of OpenJDK 17)"
    if (path ~ "/site-packages/") {
      sub(".*/site-packages/", "", path)
      if (path ~ "^nvidia") return "CUDA"
      if (path ~ "^(onnxruntime|flatbuffers|google|protobuf)") return "ONNX Runtime"
      if (path ~ "^numpy") return "numpy"
      if (path ~ "^(PIL|pillow)") return "Pillow"
      if (path ~ "^(ts|torchserve-[^/]*)/") return "TorchServe"
      if (path ~ "^fastmar") return "fastmar"
      return "other Python packages"
    }
    if (path ~ "/(lib)?python3") return "Python 3.11"
    return "Debian"
  }
  $2 > 1 && seen[$1]++ { next }  # another hard link to the same file
  { bytes[part($4)] += $3; sum += $3 }
  END {
    for (name in bytes) printf "%7.1f MB  %s\n", bytes[name] / 1e6, name | "sort -rn"
    close("sort -rn")
    if (total > sum) printf "%7.1f MB  in layers below others\n", (total - sum) / 1e6
    printf "%7.1f MB  in all\n", total / 1e6
  }'
if [ "$size" -gt $((limit * 1000000)) ]; then
  printf '%s is larger than %s MB.\n  Fix: check the sizes above for new components.\n' "$image" "$limit" >&2
  exit 1
fi
