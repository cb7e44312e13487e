#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0

# test-kernels.sh [KERNEL...]: runs tests/kernels/matrix on the running kernel and on Debian's, in qemu without acceleration.
# KERNEL: running, 5.10, 6.1, 6.12, 7 (the newest 7.x that there is). Default: all of them.
#
#   SEED, SETS, GROUPS_ONLY  which filters are made up, how many, and which groups of tests run (all)
#   ALLOW_MISSING=1          a kernel that cannot be had is reported, but is no failure
#   UPDATE=1                 look for newer kernels instead of taking those that were downloaded before
#   DEBIAN_MIRROR, DEBIAN_SECURITY_MIRROR
#                            where to get them; default: where this machine gets its Debian packages
#   MATRIX                   a matrix that is built already, to run instead
#   MEMORY                   MiB for a kernel in qemu (512); GROUPS_ONLY=million wants 1024
#   PARALLEL                 how many kernels at once (2)
#   VERBOSE=1                print all that the program says, not only where it failed
#
# Nothing is installed but qemu, and that only as root; the machine's own package lists are not touched.

set -eu

cd "$(dirname "$0")/.."
. ./scripts/path.sh

all='running 5.10 6.1 6.12 7'
cache=$cache/kernels
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# Loaded with all that they need: nf_nat for the group nat, those behind it for the group offload.
modules='nf_conntrack_netlink nf_nat nft_flow_offload nf_flow_table_inet tun'
patience=900

say() {
    printf '%s\n' "$*" >&2
}

# --- packages ---

# mirror KIND: where this machine gets the packages of its own Debian release (main) or their updates (security).
mirror() {
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    case $1 in
        main) releases="$codename stable oldstable testing unstable sid" ;;
        *) releases="$codename-security stable-security oldstable-security testing-security" ;;
    esac
    # Other vendors' archives have other releases; Ubuntu's have other codenames, and no Debian kernels.
    [ "$(. /etc/os-release && echo "$ID")" = debian ] || return 0
    for release in $releases; do
        # shellcheck disable=SC2016 # apt fills these in
        apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(SITE)' 2>/dev/null |
            sed -n "s/^$release main //p"
    done | head -n 1
}

# in_apt COMMAND...: with a state, a cache and sources of our own, and the machine's other settings (proxies, keys).
in_apt() {
    program=$1
    shift
    "$program" -c "$apt/conf" "$@"
}

# prepare_apt SUITE...: a private state that knows these suites. SUITE: name, or name@security.
prepare_apt() {
    rm -rf "$apt"
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
    options='[arch=amd64]'
    [ ! -r "$keyring" ] || options="[arch=amd64 signed-by=$keyring]"
    : >"$apt/sources.list"
    for suite; do
        case $suite in
            *@security) from=$security_mirror ;;
            *) from=$main_mirror ;;
        esac
        [ -z "$from" ] || echo "deb $options $from ${suite%@security} main" >>"$apt/sources.list"
    done
    # The hooks that a machine may have after an update are about its own cache.
    cat >"$apt/conf" <<CONF
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State "$apt/state";
Dir::State::status "/dev/null";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
CONF
    [ -s "$apt/sources.list" ] && in_apt apt-get -qq update >&2
}

# images VERSION: the cloud kernels of a version, newest first, signed ones before unsigned ones.
images() {
    pattern=$(printf '^linux-image-%s\\.[0-9][^ ]*-cloud-amd64' "$1" | sed 's/\([0-9]\)\.\([0-9]\)/\1\\.\2/')
    in_apt apt-cache pkgnames linux-image- >"$apt/names"
    grep -E "$pattern\$" "$apt/names" | sort -rV || true
    grep -E "$pattern-unsigned\$" "$apt/names" | sort -rV || true
}

# download DIRECTORY IMAGE: the package and those others that it is split into.
download() {
    (cd "$1" && in_apt apt-get -qq download "$2" >&2) || return 1
    # shellcheck disable=SC2016 # dpkg fills it in
    parts=$(dpkg-deb -f "$1/$2"_*.deb Pre-Depends Depends | tr ',: ' '\n' |
        grep -E '^linux-(base|binary|modules)-[0-9]' | sort -u || true)
    for part in $parts; do
        (cd "$1" && in_apt apt-get -qq download "$part" >&2) || return 1
    done
}

# --- modules ---

module_name() {
    basename "$1" | sed 's/\.ko.*//; s/-/_/g'
}

unpack() {
    case $1 in
        *.xz) xz -dc "$1" ;;
        *.zst) zstd -qdc "$1" ;;
        *.gz) gzip -dc "$1" ;;
        *) cat "$1" ;;
    esac
}

