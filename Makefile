# libctrack: build, install, try and test. Variables that packagers set: DESTDIR, PREFIX, LIBDIR, INCLUDEDIR, MANDIR, CC, CFLAGS,
# LDFLAGS, CARGO, CARGOFLAGS, PYTHON; for another machine CC and CARGO_BUILD_TARGET (docs/other-ways.md).

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
CC ?= cc
CARGO ?= cargo
CARGOFLAGS ?= --locked
PYTHON ?= python3
# Where the files are made that `make install` installs. Not from the environment, where it might be anything; a build for another
# machine may have a directory of its own: make BUILD=build-aarch64
BUILD = build
INSTALL ?= install
# Empty where a package of debug symbols is made.
STRIP_DEBUG ?= -Wl,--strip-debug

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
SONAME := libctrack.so.0
SHARED := libctrack.so.$(VERSION)
# What a Rust static library needs of the system: rustc --print native-static-libs; scripts/test-install.sh compares. libgcc_s, or
# libgcc_eh for `cc -static`, comes from the compiler driver, so libctrack.pc does not name it.
NATIVE_LIBS := -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc

SYMBOLS := $(shell cat abi/symbols.txt)

SOURCES := $(shell find src crates/*/src -name '*.rs') Cargo.toml $(wildcard crates/*/Cargo.toml) Cargo.lock build.rs

