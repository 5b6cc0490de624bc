#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: tools/system-packages.sh demo|test
#
# Installs missing packages for `make demo` or `make test` with apt-get. Without permission to install,
# the script prints the command and exits with status 1.
set -eu

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# need PACKAGES COMMAND...: adds the packages to $missing unless the command succeeds. Commands are run because
# a compiler may be installed without its C library or the runtime of its sanitizers.
need() {
    packages=$1
    shift
    "$@" >"$scratch/said" 2>&1 || missing="$missing $packages"
}

# links COMPILER [FLAG...]: compiles and links a small program.
links() {
    printf '#include <string.h>\nint main(int c, char **v) { return (int)strlen(v[c - 1]); }\n' |
        "$@" -x c - -o "$scratch/program"
}

# fuzzes COMPILER [FLAG...]: compiles and links a fuzz target, whose main is in the library.
fuzzes() {
    printf 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d && n > 9; }\n' |
        "$@" -x c - -o "$scratch/program"
}

# has COMMAND: succeeds if the command is installed.
has() { command -v "$1" >/dev/null 2>&1; }

# look_for demo|test: sets $missing to the names of missing packages.
look_for() {
    missing=""
    if [ "$1" = demo ]; then compiler=cc; else compiler=gcc; fi # the tests run gcc by name
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
        # Since version 12, Debian has the runtime in a separate package whose name contains the version.
        major=$(clang -dumpversion | cut -d. -f1)
        need "libclang-rt-$major-dev" fuzzes clang -fsanitize=fuzzer,address,undefined
    fi
}

# install: installs the packages in $missing.
install() {
    if ! has apt-get; then
        echo "error: missing:$missing (names of Debian packages)" >&2
        echo "next:  Install them with this system's package manager, then run make again." >&2
        exit 1
    fi
    if [ "$(id -u)" = 0 ]; then
        sudo=""
    elif has sudo && sudo -n true 2>/dev/null; then
        sudo="sudo"
    else
        echo "error: missing:$missing" >&2
        echo "next:  sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
        echo "       Then run make again." >&2
        exit 1
    fi
    echo "installing:$missing"
    $sudo apt-get update -q
    # shellcheck disable=SC2086 # a list of names
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
}

# Twice: only an installed compiler reports the version of its libraries.
for _ in first second; do
    look_for "$1"
    [ -n "$missing" ] || exit 0
    install
done
look_for "$1"
if [ -n "$missing" ]; then
    echo "error: still missing after the installation:$missing" >&2
    echo "next:  Make sure that no other compiler comes first in PATH, or reinstall the packages." >&2
    exit 1
fi
