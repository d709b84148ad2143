# Runs the agent with the Python given, and again when it crashed; one that crashes twice within a minute stays away
# until the container or the control plane starts it.
cd ~/.dumont/agent || exit 1
again=
while :; do
    began=$(date +%s)
    "$1" -I -S "$HOME/.dumont/agent/agent.pyz" 2>crashed && exit
    if [ $(($(date +%s) - began)) -ge 60 ]; then
        again=
    elif [ -n "$again" ]; then
        exit 1
    else
        again=yes
    fi
    sleep 1
done
