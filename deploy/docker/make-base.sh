#!/usr/bin/env bash
# Makes a base image of Debian packages: make-base.sh DOCKER TAG. For places without a registry.
set -euo pipefail
docker=$1 tag=$2
tarball=$(mktemp --suffix=.tar)
trap 'rm -f "$tarball"' EXIT
mmdebstrap --quiet --variant=minbase \
  --include=python3,python3-venv,libpython3.11,ca-certificates \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  bookworm "$tarball"
"$docker" import "$tarball" "$tag"