# is_builtin DIRECTORY NAME
is_builtin() {
    sed 's/.*\///; s/\.ko$//; s/-/_/g' "$1/builtin" | grep -qx "$2"
}

# add_module TREE DIRECTORY NAME: the module behind all those that it depends on, unpacked.
add_module() {
    if [ -e "$2/$3.ko" ] || is_builtin "$2" "$3"; then
        return 0
    fi
    file=$(find "$1" -name '*.ko*' | while read -r path; do
        [ "$(module_name "$path")" != "$3" ] || echo "$path"
    done | head -n 1)
    [ -n "$file" ] || {
        say "test-kernels: no module $3"
        return 1
    }
    unpack "$file" >"$2/$3.ko"
    # What depmod would read; the packages leave that to the machine that installs them.
    for dependency in $(tr '\0' '\n' <"$2/$3.ko" | sed -n 's/^depends=//p' | tr ',-' ' _'); do
        add_module "$1" "$2" "$dependency" || return 1
    done
    echo "$3" >>"$2/order"
}

# --- a kernel ---

# has_all KERNEL: whether it is in the cache with all the modules that are wanted now.
has_all() {
    [ -e "$1/release" ] || return 1
    for module in $modules; do
        [ -e "$1/modules/$module.ko" ] || is_builtin "$1/modules" "$module" || return 1
    done
}

# fetch VERSION: leaves release, vmlinuz and modules/ in the cache. A kernel that came but cannot be used is never missing: that
# is a fault of this script.
fetch() {
    kernel=$cache/$1
    if has_all "$kernel" && [ -z "${UPDATE:-}" ]; then
        return 0
    fi
    case $1 in
        5.10) set -- "$1" bullseye bullseye-security@security ;;
        6.1) set -- "$1" bookworm bookworm-security@security ;;
        6.12) set -- "$1" trixie trixie-security@security ;;
        7) set -- "$1" sid trixie-backports ;;
    esac
    version=$1
    shift
    say "test-kernels: looking for the newest $version"
    prepare_apt "$@" || say "test-kernels: some of these could not be read: $*"
    for image in $(images "$version" | head -n 4); do
        new=$work/fetch
        rm -rf "$new"
        mkdir -p "$new/debs" "$new/tree" "$new/kernel/modules"
        say "test-kernels: downloading $image"
        download "$new/debs" "$image" || {
            say "test-kernels: $image, or a part of it, is not to be had"
            continue
        }
        for deb in "$new/debs"/*.deb; do
            dpkg-deb -x "$deb" "$new/tree"
        done
        image_file=$(find "$new/tree" -type f -name 'vmlinuz*' | head -n 1)
        builtin=$(find "$new/tree" -name modules.builtin | head -n 1)
        if [ -z "$image_file" ] || [ -z "$builtin" ]; then
            say "test-kernels: $image has no kernel, or not the list of what is built in: is it split in another way now?"
            exit 1
        fi
        cp "$image_file" "$new/kernel/vmlinuz"
        cp "$builtin" "$new/kernel/modules/builtin"
        for module in $modules; do
            add_module "$(dirname "$builtin")" "$new/kernel/modules" "$module" || exit 1
        done
        # With what the package calls the release: that of Debian's source is more exact.
        basename "$(dirname "$builtin")" >"$new/kernel/release"
        mkdir -p "$cache"
        rm -rf "$kernel"
        mv "$new/kernel" "$kernel"
        rm -rf "$new"
        return 0
    done
    has_all "$kernel"
}

# pad LENGTH: zeros up to a multiple of 4.
pad() {
    head -c $(((4 - $1 % 4) % 4)) /dev/zero
}

# put NAME MODE FILE: one file of a cpio archive (newc).
put() {
    size=$(wc -c <"$3")
    inode=$((inode + 1))
    printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\0' "$inode" "$((0100000 + $2))" 0 0 1 0 "$size" \
        0 0 0 0 $((${#1} + 1)) 0 "$1"
    pad $((110 + ${#1} + 1))
    cat "$3"
    pad "$size"
}

# initramfs KERNEL: to standard output.
initramfs() {
    inode=0
    while read -r module; do
        put "$module.ko" 0644 "$1/modules/$module.ko"
        echo "/$module.ko" >>"$2"
    done <"$1/modules/order"
    put modules 0644 "$2"
    put init 0755 "$work/init"
    put matrix 0755 "$work/matrix"
    put arguments 0644 "$work/arguments.qemu"
    : >"$2.end"
    put 'TRAILER!!!' 0 "$2.end"
}

# boot VERSION: runs the program in qemu. With one processor no event would ever come late.
boot() {
    kernel=$cache/$1
    initramfs "$kernel" "$work/$1.modules" >"$work/$1.cpio"
    timeout -k 10 "$patience" qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m "${MEMORY:-512}" -nographic -no-reboot -net none \
        -kernel "$kernel/vmlinuz" -initrd "$work/$1.cpio" \
        -append 'console=ttyS0 quiet loglevel=3 panic=-1 random.trust_cpu=on'"${CTRACK_MUTANT:+ CTRACK_MUTANT=$CTRACK_MUTANT}" </dev/null >"$work/$1.raw" 2>&1 &
    echo $! >"$work/$1.pid"
    # How it ended shows in what it said.
    wait $! || true
    rm -f "$work/$1.pid"
    # Without what the firmware and the kernel say before the first line, unless they are all that was said.
    tr -d '\r' <"$work/$1.raw" | sed 's/.*\(kernel [^ ]*, libctrack\)/\1/' >"$work/$1.all"
    sed -n '/^kernel .*, libctrack/,$p' "$work/$1.all" >"$work/$1.log"
    [ -s "$work/$1.log" ] || cp "$work/$1.all" "$work/$1.log"
}

run() {
    if [ "$1" = running ]; then
        xargs timeout -k 10 "$patience" "$work/matrix" <"$work/arguments" >"$work/$1.log" 2>&1 || true
    else
        boot "$1"
    fi
}

# finish: ends the kernels that are still running, if this is interrupted.
# shellcheck disable=SC2317 # the trap calls it
finish() {
    for file in "$work"/*.pid; do
        [ ! -e "$file" ] || kill "$(cat "$file")" 2>/dev/null || true
    done
    rm -rf "$work"
}

# summary VERSION: one line, and all that is of interest where something failed.
summary() {
    log=$work/$1.log
    if [ ! -e "$log" ]; then
        echo "MISSING $1: this kernel could not be had" >>"$work/summary"
        [ -n "${ALLOW_MISSING:-}" ] || failed=1
        return
    fi
    release=$(sed -n 's/.*kernel \([^ ]*\), libctrack.*/\1/p' "$log" | head -n 1)
    honours=$(sed -n 's/.*honours: //p' "$log" | head -n 1)
    result=$(sed -n 's/.*matrix: \([0-9]* checks, [0-9]* failed\)$/\1/p' "$log" | tail -n 1)
    case $result in
        0\ * | '') word=FAILED ;;
        *', 0 failed') word=ok ;;
        *) word=FAILED ;;
    esac
    [ "$word" = ok ] || {
        failed=1
        echo "--- $1"
        tail -n 400 "$log"
    }
    printf '%-7s %-7s %s: %s; honours %s\n' "$word" "$1" "${release:-not even started}" "${result:-no result}" \
        "${honours:-?}" >>"$work/summary"
    [ -z "${VERBOSE:-}" ] || cat "$log"
}

