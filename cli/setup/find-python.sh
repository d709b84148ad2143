#!/bin/sh
# Prints a Python that is new enough and can make a virtual environment, or says what to install.
found=
for name in python3 python3.11 python3.12 python3.13 python3.14; do
    python=$(command -v "$name") || continue
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || continue
    found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "$python"
        exit 0
    fi
done
if [ -n "$found" ]; then
    echo "Python $found is here, but not the part of it that makes virtual environments." >&2
    echo "Install it: apt-get install python$found-venv" >&2
else
    echo "Dumont Cloud needs Python 3.11 or later, and none of python3, python3.11 ... python3.14 is." >&2
    echo "Install one: apt-get install python3 python3-venv (Debian 12, Ubuntu 24.04), brew install python@3.13 (macOS)." >&2
fi
exit 1
