#!/usr/bin/env bash
# results.sh SEEDS LAKE ...: computes what benchmarks/results/evaluation lacks of these lakes, then docs/results.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seeds=$1
shift
results=benchmarks/results/evaluation
compute() { # compute LAKE OPTION ...
    local lake=$1
    shift
    if ! scripts/in_env python -m model.evaluation.suite --lake "$lake" --seeds "$seeds" --results "$results" --pending "$@"; then
        scripts/in_env found evaluate "$lake" --workdir "work/results/$(basename "$lake")" \
            --seeds "$seeds" --suite all --results "$results" "$@"
    fi
}
for lake in "$@"; do
    compute "$lake"
done
for lake in "$@"; do # the transfers last, when every lake has its pairs
    others=()
    for other in "$@"; do
        [ "$other" = "$lake" ] || others+=("$other")
    done
    if [ ${#others[@]} -gt 0 ]; then
        compute "$lake" --methods transfer --train-lakes "$(IFS=,; echo "${others[*]}")"
    fi
done
mkdir -p work/results
scripts/in_env python -m model.evaluation.suite --results "$results" --text docs/results.md --html work/results/results.html
