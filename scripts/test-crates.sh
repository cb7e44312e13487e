#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test-crates.sh: the crates as others get them. Their documentation; the packages, unpacked elsewhere, build and run their tests with
# nothing but each other; a Rust library that uses ctrack exports no function of the C library; two versions of ctrack and
# libctrack.so live in one process.
#
# The tests of the packages run where the checkout cannot be seen: in a mount namespace. With CTRACK_REQUIRE_NETNS=1 it is a failure
# that there can be none; otherwise that is skipped.
# Honours CARGO_TARGET_DIR.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh
. ./scripts/checks.sh
unset RUSTFLAGS RUSTDOCFLAGS CARGO_BUILD_TARGET MAKEFLAGS MFLAGS MAKELEVEL
export LC_ALL=C CARGO_TERM_COLOR=never

checkout=$(pwd -P)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# From the lowest to the highest.
crates='ctnetlink ctrack libctrack'
target=${CARGO_TARGET_DIR:-$checkout/target}
case $target in /*) ;; *) target=$checkout/$target ;; esac

# --- Documentation ------------------------------------------------------------------------------------------------------------

# Two crates of one name would be in each other's way: cargo warns of that, and so does rustdoc of what is wrong in it.
succeeds 'cargo doc --workspace' cargo doc --locked --workspace --no-deps || :
grep -E '^(warning|error)' "$work/log" >"$work/found" || :
empty 'cargo doc --workspace warns of nothing' "$work/found"
for crate in ctnetlink ctrack; do
	[ -s "$target/doc/$crate/index.html" ] || echo "$crate"
done >"$work/found"
empty 'the Rust crates are documented; the C library has its manual' "$work/found"

# --- Versions -----------------------------------------------------------------------------------------------------------------

cargo tree --locked --workspace --depth 0 --prefix none | sed -n 's/^\([a-z-]*\) v\([^ ]*\).*/\1 \2/p' | grep -v '^fuzz-' | sort -u >"$work/found"
for crate in $crates; do echo "$crate $version"; done | sort >"$work/expected"
same 'one version for all crates' "$work/expected" "$work/found"

# --- Packages -----------------------------------------------------------------------------------------------------------------

# Not verified here: that is done below, with the tests.
packages=$work/packages
succeeds 'cargo publish would take all crates' \
	cargo publish --workspace --dry-run --no-verify --allow-dirty --locked --target-dir "$packages" || finish
unpacked=$work/crates
mkdir "$unpacked" "$unpacked/.cargo"
for crate in $crates; do
	package=$(find "$packages" -name "$crate-$version.crate" | head -n 1)
	tar -xzf "$package" -C "$unpacked"
	mv "$unpacked/$crate-$version" "$unpacked/$crate"
	for file in README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE Cargo.toml src/lib.rs; do
		[ -f "$unpacked/$crate/$file" ] || echo "$crate: $file is missing"
	done >"$work/found"
	(cd "$unpacked/$crate" && find . -type f) | grep -vE '^\./((src|examples|include|tests)/.*\.rs|README\.md|CHANGELOG\.md|LICENSE-(MIT|APACHE)|Cargo\.(toml|lock|toml\.orig)|\.cargo_vcs_info\.json)$' |
		case $crate in
		ctnetlink) grep -vE '^\./tests/data/' ;;
		ctrack) grep -vE '^\./(tests/data/|MIGRATING\.md$)' ;;
		libctrack) grep -vE '^\./(build\.rs|cbindgen\.toml|include/ctrack\.h|abi/[a-zA-Z0-9.-]*|tests/[a-z_]*/[a-z]*\.c)$' ;;
		esac >>"$work/found" || :
	(cd "$unpacked/$crate" && find . -type l) >>"$work/found"
	empty "$crate: its package has what it needs and nothing else" "$work/found"
	size=$(stat -c %s "$package")
	if [ "$size" -lt 300000 ]; then ok "$crate: it is small ($size bytes)"; else failed "$crate: $size bytes"; fi
	case $crate in ctnetlink) wanted=0 ;; ctrack) wanted=1 ;; libctrack) wanted=2 ;; esac
	exact=$(grep -A1 -E '^\[dependencies\.(ctnetlink|ctrack)\]' "$unpacked/$crate/Cargo.toml" | grep -cxF "version = \"=$version\"" || :)
	equal "$crate: it goes with the others of its version alone" "$wanted" "$exact"
