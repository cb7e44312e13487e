//! Gives the shared object its soname, says what cargo builds for and, only under the feature `header`, generates the C header
//! into OUT_DIR.
//!
//! Reads nothing outside the package and writes nothing outside OUT_DIR.

/// Its own number, raised when the ABI breaks, whatever the version of the crate.
const SONAME: &str = "libctrack.so.0";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{SONAME}");
    built_for();
    #[cfg(feature = "header")]
    header();
}

/// Cargo repeats it in its JSON messages, also when nothing is built: how scripts/build-library.py knows the target, whichever
/// way it was named.
fn built_for() {
    let names =
        ["TARGET", "CARGO_CFG_TARGET_ARCH", "CARGO_CFG_TARGET_POINTER_WIDTH", "CARGO_CFG_TARGET_ENDIAN", "HOST"];
    let words: Vec<String> = names.iter().map(|name| std::env::var(name).expect("cargo sets it")).collect();
    println!("cargo:rustc-env=CTRACK_BUILT_FOR={}", words.join(" "));
}

/// The chapters of the header: the file of each, and its title.
#[cfg(feature = "header")]
const CHAPTERS: [(&str, &str); 16] = [
    ("version", "Version"),
    ("open", "Handles and errors"),
    ("entry", "Entries"),
    ("filter", "Filters"),
    ("result", "Results"),
    ("read", "Reading: list, get, count, free zone"),
    ("dump", "Reading in constant memory"),
    ("delete", "Deleting"),
    ("change", "Creating and updating"),
    ("flush", "Flushing"),
    ("presets", "Ready-made filters"),
    ("table", "The table at large: fill, settings, statistics"),
    ("expect", "Expectations"),
    ("text", "Entries as text"),
    ("event", "Events"),
    ("watch", "Watching"),
];

/// What a chapter says of a type of another one, and of the codec's.
#[cfg(feature = "header")]
const OTHERS: [(&str, &str); 7] = [
    ("Entry", "struct ct_entry"),
    ("ct_handle", "struct ct_handle"),
    ("ct_tuple", "struct ct_tuple"),
    ("ct_open_opts", "struct ct_open_opts"),
    ("ct_filter", "struct ct_filter"),
    ("ct_result", "struct ct_result"),
    ("ct_event", "struct ct_event"),
];

/// One chapter after the other, each made by cbindgen of its own file, so that constants stand beside what they belong to.
#[cfg(feature = "header")]
fn header() {
    use std::fmt::Write;
    use std::path::Path;
    println!("cargo:rerun-if-changed=src");
    println!("cargo:rerun-if-changed=cbindgen.toml");
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let path = Path::new(&out).join("ctrack.h");
    let config = cbindgen::Config::from_file(Path::new(&root).join("cbindgen.toml")).expect("cbindgen.toml is right");
    let mut text = config.header.clone().expect("cbindgen.toml has the beginning").trim_start().to_owned();
    text.push_str(BEGIN);
    for (file, title) in CHAPTERS {
        let source = Path::new(&root).join("src").join(file).with_extension("rs");
        let defined = std::fs::read_to_string(&source).expect("each chapter has its file");
        let mut config = cbindgen::Config { header: None, ..config.clone() };
        for (name, elsewhere) in OTHERS {
            if !defined.contains(&format!("pub struct {name} ")) {
                config.export.rename.insert(name.into(), elsewhere.into());
            }
        }
        let mut chapter = Vec::new();
        let bindings = cbindgen::Builder::new().with_src(&source).with_config(config).generate();
        bindings.expect("the chapter can be generated").write(&mut chapter);
        let chapter = String::from_utf8(chapter).expect("the sources are UTF-8");
        write!(text, "\n/*\n * ---- {title} ----\n */\n\n{}\n", chapter.trim()).expect("strings take everything");
    }
    text.push_str(END);
    std::fs::write(&path, text).expect("OUT_DIR can be written");
    println!("cargo:rustc-env=CTRACK_GENERATED_HEADER={}", path.display());
}

#[cfg(feature = "header")]
const BEGIN: &str = "
#ifndef CTRACK_H
#define CTRACK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern \"C\" {
#endif
";

#[cfg(feature = "header")]
const END: &str = "
#ifdef __cplusplus
} /* extern \"C\" */
#endif

#endif /* CTRACK_H */
";
