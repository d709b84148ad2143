#!/bin/sh
# Written by Dumont Cloud: runs one attempt of a job, once, and outlives every connection.
# Usage: run work | run read OUT ERR MOST WAIT PAUSE | run stop WHY | run collect PATH...
here=$(cd "$(dirname "$0")" && pwd) || exit 1
. "$here/limits" # timeout, grace, most, mark
cd "$here" || exit 1

# When this process began, in ticks since the host's boot: with the pid it names a process, also after a restart. One
# that has ended has none, though nobody has waited for it: a container's first process often does not.
born() { sed 's/^.*) //' "/proc/$1/stat" 2> /dev/null | grep -v '^[ZX]' | cut -d' ' -f20; }

# The processes of the job: its session, and those that left it but have its mark in their environment.
theirs() {
    { cat /proc/[0-9]*/stat 2> /dev/null | awk -v s="$main" '{ id = $1; sub(/^.*\) /, ""); if ($4 == s && $1 != "Z") print id }'
      grep -lF "$mark" /proc/[0-9]*/environ 2> /dev/null | cut -d/ -f3; } | sort -u
}

# TERM, up to $1 quarters of a second, then KILL.
end_all() {
    left=$(theirs); [ -n "$left" ] || return 0
    kill -s TERM $left 2> /dev/null
    rounds=0
    while [ "$rounds" -lt "$1" ] && [ -n "$(theirs)" ]; do sleep 0.25; rounds=$((rounds + 1)); done
    left=$(theirs); [ -z "$left" ] || kill -s KILL $left 2> /dev/null
}

# From a pipe to a file, each piece as it comes. When the file is long enough, or the disk full, the rest is dropped:
# nobody who prints is ever held up, or killed by a closed pipe.
copy() {
    exec 3< "$1"
    cat <&3 > "$2" & echo $! > "$2.cat"
    wait $!
    cat <&3 > /dev/null
}

bound() { [ "$2" -le "$most" ] || [ -e "$1.full" ] || { : > "$1.full"; kill "$(cat "$1.cat")"; }; } 2> /dev/null

watch() {
    read -r began _ < /proc/uptime
    while sleep 0.3; do
        set -- $(stat -c %s stdout stderr)
        bound stdout "$1"; bound stderr "$2"
        read -r now _ < /proc/uptime
        [ -e stop ] || [ $((${now%.*} - ${began%.*})) -le "$timeout" ] || { echo timeout > stop.own; ln stop.own stop; } 2> /dev/null
        [ ! -e stop ] || { end_all $((grace * 4)); return; }
    done
}

work() {
    mkdir claim 2> /dev/null || exit 0 # somebody else is it
    printf '%64s\n' '' > exit.new # room for the last word, should the disk be full by then
    mkfifo out err
    : > stdout; : > stderr; echo script > stage
    echo "$$ $(born $$)" > runner
    copy out stdout & one=$!
    copy err stderr & two=$!
    setsid sh ./main > out 2> err < /dev/null & main=$!
    watch & watcher=$!
    wait "$main"; code=$?
    rm -f env # a start that was late may have brought it once more
    if [ -e stop ]; then wait "$watcher"; else kill "$watcher"; fi 2> /dev/null
    end_all 8
    { sleep 3; kill "$one" "$two" $(cat stdout.cat stderr.cat); } 2> /dev/null & guard=$!
    wait "$one" "$two"; kill "$guard" 2> /dev/null
    why=$(cat stop 2> /dev/null)
    printf '%-64s\n' "$code ${why:-exited}" 1<> exit.new
    mv exit.new exit
}

# One line of state, then what was printed since; waits for news, and looks for an end before it looks at the sizes.
read_on() {
    state=running ended=
    [ -d claim ] || state=absent
    read -r pid since < runner 2> /dev/null
    tries=0
    while :; do
        [ -s exit ] && state=ended && read -r ended < exit
        set -- "$1" "$2" "$3" "$4" "$5" $(stat -c %s stdout stderr 2> /dev/null || echo 0 0)
        [ "$state" != running ] || [ "$6" -gt "$1" ] || [ "$7" -gt "$2" ] || [ "$tries" -ge "$4" ] && break
        if [ $((tries % 10)) = 0 ] && [ -n "$since" ] && [ "$(born "$pid")" != "$since" ] && [ ! -s exit ]; then
            state=vanished
            continue
        fi
        tries=$((tries + 1)); sleep "$5"
    done
    out=$(($6 - $1)) err=$(($7 - $2))
    [ "$out" -le "$3" ] || out=$3
    [ "$err" -le "$3" ] || err=$3
    echo "$state $6 $7 $out $err $(cat stage 2> /dev/null || echo script) $ended"
    [ "$out" -le 0 ] || tail -c "+$(($1 + 1))" stdout | head -c "$out"
    [ "$err" -le 0 ] || tail -c "+$(($2 + 1))" stderr | head -c "$err"
}

# A tar of the logs and of what is at these paths. What is not taken is said on stderr, a line each.
collect() {
    count=$#
    set -- "$@" "${here#/}/stdout" "${here#/}/stderr"
    while [ "$count" -gt 0 ]; do
        path=$1 count=$((count - 1)); shift
        real=$(readlink -f -- "$path")
        if [ -z "$real" ] || [ ! -e "$real" ]; then echo "missing: $path" >&2; continue; fi
        case $real/ in "$path"/* | /workspace/*) set -- "$@" "${real#/}" ;; *) echo "refused: $path" >&2 ;; esac
    done
    case $(tar --version 2> /dev/null) in *GNU*) set -- --hard-dereference --ignore-failed-read -- "$@" ;; esac
    exec tar -cf - -C / "$@"
}

verb=$1; shift
case $verb in
work) work ;;
read) read_on "$@" ;;
stop) echo "$1" > "stop.$$" && ln "stop.$$" stop 2> /dev/null; rm -f "stop.$$" ;;
collect) collect "$@" ;;
esac
