#!/usr/bin/env bash
# Chromium for the tests of the page, by apt where this is root on Debian or its like. Without it those tests are skipped.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

for name in ${FOUND_BROWSER:-chromium chromium-browser google-chrome google-chrome-stable}; do
    ! command -v "$name" >/dev/null || exit 0
done

skipped() {
    echo "set-up: no Chromium ($1): the tests of the page in a browser will be skipped"
    exit 0
}
[ "$(id -u)" = 0 ] || skipped "not root: install it, Debian's package is chromium"
command -v apt-get >/dev/null || skipped "no apt-get"

began=$SECONDS
log=work/chromium.log
mkdir -p work
printf 'set-up: chromium, for the tests of the page ... '
export DEBIAN_FRONTEND=noninteractive
if apt-get update >"$log" 2>&1 && apt-get install -y --no-install-recommends chromium fonts-dejavu-core >>"$log" 2>&1; then
    echo "$((SECONDS - began)) s"
else
    echo failed
    skipped "apt-get failed, see $log"
fi
