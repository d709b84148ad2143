#!/bin/sh
# Written by Dumont Cloud: a job's own part, in a session of its own. Its environment comes from a file, not a command line.
here=$(cd "$(dirname "$0")" && pwd) || exit 1
. "$here/limits"
set -f
while IFS= read -r line; do # what the image set for PID 1, which a login over SSH does not get
    case $line in
    PATH=* | LD_LIBRARY_PATH=* | LIBRARY_PATH=* | CUDA_*=* | NVIDIA_*=* | CONDA_*=* | PYTHON*=* | VIRTUAL_ENV=* | LANG=* | LC_*=*)
        export "$line"
        continue
        ;;
    esac
    for name in $platform; do # what the cloud says of the machine; each may be a pattern
        case $line in $name=*) export "$line" ;; esac
    done
done << END
$({ tr '\0' '\n' < /proc/1/environ; } 2> /dev/null)
END
set +f
export HOME="${HOME:-/root}" PYTHONUNBUFFERED=1 DUMONT_JOB_MARK="$mark"
. "$here/env"
rm -f "$here/env"
mkdir -p "$work/output" 2> /dev/null
cd "$work" || exit 125
shell=$(command -v bash || echo sh)
if [ -s "$here/setup" ]; then
    echo setup > "$here/stage"
    "$shell" "$here/setup" || exit $?
fi
if [ -s "$here/requirements" ]; then
    echo packages > "$here/stage"
    python3 -m pip install --no-input --disable-pip-version-check -r "$here/requirements" || exit $?
fi
echo script > "$here/stage"
case $(head -c 2 "$here/script" | tr -d '\0') in
'#!') exec "$here/script" ;;
*) exec "$shell" "$here/script" ;;
esac
