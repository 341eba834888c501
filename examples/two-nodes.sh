#!/usr/bin/env bash
# One run on two machines over plain ssh: examples/two-nodes.sh FIRST SECOND CONFIG [KEY=VALUE ...]
# Both have the clone at this path, and the data under the same FEDNLP_DATA; FIRST keeps the run.
# PROCESSES: of each machine. PORT: free on FIRST, and reachable from SECOND.
set -euo pipefail

first=${1:?the machine that leads}
second=${2:?the other machine}
config=${3:?a configuration}
shift 3
: "${PROCESSES:=2}" "${PORT:=29400}" "${SSH:=ssh}" "${TORCHRUN:=.venv/bin/torchrun}"

command=("$TORCHRUN" --nnodes 2 --nproc-per-node "$PROCESSES" --master-addr "$first"
    --master-port "$PORT")
work=(run_bench.py run "$config" engine.name=torchrun "$@")

on() { # MACHINE NODE
    "$SSH" "$1" "cd $(printf %q "$PWD") && $(printf '%q ' \
        env FEDNLP_DATA="${FEDNLP_DATA-}" "${command[@]}" --node-rank "$2" "${work[@]}")"
}

on "$second" 1 &
other=$!
trap 'kill "$other" 2>/dev/null || true' EXIT
on "$first" 0
wait "$other"
