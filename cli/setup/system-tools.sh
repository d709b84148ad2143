#!/bin/sh
# Installs the few programs that no wheel ships, where that needs no question. Never fails: `dumont doctor` names what is missing.
tools=
packages=
for tool in ssh rsync restic; do
    command -v "$tool" >/dev/null || { tools="$tools $tool"; packages="$packages $([ $tool = ssh ] && echo openssh-client || echo $tool)"; }
done
[ -n "$tools" ] || exit 0

apt() {
    DEBIAN_FRONTEND=noninteractive $as_root apt-get -q -y -o Acquire::Retries=1 -o Acquire::http::Timeout=20 "$@" </dev/null
}

as_root=
[ "$(id -u)" = 0 ] || as_root="sudo -n"
echo "Installing:$tools"
if command -v apt-get >/dev/null && $as_root true 2>/dev/null; then
    # shellcheck disable=SC2086 # a list of packages
    apt install --no-install-recommends $packages >/dev/null 2>&1 ||
        { apt update >/dev/null 2>&1 && apt install --no-install-recommends $packages >/dev/null 2>&1; }
elif command -v brew >/dev/null && [ "$(id -u)" != 0 ]; then
    # shellcheck disable=SC2086
    HOMEBREW_NO_AUTO_UPDATE=1 brew install $packages </dev/null >/dev/null 2>&1
fi
for tool in $tools; do
    command -v "$tool" >/dev/null || echo "Could not install $tool; \`dumont doctor\` shows the command to type."
done
exit 0
