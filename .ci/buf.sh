#!/usr/bin/env bash
# Lints the contracts and compares them with the ones on main; $1 is the virtual environment.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=$(cd "$1" && pwd)
python="$environment/bin/python"
buf="$environment/bin/buf"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$python" protos/generate.py --image "$scratch/image.binpb"
(cd protos && "$buf" lint "$scratch/image.binpb" --path sliceandpack)

base=""
for ref in origin/main main; do
  if git rev-parse --quiet --verify "$ref^{commit}" >/dev/null; then base=$ref && break; fi
done
if [ -z "$base" ] || ! git cat-file -e "$base:protos/sliceandpack" 2>/dev/null; then
  echo "buf breaking: no earlier contracts to compare with" >&2
  exit 0
fi
mkdir "$scratch/base"
git archive "$base" protos/sliceandpack | tar -x -C "$scratch/base"
"$python" protos/generate.py --source "$scratch/base/protos" --image "$scratch/base.binpb"
(cd protos && "$buf" breaking "$scratch/image.binpb" --against "$scratch/base.binpb" --path sliceandpack)
