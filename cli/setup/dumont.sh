#!/bin/sh
# The `dumont` command. `make install` copies it to .venv/bin/dumont; it works from any folder and through links.
self=$0
while [ -L "$self" ]; do
    target=$(readlink "$self")
    case $target in
        /*) self=$target ;;
        *) self=$(dirname "$self")/$target ;;
    esac
done
root=$(CDPATH='' cd -- "$(dirname -- "$self")/../.." && pwd -P)
PYTHONPATH=$root
export PYTHONPATH
exec "$root/.venv/bin/python" -P -m cli "$@"
