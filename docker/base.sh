#!/usr/bin/env bash
# Builds the base image of the Dockerfile, for machines that can't pull debian:bookworm-slim but can reach Debian's mirror.
#   docker/base.sh [IMAGE]        default: fastmar-base:bookworm; needs root and debootstrap
# Like Debian's image: a minimal bookworm with security updates, without documentation and translations.
set -euo pipefail
image=${1:-fastmar-base:bookworm}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org}

refuse() { printf '%s\n  Fix: %s\n' "$1" "$2" >&2; exit 1; }
[ "$(id -u)" = 0 ] || refuse "debootstrap needs root." "run it as root, or set BASE to an image of Debian bookworm."
command -v debootstrap > /dev/null || refuse "debootstrap is not installed." "apt-get install debootstrap"

work=$(mktemp -d)
root=$work/root log=$work/log
trap 'rm -rf "$work"' EXIT
trap 'tail -n 5 "$log" >&2; refuse "the base image could not be built." "read the lines above; set DEBIAN_MIRROR to use another mirror."' ERR

debootstrap --variant=minbase bookworm "$root" "$mirror/debian" > "$log" 2>&1
chmod 755 "$root"
cat > "$root/etc/dpkg/dpkg.cfg.d/image" << 'END'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
force-unsafe-io
END
cat > "$root/etc/apt/sources.list" << END
deb $mirror/debian bookworm main
deb $mirror/debian bookworm-updates main
deb $mirror/debian-security bookworm-security main
END
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"  # packages start no services
chmod 755 "$root/usr/sbin/policy-rc.d"
chroot "$root" sh -ec '
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  apt-get upgrade -y
  apt-get clean
  find /usr/share/doc -type f ! -name copyright -delete
  find /usr/share/doc -type d -empty -delete
  rm -rf /usr/share/man/* /usr/share/info/* /usr/share/locale/* /var/lib/apt/lists/* /var/cache/debconf/*-old
  find /var/log -type f -delete
' > "$log" 2>&1
rm -f "$root/etc/resolv.conf" "$root/etc/hostname"
tar -C "$root" --numeric-owner --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' -c . |
  docker import --change 'CMD ["bash"]' - "$image" > /dev/null
docker image inspect --format '{{.Size}}' "$image" | awk -v name="$image" '{ printf "%s: %.0f MB\n", name, $1 / 1e6 }'
