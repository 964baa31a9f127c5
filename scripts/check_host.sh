#!/bin/sh
# Names every host tool that the set-up needs and this machine lacks, with the apt line that brings it.
# Plain sh: it runs before any Python is known to work.
# Usage: check_host.sh [PYTHON]
set -u
python=${1:-python3}
packages=""

missing() { # what, packages
    echo "error: $1" >&2
    packages="$packages $2"
}

has() { command -v "$1" >/dev/null 2>&1; }

if ! has "$python"; then
    missing "$python is not found (Python 3.11 or later is needed)" "python3 python3-venv"
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    missing "$python is $("$python" -V 2>&1), older than 3.11; install a later one and run make PYTHON=python3.11" "python3.11 python3.11-venv"
elif ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    missing "$python has no venv module" "python$version-venv"
fi
has g++ || missing "g++ is not found" "g++"
has make || missing "make is not found" "make"
has perl || missing "perl is not found" "perl"

if [ -n "$packages" ]; then
    echo "remedy: sudo apt-get install$packages" >&2
    exit 2
fi
