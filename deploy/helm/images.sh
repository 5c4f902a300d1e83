#!/usr/bin/env bash
# Prints every image that an installation with these values pulls, one a line: what a cluster without
# internet has to be given. Arguments are those of `helm template`:
#   deploy/helm/images.sh --values my-values.yaml
set -euo pipefail
chart=$(cd "$(dirname "$0")/slice-and-pack" && pwd)
helm template images "$chart" "$@" | sed -n 's/^[ -]*image: *"\{0,1\}\([^" ]*\)"\{0,1\} *$/\1/p' | sort -u
