#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: tools/system-packages.sh demo|test|bench
#
# Installs with apt-get what the system lacks for `make demo` or `make test`. Where it may not install,
# it prints the line that does and fails.
set -eu

missing=""
need_command() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need_file_of() { dpkg -s "$1" >/dev/null 2>&1 || missing="$missing $1"; }

need_command cc "gcc libc6-dev"
need_command make make
need_command git git
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
if [ "$1" != demo ]; then
    need_command cmake cmake
    need_command clang clang
    need_command arm-none-eabi-gcc "gcc-arm-none-eabi libnewlib-arm-none-eabi"
fi
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "error: missing:$missing (names of Debian packages)" >&2
    echo "next:  install them with this system's package manager, then run make again" >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    sudo=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo="sudo"
else
    echo "error: missing:$missing" >&2
    echo "next:  sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi
echo "installing:$missing"
$sudo apt-get update -q
# shellcheck disable=SC2086 # a list of names
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