done
cat >"$unpacked/.cargo/config.toml" <<-'CONFIG'
	[patch.crates-io]
	ctnetlink = { path = "ctnetlink" }
	ctrack = { path = "ctrack" }
CONFIG

hidden='unshare -m'
[ "$(id -u)" -eq 0 ] || hidden='unshare -Urm'
if $hidden mount -t tmpfs none "$checkout" 2>"$work/no-namespace"; then
	for crate in $crates; do
		# shellcheck disable=SC2016,SC2086 # the variables are those of the inner shell; a command with options
		succeeds "$crate: it builds and tests itself where the checkout is not" $hidden sh -euc '
			mount -t tmpfs none "$1"
			! [ -e "$1/Cargo.toml" ]
			cd "$2/$3"
			export CARGO_TARGET_DIR=$2/target CARGO_PROFILE_TEST_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=0
			exec cargo test --offline' sh "$checkout" "$unpacked" "$crate" || continue
		grep '^SKIPPED' "$work/log" || :
		passed=$(awk '/^test result: ok/ { n += $4 } END { print n + 0 }' "$work/log")
		documented=$(sed -n '/Doc-tests/,$p' "$work/log" | grep -c '^test .* ok$' || :)
		case $crate in
		ctnetlink) least=40 examples=2 ;;
		ctrack) least=120 examples=8 ;;
		libctrack) least=100 examples=0 ;;
		esac
		if [ "$passed" -ge "$least" ] && [ "$documented" -ge "$examples" ]; then
			ok "$crate: enough were run ($passed, $documented of them examples)"
		else
			failed "$crate: enough were run ($passed, $documented of them examples)" "$work/log"
		fi
	done
elif [ "${CTRACK_REQUIRE_NETNS:-}" ]; then
	failed 'a mount namespace' "$work/no-namespace"
else
	echo "SKIPPED the tests of the packages: no mount namespace: $(cat "$work/no-namespace")"
fi

# --- Rust libraries and programs that use them --------------------------------------------------------------------------------

succeeds 'make, for libctrack.so' make -s all || finish
export CARGO_TARGET_DIR="$unpacked/target"

# project NAME: a package beside the unpacked ones; standard input is the rest of its manifest.
project() {
	mkdir -p "$unpacked/$1/src"
	{
		printf '[package]\nname = "%s"\nversion = "0.0.0"\nedition = "2021"\n' "$1"
		cat
	} >"$unpacked/$1/Cargo.toml"
}

# builds TITLE NAME
builds() {
	# The directory matters: cargo looks for .cargo/config.toml above it.
	# shellcheck disable=SC2016 # $1 is that of the inner shell
	succeeds "$1" sh -c 'cd "$1" && cargo build --offline' sh "$unpacked/$2"
}

# exported LIBRARY: its functions and variables.
exported() {
	nm -D --defined-only "$CARGO_TARGET_DIR/debug/$1" | sed -n 's/.* [TDBR] //p'
}

project plugin <<-MANIFEST
	[lib]
	crate-type = ["cdylib"]
	[dependencies]
	ctrack = "=$version"
MANIFEST
cat >"$unpacked/plugin/src/lib.rs" <<-'SOURCE'
	#[no_mangle]
	pub extern "C" fn plugin_count() -> i64 {
	    ctrack::Conntrack::open().and_then(|mut table| table.count()).map_or(-1, |count| count as i64)
	}
SOURCE
if builds 'a cdylib that uses ctrack' plugin; then
	exported libplugin.so >"$work/found"
	echo plugin_count >"$work/expected"
	same 'a cdylib that uses ctrack exports its own function alone' "$work/expected" "$work/found"
fi
# That the check sees such functions.
project boundary <<-MANIFEST
	[lib]
	crate-type = ["cdylib"]
	[dependencies]
	libctrack = { path = "../libctrack" }
MANIFEST
echo 'pub use ctrack_c::read::ct_count;' >"$unpacked/boundary/src/lib.rs"
if builds 'a cdylib that uses libctrack' boundary; then
	exported libboundary.so | sort >"$work/found"
	same 'and that exports all of ct_*' abi/symbols.txt "$work/found"