# No path of the machine that builds ends up in the library, nor the name of the registry that the sources of crates came from.
CARGO_DIR := $(or $(CARGO_HOME),$(HOME)/.cargo)
REMAP = --remap-path-prefix=$(CURDIR)=libctrack --remap-path-prefix=$(CARGO_DIR)=cargo \
	$$(for dir in '$(CARGO_DIR)'/registry/src/*/; do printf -- '--remap-path-prefix=%s=crates/ ' "$$dir"; done)

# What the library in $(BUILD) was built for, and what is asked for by name. `make` asks cargo each time, since a target may be named
# in files of cargo's own, and other flags may be in the environment; cargo is quick where nothing is to do.
# `make install` goes by file times, so that `sudo make install` after `make` needs no cargo, whatever root's environment is: it
# installs what was built, unless another target is named.
BUILT_FOR := $(shell cat '$(BUILD)/target' 2>/dev/null)
ASKED_FOR := $(or $(shell printf '%s\n' '$(CARGOFLAGS)' | sed -n 's/.*--target[= ] *\([^ ]*\).*/\1/p'),$(CARGO_BUILD_TARGET))
ifeq ($(MAKECMDGOALS),install)
ASK_CARGO := $(if $(ASKED_FOR),$(if $(filter $(ASKED_FOR),$(firstword $(BUILT_FOR))),,FORCE))
# Built again for changed sources, it is still for the target that `make` built for, if that is not this machine.
ifeq ($(ASKED_FOR),)
ifneq ($(firstword $(BUILT_FOR)),$(lastword $(BUILT_FOR)))
export CARGO_BUILD_TARGET := $(firstword $(BUILT_FOR))
endif
endif
else
ASK_CARGO := FORCE
endif

.PHONY: FORCE all install install-musl uninstall header doc demo check format test test-abi test-crates test-cross test-differential test-fields test-instructions test-kernels test-miri test-other-ways test-watch bench fuzz dist deb rpm test-package clean
# What fails a check is not there for the next `make`.
.DELETE_ON_ERROR:

all: $(BUILD)/$(SHARED) $(BUILD)/libctrack.a $(BUILD)/libctrack.pc $(BUILD)/man/stamp

# As a static library alone: beside an rlib cargo leaves out link-time optimisation, which is worth an eighth of the size.
# build_library DIRECTORY[, OPTIONS]
define build_library
$(CARGO) fetch $(CARGOFLAGS)
RUSTFLAGS="$(RUSTFLAGS) $(REMAP)" $(PYTHON) scripts/build-library.py '$(1)' $(CARGO) rustc --release --lib --crate-type staticlib $(2) $(CARGOFLAGS)
CC='$(CC)' ./scripts/check-built.sh '$(1)/target' archive '$(1)/libctrack.a'
endef

# The same bytes keep their time, so that nothing is linked again, unless a file that they are made of is newer.
$(BUILD)/libctrack.a: $(SOURCES) $(ASK_CARGO)
	$(call build_library,$(BUILD))
	$(if $(filter-out FORCE,$?),@touch $@)

# A version script handed to a Rust cdylib is ignored by one linker and refused by another, so the shared library is linked
# from the static one.
$(BUILD)/$(SHARED): $(BUILD)/libctrack.a abi/libctrack.map abi/libctrack.ld abi/symbols.txt scripts/check-built.sh
	CC='$(CC)' ./scripts/check-built.sh '$(BUILD)/target' compiler $(CC) $(CFLAGS)
	$(CC) -shared $(CFLAGS) -o $@.new $(SYMBOLS:%=-Wl,-u,%) $(BUILD)/libctrack.a \
		-Wl,-soname,$(SONAME) -Wl,--version-script=abi/libctrack.map -Wl,-T,abi/libctrack.ld \
		-Wl,--gc-sections -Wl,-z,defs -Wl,-z,relro -Wl,-z,now $(STRIP_DEBUG) $(LDFLAGS) $(NATIVE_LIBS)
	CC='$(CC)' ./scripts/check-built.sh '$(BUILD)/target' shared $@.new
	mv $@.new $@
	ln -sf $(SHARED) $(BUILD)/$(SONAME)
	ln -sf $(SONAME) $(BUILD)/libctrack.so

# Rewritten each time: it depends on variables, not on files alone.
.PHONY: $(BUILD)/libctrack.pc
$(BUILD)/libctrack.pc: pkgconfig/libctrack.pc.in
	@mkdir -p $(BUILD)
	@sed -e 's|@prefix@|$(PREFIX)|' \
		-e 's|@libdir@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|' \
		-e 's|@includedir@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(INCLUDEDIR))|' \
		-e 's|@version@|$(VERSION)|' -e 's|@libs_private@|$(filter-out -lgcc_s,$(NATIVE_LIBS))|' pkgconfig/libctrack.pc.in > $@

# The manual pages are the comments of the header.
$(BUILD)/man/stamp: include/ctrack.h scripts/man.py
	rm -rf $(BUILD)/man
	$(PYTHON) scripts/man.py include/ctrack.h $(BUILD)/man
	@touch $@

install: all
	$(INSTALL) -d '$(DESTDIR)$(LIBDIR)/pkgconfig' '$(DESTDIR)$(INCLUDEDIR)' '$(DESTDIR)$(MANDIR)/man3'
	$(INSTALL) -m 755 $(BUILD)/$(SHARED) '$(DESTDIR)$(LIBDIR)/$(SHARED)'
	ln -sf $(SHARED) '$(DESTDIR)$(LIBDIR)/$(SONAME)'
	ln -sf $(SONAME) '$(DESTDIR)$(LIBDIR)/libctrack.so'
	$(INSTALL) -m 644 $(BUILD)/libctrack.a '$(DESTDIR)$(LIBDIR)/libctrack.a'
	$(INSTALL) -m 644 include/ctrack.h '$(DESTDIR)$(INCLUDEDIR)/ctrack.h'
	$(INSTALL) -m 644 $(BUILD)/libctrack.pc '$(DESTDIR)$(LIBDIR)/pkgconfig/libctrack.pc'
	$(INSTALL) -m 644 $(BUILD)/man/man3/*.3 '$(DESTDIR)$(MANDIR)/man3/'

# For fully static programs with musl: header, static library and libctrack.pc, and the unwinder that comes with Rust's musl
# target, whose name is taken elsewhere; so all of it goes into a directory of its own.
MUSL_TARGET ?= $(shell uname -m)-unknown-linux-musl
MUSL_PREFIX ?= /usr/local/lib/libctrack-musl
MUSL_SELF_CONTAINED = $$(rustc --print sysroot)/lib/rustlib/$(MUSL_TARGET)/lib/self-contained
MUSL_BUILD = $(BUILD)/$(MUSL_TARGET)

$(MUSL_BUILD)/libctrack.a: $(SOURCES)
	$(call build_library,$(MUSL_BUILD),--target $(MUSL_TARGET))
	@touch $@

install-musl: $(MUSL_BUILD)/libctrack.a
	./scripts/check-built.sh '$(MUSL_BUILD)/target' objects "$(MUSL_SELF_CONTAINED)/libunwind.a"
	$(INSTALL) -d '$(DESTDIR)$(MUSL_PREFIX)/lib/pkgconfig' '$(DESTDIR)$(MUSL_PREFIX)/include'
	$(INSTALL) -m 644 $(MUSL_BUILD)/libctrack.a "$(MUSL_SELF_CONTAINED)/libunwind.a" '$(DESTDIR)$(MUSL_PREFIX)/lib/'
	$(INSTALL) -m 644 include/ctrack.h '$(DESTDIR)$(MUSL_PREFIX)/include/ctrack.h'
	sed -e 's|@prefix@|$(MUSL_PREFIX)|' -e 's|@libdir@|$${prefix}/lib|' -e 's|@includedir@|$${prefix}/include|' \
		-e 's|@version@|$(VERSION)|' -e 's|@libs_private@|-lunwind|' pkgconfig/libctrack.pc.in \
		> '$(DESTDIR)$(MUSL_PREFIX)/lib/pkgconfig/libctrack.pc'

# Without a build there is no list of the pages, so they are named after what the header declares.
MAN_PAGES = libctrack $(shell sed -n -e 's/^struct \(ct_[a-z_]*\).*/\1/p' include/ctrack.h) $(SYMBOLS)

uninstall:
	rm -f '$(DESTDIR)$(LIBDIR)/$(SHARED)' '$(DESTDIR)$(LIBDIR)/$(SONAME)' '$(DESTDIR)$(LIBDIR)/libctrack.so' \
		'$(DESTDIR)$(LIBDIR)/libctrack.a' '$(DESTDIR)$(INCLUDEDIR)/ctrack.h' \
		'$(DESTDIR)$(LIBDIR)/pkgconfig/libctrack.pc' $(MAN_PAGES:%='$(DESTDIR)$(MANDIR)/man3/%.3')

# Only with the cbindgen that Cargo.toml pins; a test compares the committed header with what this writes.
header:
	$(CARGO) run --quiet --features header --example print-header $(CARGOFLAGS) > include/ctrack.h.new
	mv include/ctrack.h.new include/ctrack.h

# The manuals as HTML, in build/doc.
doc:
	./scripts/doc.sh

demo:
	./scripts/demo.sh

# For before each commit: format, lints and the tests that need no network namespace, in less than two minutes.
check:
	./scripts/check.sh

# Lays out all Rust, C and Go, and the Python package.
format:
	./scripts/setup.sh check
	./scripts/format.sh

# Everything.
test:
	./scripts/test.sh

# Programs of each release with the library as it is, and with a mock of the next release.
test-abi:
	./scripts/test-abi.sh

# A mock field of each kind, at all of its places and without each one. Python's tests want what scripts/test-bindings.sh makes.
test-fields:
	./scripts/test-fields.sh --all --bindings

# The library for other machines, 64 and 32 bits, little and big endian: in qemu, and 32 bits on this kernel.
test-cross:
	./scripts/test-cross.sh

# Random filter sets over random tables, judged by the kernel's events.
test-differential:
	./scripts/test-differential.sh

# Instructions that an entry takes, compared with benches/instructions.txt.
test-instructions:
	./scripts/test-instructions.sh

# Debian's kernels from 5.10 to the newest, in qemu.
test-kernels:
	./scripts/test-kernels.sh

# 200 watches of a kernel on which entries come and go, each compared with the table in the end.
test-watch:
	./scripts/test-watch.sh --all 200

# The crates as others get them, and their public API beside its record (./scripts/test-api.sh --record).
test-crates:
	./scripts/test-crates.sh
	./scripts/test-api.sh

# pkg-config by hand, CMake, Meson, the manual pages; ./scripts/test-other-ways.sh --cargo-c: cargo-c too.
test-other-ways:
	./scripts/test-other-ways.sh

# Unit tests and codec in an interpreter that sees undefined behaviour.
test-miri:
	./scripts/test-miri.sh

bench:
	./benches/run.sh

fuzz:
	./scripts/fuzz.sh

# The source archive, with the crates: build/libctrack-VERSION.tar.xz.
dist:
	./scripts/dist.sh

# Debian packages out of it, in build/deb.
deb:
	./scripts/deb.sh

# RPM packages out of it, in build/rpm.
rpm: dist
	rpmbuild -ta $(RPMFLAGS) --define "_topdir $$PWD/build/rpm" build/libctrack-$(VERSION).tar.xz

# The archive and the packages: built without network, twice the same, looked at, installed, used and removed.
test-package:
	./scripts/test-package.sh

clean:
	$(CARGO) clean
	rm -rf build
	rm -rf '$(BUILD)/man' $(addprefix '$(BUILD)'/,target libctrack.a libctrack.so libctrack.pc $(SONAME) $(SHARED))
