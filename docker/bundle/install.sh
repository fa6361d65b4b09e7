#!/usr/bin/env bash
# Installs fastmar from this folder without a network: checks the files, loads the images, installs the wheels into .venv.
#   ./install.sh            PYTHON=... chooses the interpreter; it needs the version that the bundle was made with
set -euo pipefail
cd "$(dirname "$0")"
extras=
PYTHON=${PYTHON:-python3}

sha256sum --quiet --check SHA256SUMS ||
  { printf 'The bundle is damaged.\n  Fix: copy it again.\n' >&2; exit 1; }
"$PYTHON" -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --no-index --find-links wheels "fastmar[$extras]" ||
  { printf 'The wheels were not installed.\n  Fix: use the Python version and the platform that make bundle printed.\n' >&2; exit 1; }
echo "Installed  .venv/bin/fastmar"
if [ -f images.tar.gz ]; then
  if docker info > /dev/null 2>&1; then
    docker load --input images.tar.gz
  else
    echo "The Docker engine does not respond, so the images were not loaded. Later: docker load --input images.tar.gz"
  fi
fi