[ $# -gt 0 ] || {
    # shellcheck disable=SC2086 # words
    set -- $all
}
for kernel; do
    case " $all " in
        *" $kernel "*) ;;
        *)
            say "test-kernels: $kernel is none of: $all"
            exit 2
            ;;
    esac
done

work=$(mktemp -d)
trap finish EXIT
trap 'exit 1' HUP INT TERM
apt=$work/apt

./scripts/setup.sh kernels
if [ -n "${MATRIX:-}" ]; then
    cp "$MATRIX" "$work/matrix"
else
    ./tests/kernels/build.sh . "$work/matrix"
fi
# shellcheck disable=SC2086 # $CFLAGS are words
"${CC:-cc}" -std=c99 -Wall -Wextra -Wpedantic -O2 -static -s ${CFLAGS:-} -o "$work/init" tests/kernels/init.c
echo "--sets ${SETS:-300} --seed ${SEED:-1} ${GROUPS_ONLY:-}" >"$work/arguments"
# Debian's kernels have flow tables; the running one need not.
echo "--flow-tables 1 $(cat "$work/arguments")" >"$work/arguments.qemu"

main_mirror=${DEBIAN_MIRROR:-$(mirror main)}
security_mirror=${DEBIAN_SECURITY_MIRROR:-$(mirror security)}
for kernel; do
    version=$kernel
    [ "$version" = running ] || fetch "$version" || {
        say "test-kernels: no kernel $version"
        : >"$work/$version.missing"
    }
done

started=0
for version; do
    [ ! -e "$work/$version.missing" ] || continue
    run "$version" &
    started=$((started + 1))
    [ $((started % ${PARALLEL:-2})) -ne 0 ] || wait
done
wait

failed=0
for version; do
    summary "$version"
done
cat "$work/summary"
exit "$failed"
