#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: tools/system-packages.sh demo|test
#
# Installs with apt-get what the system lacks for `make demo` or `make test`. Where it may not install,
# it prints the line that does and fails.
set -eu

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# need PACKAGES COMMAND...: adds the packages to $missing unless the command works. What counts is what works:
# a compiler may be there without its C library, or without the run time of its sanitizers.
need() {
    packages=$1
    shift
    "$@" >"$scratch/said" 2>&1 || missing="$missing $packages"
}

# links COMPILER [FLAG...]: whether a small program compiles and links.
links() {
    printf '#include <string.h>\nint main(int c, char **v) { return (int)strlen(v[c - 1]); }\n' |
        "$@" -x c - -o "$scratch/program"
}

# fuzzes COMPILER [FLAG...]: the same of a fuzz target, whose main the library has.
fuzzes() {
    printf 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d && n > 9; }\n' |
        "$@" -x c - -o "$scratch/program"
}

# has COMMAND
has() { command -v "$1" >/dev/null 2>&1; }

# look_for demo|test: sets $missing to the names of packages.
look_for() {
    missing=""
    if [ "$1" = demo ]; then compiler=cc; else compiler=gcc; fi # the tests call it by name
    need "gcc libc6-dev" links $compiler
    need make has make
    need git has git
    need python3-venv python3 -c 'import ensurepip, venv'
    [ "$1" != demo ] || return 0
    need cmake has cmake
    need g++ has c++
    if has gcc; then
        need "libgcc-$(gcc -dumpversion | cut -d. -f1)-dev" links gcc -fsanitize=address,undefined
    fi
    need "gcc-arm-none-eabi libnewlib-arm-none-eabi" links arm-none-eabi-gcc --specs=nosys.specs
    need "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf" \
        links riscv64-unknown-elf-gcc --specs=picolibc.specs -march=rv32imac -mabi=ilp32
    need qemu-system-arm has qemu-system-arm
    need qemu-system-misc has qemu-system-riscv32
    need openocd has openocd
    need stlink-tools has st-flash
    need dfu-util has dfu-util
    need zsh has zsh
    need fish has fish
    need clang links clang
    if has clang; then
        # Debian has the run time apart from 12 on, under a name with the version.
        major=$(clang -dumpversion | cut -d. -f1)
        need "libclang-rt-$major-dev" fuzzes clang -fsanitize=fuzzer,address,undefined
    fi
}

# install: what is in $missing.
install() {
    if ! has apt-get; then
        echo "error: missing:$missing (names of Debian packages)" >&2
        echo "next:  install them with this system's package manager, then run make again" >&2
        exit 1
    fi
    if [ "$(id -u)" = 0 ]; then
        sudo=""
    elif has sudo && sudo -n true 2>/dev/null; then
        sudo="sudo"
    else
        echo "error: missing:$missing" >&2
        echo "next:  sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
        echo "       then run make again" >&2
        exit 1
    fi
    echo "installing:$missing"
    $sudo apt-get update -q
    # shellcheck disable=SC2086 # a list of names
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
}

# Twice: only a compiler that is there tells the version of its libraries.
for _ in first second; do
    look_for "$1"
    [ -n "$missing" ] || exit 0
    install
done
look_for "$1"
if [ -n "$missing" ]; then
    echo "error: still missing after an installation:$missing" >&2
    echo "next:  see whether another compiler than the installed one comes first in PATH, or reinstall them" >&2
    exit 1
fi
