#!/usr/bin/env bash
# results.sh SEEDS LAKE ...: computes what benchmarks/results/evaluation lacks of these lakes, then docs/results.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seeds=$1
shift
results=benchmarks/results/evaluation
for lake in "$@"; do
    if ! scripts/in_env python -m model.evaluation.suite --lake "$lake" --seeds "$seeds" --results "$results" --pending; then
        scripts/in_env found evaluate "$lake" --workdir "work/results/$(basename "$lake")" \
            --seeds "$seeds" --suite all --results "$results"
    fi
done
mkdir -p work/results
scripts/in_env python -m model.evaluation.suite --results "$results" --text docs/results.md --html work/results/results.html