fi

# Another version, as a program has it whose dependencies disagree.
for crate in ctnetlink ctrack; do
	cp -R "$unpacked/$crate" "$unpacked/other-$crate"
	sed -i -e "s/^version = \"$version\"/version = \"99.0.0\"/" -e "s/^version = \"=$version\"/version = \"=99.0.0\"\npath = \"..\/other-ctnetlink\"/" \
		"$unpacked/other-$crate/Cargo.toml"
	rm "$unpacked/other-$crate/Cargo.lock"
done
project both <<-MANIFEST
	[dependencies]
	libc = "0.2"
	ctrack = "=$version"
	other = { package = "ctrack", path = "../other-ctrack" }
MANIFEST
cat >"$unpacked/both/src/main.rs" <<-'SOURCE'
	//! The table of this network namespace as two versions of the crate see it, and as the C library does, all open at once.
	use std::ffi::{c_int, c_void, CStr, CString};
	use std::mem::transmute;

	type Open = extern "C" fn(*mut *mut c_void, *const c_void) -> c_int;
	type Count = extern "C" fn(*mut c_void, *mut u64) -> c_int;
	type Close = extern "C" fn(*mut c_void);

	fn main() {
	    let path = CString::new(std::env::args().nth(1).unwrap()).unwrap();
	    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
	    assert!(!library.is_null(), "{:?}", unsafe { CStr::from_ptr(libc::dlerror()) });
	    let symbol = |name: &CStr| {
	        let found = unsafe { libc::dlsym(library, name.as_ptr()) };
	        assert!(!found.is_null(), "{name:?}");
	        found
	    };
	    let (open, count, close): (Open, Count, Close) = unsafe {
	        (transmute(symbol(c"ct_handle_open")), transmute(symbol(c"ct_count")), transmute(symbol(c"ct_handle_close")))
	    };

	    let mut this = ctrack::Conntrack::open().unwrap();
	    let mut other = other::Conntrack::open().unwrap();
	    let mut handle = std::ptr::null_mut();
	    assert_eq!(open(&mut handle, std::ptr::null()), 0);

	    for expected in 0..3 {
	        let mut counted = u64::MAX;
	        assert_eq!(count(handle, &mut counted), 0);
	        assert_eq!((counted, this.count().unwrap(), other.count().unwrap()), (expected, expected, expected));
	        assert_eq!((this.list(&[]).unwrap().len() as u64, other.list(&[]).unwrap().len() as u64), (expected, expected));
	        let (from, to) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
	        // Both make entries that the others see.
	        if expected % 2 == 0 {
	            let mut entry = ctrack::Entry::key(ctrack::Proto::UDP, from, 1000 + expected as u16, to, 53).unwrap();
	            (entry.has, entry.timeout) = (entry.has | ctrack::Has::TIMEOUT, 600);
	            assert_eq!(this.create_entries(&[entry]).unwrap().results, [Ok(())]);
	        } else {
	            let mut entry = other::Entry::key(other::Proto::UDP, from, 1000 + expected as u16, to, 53).unwrap();
	            (entry.has, entry.timeout) = (entry.has | other::Has::TIMEOUT, 600);
	            assert_eq!(other.create_entries(&[entry]).unwrap().results, [Ok(())]);
	        }
	    }
	    close(handle);
	    println!("three of one mind");
	}
SOURCE
if builds 'two versions of ctrack in one program' both; then
	nm "$CARGO_TARGET_DIR/debug/both" | sed -n 's/.* [TtDdBbRr] //p' | grep '^ct_' >"$work/found" || :
	empty 'such a program has no function of the C library' "$work/found"
	if isolated true 2>"$work/no-namespace"; then
		succeeds 'two versions of ctrack and libctrack.so agree about one table, in one process' \
			isolated "$CARGO_TARGET_DIR/debug/both" "$checkout/build/libctrack.so" || :
	elif [ "${CTRACK_REQUIRE_NETNS:-}" ]; then
		failed 'a network namespace' "$work/no-namespace"
	else
		echo "SKIPPED two versions in one process: no network namespace: $(cat "$work/no-namespace")"
	fi
fi

finish
