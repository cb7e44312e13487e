#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0

# setup.sh WHAT...: makes sure that what is needed is installed. WHAT: build, go, python, demo, check, test, bench; and what single
# tests need: abi, coverage, cross, kernels, other-ways, cargo-c, package, wheels.
#
# Installs what is missing on Debian 12+ or Ubuntu 24.04+, as root or where sudo asks for no password. Otherwise it says
# in one line what to run, and fails. Silent and fast when nothing is missing.
#
# Where apt would remove or replace other packages, it says which, and asks on a terminal. Elsewhere it says what to run and fails,
# unless CTRACK_SETUP=yes or CI=true allows it.

set -eu

rust_wanted=1.85
go_wanted=1.24
# Installed where the distribution's Go is older than 1.21, which cannot get a newer one by itself.
go_release=1.24.9

# shellcheck source=scripts/path.sh
. "$(dirname "$0")/path.sh"

packages=

say() {
    printf '%s\n' "$*" >&2
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# want PROGRAM PACKAGE
want() {
    have "$1" || packages="$packages $2"
}

# want_package PACKAGE...: for what has no program to look for.
want_package() {
    for package; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || packages="$packages $package"
    done
}

# at_least VERSION WANTED
at_least() {
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

# The directory matters: one with a rust-toolchain.toml may mean another compiler.
have_rust() {
    have cargo && have rustc || return 1
    version=$(rustc --version 2>/dev/null | cut -d ' ' -f 2) || return 1
    [ -n "$version" ] && at_least "${version%%-*}" "$rust_wanted"
}

need_build() {
    want cc gcc
    want make make
    want pkg-config pkg-config
    want python3 python3
    # A compiler without the C library's headers is of no use.
    if have cc && ! echo '#include <stdio.h>' | cc -E - >/dev/null 2>&1; then
        packages="$packages libc6-dev"
    fi
}

need_python() {
    want python3 python3
    # Debian ships what makes a virtual environment in a package of its own.
    have python3 && python3 -c 'import ensurepip, venv' 2>/dev/null || packages="$packages python3-venv"
}

# What `make check` needs; clang-format and ruff come from pip.
need_check() {
    need_python
    want shellcheck shellcheck
}

need_demo() {
    want python3 python3
    want nft nftables
    want ip iproute2
    want unshare util-linux
}

need_abi() {
    want abidiff abigail-tools
    want conntrack conntrack
    want python3 python3
    want unshare util-linux
}

# What reads the profiles must be of the compiler's own LLVM, so the compiler comes first.
need_llvm() {
    [ -z "$(find "$(rustc --print sysroot)/lib/rustlib" -name llvm-cov -path '*/bin/*' 2>/dev/null)" ] || return 0
    if have rustup; then
        say "setup: adding llvm-tools to the Rust toolchain"
        rustup -q component add llvm-tools >&2
    else
        llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
        have "llvm-cov-$llvm" || apt_get "llvm-$llvm"
    fi
}

# Compilers only recommend the C library that they link with.
need_cross() {
    want qemu-aarch64 qemu-user
    want aarch64-linux-gnu-gcc 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross'
    want arm-linux-gnueabihf-gcc 'gcc-arm-linux-gnueabihf libc6-dev-armhf-cross'
    want s390x-linux-gnu-gcc 'gcc-s390x-linux-gnu libc6-dev-s390x-cross'
    # Not gcc-multilib, which cannot be installed beside the others.
    want i686-linux-gnu-gcc 'gcc-i686-linux-gnu libc6-dev-i386-cross'
    want mmdebstrap mmdebstrap
    # The tests of the kernel.
    want nft nftables
    want ip iproute2
    want unshare util-linux
    want conntrack conntrack
}

need_kernels() {
    want qemu-system-x86_64 qemu-system-x86
    want xz xz-utils
    want zstd zstd
    want dpkg-deb dpkg
}

need_other_ways() {
    want cmake cmake
    want meson meson
    want ninja ninja-build
    want mandoc mandoc
    want groff groff
    want pkg-config pkg-config
    want readelf binutils
}

# It contains cargo, which links with OpenSSL.
need_cargo_c() {
    have pkg-config && pkg-config --exists openssl || packages="$packages libssl-dev pkg-config"
}

need_package() {
    want_package abigail-tools autopkgtest binutils build-essential cpio debhelper dh-python fakeroot git lintian mmdebstrap mount \
        pkg-config pybuild-plugin-pyproject python3 python3-all python3-setuptools rpm rpmlint util-linux xz-utils
}

need_wheels() {
    want musl-gcc musl-tools
    want mmdebstrap mmdebstrap
    want dpkg-buildpackage dpkg-dev
    want unshare util-linux
}

need_test() {
    need_abi
    want g++ g++
    want clang clang
    want valgrind valgrind
    want nft nftables
    want ip iproute2
    want file file
    want gnuplot gnuplot-nox
    want musl-gcc musl-tools
    have pkg-config && pkg-config --exists libnetfilter_conntrack || packages="$packages pkg-config libnetfilter-conntrack-dev"
}

# The peers of the benchmarks, and what draws the pictures.
need_bench() {
    want conntrack conntrack
    want gnuplot gnuplot-nox
    want nft nftables
    want unshare util-linux
    have pkg-config && pkg-config --exists libnetfilter_conntrack || packages="$packages libnetfilter-conntrack-dev"
}

# become_root: sets $root to what runs a command as root, or fails.
become_root() {
    root=
    if [ "$(id -u)" -ne 0 ]; then
        have sudo && sudo -n true >/dev/null 2>&1 || return 1
        root='sudo -n'
    fi
}

updated=

apt_get() {
    have apt-get || {
        say "setup: no apt-get here; please install: $*"
        exit 1
    }
    become_root || {
        say "setup: please run: sudo apt-get update && sudo apt-get install -y --no-remove --no-install-recommends $*"
        exit 1
    }
    say "setup: installing $*"
    update
    plan=$(LC_ALL=C apt-get -s install --no-install-recommends "$@") || {
        say "setup: apt-get cannot install them; please run: sudo apt-get install --no-install-recommends $*"
        exit 1
    }
    remove=$(printf '%s\n' "$plan" | sed -n -e 's/^Remv \([^ ]*\).*/\1/p' -e 's/^Purg \([^ ]*\).*/\1/p' | sort -u | tr '\n' ' ')
    removing=--no-remove
    if [ "$remove" ]; then
        may_remove "$@"
        removing=
    fi
    # shellcheck disable=SC2086 # $root is two words or none, $removing one or none
    $root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
        install -y $removing --no-install-recommends "$@" >&2
}

# may_remove PACKAGE...: returns if it is allowed that installing these removes $remove. What somebody installed is theirs.
may_remove() {
    say "setup: installing $* removes ${remove% }"
    if [ "${CTRACK_SETUP:-}" = yes ] || [ "${CI:-}" = true ]; then
        return
    fi
    if [ -t 0 ] && [ -t 2 ]; then
        printf 'setup: remove them? [y/N] ' >&2
        read -r answer || answer=
        case $answer in
            y | Y | yes) return ;;
        esac
        say 'setup: nothing was changed'
        exit 1
    fi
    say "setup: nothing was changed; please run: sudo apt-get install --no-install-recommends $*"
    say 'setup: or allow it: CTRACK_SETUP=yes'
    exit 1
}

update() {
    [ -z "$updated" ] || return 0
    # shellcheck disable=SC2086
    $root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 update >&2
    updated=1
}

# The version of a package that apt would install; nothing if there is none.
candidate() {
    LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p' | grep -v '(none)' || true
}

rust_by_hand() {
    say "setup: please install Rust $rust_wanted or newer (https://rustup.rs), then try again"
    exit 1
}

# A default that somebody chose is theirs to change.
rustup_stable() {
    say "setup: installing the stable Rust toolchain"
    rustup -q toolchain install stable --profile minimal --no-self-update >&2 || rust_by_hand
    rustup default >/dev/null 2>&1 || rustup -q default stable >&2
    have_rust || {
        say "setup: Rust $rust_wanted or newer is needed; please run: rustup default stable"
        exit 1
    }
}

# Whether apt would install a new enough Rust as this package. Debian counts rustc's own version; cargo's used to run 0.x behind.
new_enough() {
    version=$(candidate "$1")
    version=${version#*:}
    [ -n "$version" ] && at_least "${version%%[-+~]*}" "$rust_wanted"
}

install_rust() {
    if have rustup; then
        rustup_stable
        return
    fi
    have apt-get || rust_by_hand
    if become_root; then
        update
    fi
    if new_enough cargo; then
        apt_get cargo rustc
    elif new_enough cargo-web; then
        # The newer Rust that Debian keeps beside its own for browsers.
        apt_get cargo-web rustc-web
    elif [ -n "$(candidate rustup)" ]; then
        apt_get rustup
        rustup_stable
    fi
    have_rust || rust_by_hand
}

# In go/, where go.mod says which version is wanted: Go 1.21 and later get it then.
have_go() {
    have go || return 1
    version=$(cd "$(dirname "$0")/../go" && go env GOVERSION 2>/dev/null) || return 1
    [ -n "$version" ] && at_least "${version#go}" "$go_wanted"
}

install_go() {
    have go || apt_get golang-go
    have_go || newer_go
}

# Releases of Go are also to be had as modules. One lacks what a module cannot have: go.mod files and permissions.
newer_go() {
    say "setup: installing Go $go_release for this user"
    module=golang.org/toolchain@v0.0.1-go$go_release.linux-$(go env GOARCH)
    modules=$(mktemp -d)
    GOMODCACHE=$modules GOFLAGS=-modcacherw GOTOOLCHAIN=local go mod download "$module" >&2 || {
        rm -rf "$modules"
        say "setup: please install Go $go_wanted or newer, then try again"
        exit 1
    }
    chmod 755 "$modules/$module/bin"/* "$modules/$module/pkg/tool"/*/*
    for at in "$modules/$module/src" "$modules/$module/src/cmd"; do
        mv "$at/_go.mod" "$at/go.mod"
    done
    rm -rf "$go_dir"
    mkdir -p "$(dirname "$go_dir")"
    mv "$modules/$module" "$go_dir"
    rm -rf "$modules"
    PATH="$go_dir/bin:$PATH"
    have_go || {
        say "setup: please install Go $go_wanted or newer, then try again"
        exit 1
    }
}

# The pinned checkers that are no Rust tools, in an environment of their own. Nothing to do if it was made of the same list.
need_checkers() {
    list=$(dirname "$0")/requirements.txt
    [ "$(cat "$checkers/requirements.txt" 2>/dev/null)" != "$(cat "$list")" ] || return 0
    say "setup: installing clang-format and ruff for this user"
    rm -rf "$checkers"
    mkdir -p "$(dirname "$checkers")"
    if ! python3 -m venv "$checkers" >&2 || ! "$checkers/bin/pip" install --quiet --disable-pip-version-check -r "$list" >&2; then
        say "setup: pip could not install what scripts/requirements.txt names; please try again with a network"
        exit 1
    fi
    cp "$list" "$checkers/requirements.txt"
}

# Formatter and linter come with the toolchain: from rustup where that made it, else from the distribution.
need_rust_tools() {
    cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && return
    if have rustup && rustup show active-toolchain >/dev/null 2>&1; then
        rustup -q component add rustfmt clippy >&2
    elif have dpkg && dpkg -s rustc-web >/dev/null 2>&1; then
        apt_get rust-web-all
    else
        apt_get rustfmt rust-clippy
    fi
}

[ $# -gt 0 ] || {
    say 'usage: setup.sh build|go|python|demo|check|test|bench|abi|cross|kernels|other-ways|cargo-c|package|wheels...'
    exit 2
}

rust='' rust_tools='' checkers_wanted='' llvm_wanted='' go=''
for what; do
    case $what in
        build) need_build; rust=1 ;;
        go) need_build; go=1 ;;
        python) need_python ;;
        demo) need_demo ;;
        check) need_build; need_check; rust=1; rust_tools=1; checkers_wanted=1 ;;
        test) need_test ;;
        bench) need_build; need_bench; rust=1 ;;
        abi) need_abi ;;
        coverage) need_build; rust=1; llvm_wanted=1 ;;
        cross) need_cross ;;
        kernels) need_kernels ;;
        other-ways) need_other_ways ;;
        cargo-c) need_cargo_c ;;
        package) need_build; need_package; rust=1; go=1 ;;
        wheels) need_build; need_python; need_wheels; rust=1 ;;
        *)
            say "setup: there is no $what"
            exit 2
            ;;
    esac
done

# Each once.
packages=$(printf '%s\n' "$packages" | tr ' ' '\n' | sort -u | tr '\n' ' ')
# shellcheck disable=SC2086 # one word per package
set -- $packages
[ $# -eq 0 ] || apt_get "$@"
[ -z "$rust" ] || have_rust || install_rust
[ -z "$rust_tools" ] || need_rust_tools
[ -z "$checkers_wanted" ] || need_checkers
[ -z "$llvm_wanted" ] || need_llvm
[ -z "$go" ] || have_go || install_go
