#!/bin/sh
# Starts the agent of Dumont Cloud, unless it runs. Written by the control plane, run at each start of the container.
cd ~/.dumont/agent || exit 1
for python in python3 python /usr/bin/python3 /usr/local/bin/python3 /opt/conda/bin/python3 /venv/main/bin/python3; do
    "$python" -I -S -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null && break
    python=
done
if [ -z "$python" ]; then
    echo "there is no Python 3.8 or later" >&2
    exit 3
fi
detach=$(command -v setsid || command -v nohup)
$detach sh "$HOME/.dumont/agent/watch" "$python" </dev/null >/dev/null 2>&1 &
