#!/bin/sh
# Makes the environment of a peer that we are compared with: sh benchmarks/peers/setup.sh PEER
#
# Each peer has one of its own, .venv-peers/PEER beside our .venv (or $FEDNLP_PEERS/PEER), since
# their requirements exclude ours. That of flwr-datasets holds what `partitioners` needs too, and
# neither torch nor transformers; the others hold the versions of torch and transformers with which
# their comparison was tested. Our code is installed in none of them: run it from the repository's
# root. A second call does nothing, unless the list of packages has changed or the first was cut off.
set -eu
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-python3}
PEERS=${FEDNLP_PEERS:-.venv-peers}
OURS="numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 pyarrow==26.0.1 h5py==3.16.0 pytest==9.2.0"
MODEL="torch==2.13.0 transformers==5.24.0 tokenizers==0.23.3 safetensors==0.8.0 numpy==2.4.6"
# What `import fedml` reaches. Its own list also asks for numpy 1, an old wandb and a torchvision that
# exists for GPUs only, with which transformers cannot be imported; so fedml itself comes --no-deps.
FEDML="setuptools==81.0.0 python-dotenv==1.2.4 docker==7.2.0 GPUtil==1.4.0 scipy==1.17.1 pandas==3.1.1
chardet==7.7.0 psutil==7.2.2 cachetools==8.0.2 paho-mqtt==1.6.1 redis==8.1.0 SQLAlchemy==2.1.9
fastapi==0.165.0 boto3==1.44.8 h5py==3.16.0 pillow==13.0.0 wget==3.2 prettytable==3.18.0
multiprocess==0.70.19 httpx==0.28.1 mpi4py==4.1.2 mpich==5.0.2"

fail() {
    echo "setup.sh: $1" >&2
    exit 2
}

# make_environment NAME OLDEST_PYTHON PACKAGE...; those after -- come without what they require
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
    list="$*" alone=""
    case $list in *" -- "*) alone=${list#* -- } list=${list%% -- *} ;; esac
    # The lists are split into packages on purpose.
    "$PYTHON" -m venv --clear "$folder" >"$log" 2>&1 &&
        install $list && { [ -z "$alone" ] || install --no-deps $alone; } ||
        fail "$name: $(grep -i error "$log" | tail -n 1); all of it is in $log"
    echo "$*" >"$stamp"
}

install() {
    "$folder/bin/python" -m pip install --disable-pip-version-check "$@" >>"$log" 2>&1
}

case ${1:-} in
flwr-datasets)
    make_environment flwr-datasets 3.11 flwr-datasets==0.6.1 datasets==4.8.5 $OURS
    ;;
flwr)
    make_environment flwr 3.11 "flwr[simulation]==1.42.0" ray==2.55.1 $MODEL
    ;;
pfl)
    make_environment pfl 3.11 "pfl[pytorch]==0.6.0" $MODEL
    ;;
fedml)
    make_environment fedml 3.11 $MODEL $FEDML -- fedml==0.9.6
    ;;
*)
    fail "no peer '${1:-}'; known: flwr-datasets flwr pfl fedml"
    ;;
esac
