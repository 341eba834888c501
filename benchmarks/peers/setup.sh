#!/bin/sh
# Makes the environment of a peer that we are compared with: sh benchmarks/peers/setup.sh PEER
#
# Each peer has one of its own, .venv-peers/PEER beside our .venv (or $FEDNLP_PEERS/PEER), since
# their requirements exclude ours. It holds what `partitioners` needs too, and neither torch nor
# transformers; our code is not installed in it: run it from the repository's root.
# A second call does nothing, unless the list of packages has changed or the first was cut off.
set -eu
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-python3}
PEERS=${FEDNLP_PEERS:-.venv-peers}
OURS="numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 pyarrow==26.0.1 h5py==3.16.0 pytest==9.2.0"

fail() {
    echo "setup.sh: $1" >&2
    exit 2
}

# make_environment NAME OLDEST_PYTHON PACKAGE...
make_environment() {
    name=$1 oldest=$2
    shift 2
    folder=$PEERS/$name log=$PEERS/$name.log stamp=$PEERS/$name/packages.txt
    [ "$(cat "$stamp" 2>/dev/null)" = "$*" ] && return
    command -v "$PYTHON" >/dev/null || fail "$PYTHON is no command; set PYTHON to a Python"
    "$PYTHON" -c "import sys; sys.exit(sys.version_info < (${oldest%.*}, ${oldest#*.}))" ||
        fail "$name needs Python $oldest; $PYTHON is older: set PYTHON to a newer one"
    mkdir -p "$PEERS" 2>/dev/null || fail "$PEERS cannot be made; set FEDNLP_PEERS to a folder"
    echo "setup.sh: $name goes into $folder, which takes some minutes" >&2
    "$PYTHON" -m venv --clear "$folder" >"$log" 2>&1 &&
        "$folder/bin/python" -m pip install --disable-pip-version-check "$@" >>"$log" 2>&1 ||
        fail "$name: $(grep -i error "$log" | tail -n 1); all of it is in $log"
    echo "$*" >"$stamp"
}

case ${1:-} in
flwr-datasets)
    make_environment flwr-datasets 3.11 flwr-datasets==0.6.1 datasets==4.8.5 $OURS
    ;;
*)
    fail "no peer '${1:-}'; known: flwr-datasets"
    ;;
esac
