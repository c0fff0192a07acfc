#!/usr/bin/env bash
# Prepares .venv from the lock file, and Java where the machine has none. Does nothing, in a second, when nothing changed.
#
# PYTHON       a Python 3.11, where none is on PATH
# TORCH_INDEX  the index of another torch build, for example a CPU one
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

TORCH=torch==2.13.0
NEEDED_GB=6
VENV=$PWD/.venv
LOG=work/setup.log

fail() {
    echo "set-up failed: $*" >&2
    exit 1
}

# What the environment was made from: it is complete and current when its stamp says the same.
stamp() {
    cat requirements.lock.txt pyproject.toml scripts/setup.sh | cksum
    echo "$VENV ${TORCH_INDEX:-}"
}

find_python() {
    local suits='import sys, ssl, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' candidate
    while read -r candidate; do
        if "$candidate" -c "$suits" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done < <(if [ -n "${PYTHON:-}" ]; then echo "$PYTHON"; else type -ap python3.11 python3 python; fi)
    local looked_at=${PYTHON:-no python3.11, python3 or python on PATH is one}
    fail "Python 3.11 with its venv and ssl modules is needed, found none ($looked_at)." \
        "Install it (Debian: apt install python3.11-venv) or name it: make PYTHON=/path/to/python3.11"
}

require_disk() {
    local free_gb
    free_gb=$(($(df -Pk . | awk 'NR == 2 { print $4 }') / 1048576))
    [ "$free_gb" -ge "$NEEDED_GB" ] ||
        fail "$NEEDED_GB GB of free disk are needed in $PWD, found $free_gb GB. Free some, or clone to a larger disk."
}

# phase TITLE COMMAND...: one line on the screen; everything the command prints goes to the log.
phase() {
    local title=$1 began=$SECONDS
    shift
    printf 'set-up: %s ... ' "$title"
    echo "== $title: $*" >>"$LOG"
    if ! "$@" >>"$LOG" 2>&1; then
        echo failed
        rm -f "$VENV/.unfinished" # pip downloads all before it installs any: what is there is whole
        fail "$title: $(grep -E '^ERROR' "$LOG" | tail -n 1 || true). Is the package index reachable? The log is" \
            "$LOG; once that is repaired, run the same command again."
    fi
    echo "$((SECONDS - began)) s"
}

make_venv() {
    local python
    python=$(find_python)
    # The marker outlives a killed set-up: then the next one starts over.
    rm -rf "$VENV"
    mkdir -p "$VENV"
    touch "$VENV/.unfinished"
    phase "virtual environment" "$python" -m venv "$VENV"
}

usable_venv() {
    [ ! -e "$VENV/.unfinished" ] && grep -qs " $VENV\$" "$VENV/pyvenv.cfg" && "$VENV/bin/python" -m pip --version >/dev/null 2>&1
}

install() {
    local pip=("$VENV/bin/python" -m pip install --no-input --progress-bar off --disable-pip-version-check)
    : >"$LOG"
    if ! usable_venv; then
        require_disk
        make_venv
    fi
    rm -f "$VENV/.stamp"
    touch "$VENV/.unfinished"
    phase "torch" "${pip[@]}" ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$TORCH"
    phase "the other packages (minutes)" "${pip[@]}" --no-deps --require-hashes -r requirements.lock.txt
    phase "found itself" "${pip[@]}" --no-deps --no-build-isolation -e .
    rm "$VENV/.unfinished"
    stamp >"$VENV/.stamp"
}

mkdir -p work
if command -v flock >/dev/null; then
    exec 9>work/.setup.lock
    flock 9
fi
[ "$(stamp)" = "$(cat "$VENV/.stamp" 2>/dev/null)" ] || install
scripts/java_home.sh "$VENV"
