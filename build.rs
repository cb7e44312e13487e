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

#[cfg(feature = "header")]
fn header() {
    use std::path::Path;
    println!("cargo:rerun-if-changed=src");
    println!("cargo:rerun-if-changed=cbindgen.toml");
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let path = Path::new(&out).join("ctrack.h");
    let config = cbindgen::Config::from_file(Path::new(&root).join("cbindgen.toml")).expect("cbindgen.toml is right");
    cbindgen::Builder::new()
        .with_crate(&root)
        .with_config(config)
        .generate()
        .expect("the header can be generated")
        .write_to_file(&path);
    println!("cargo:rustc-env=CTRACK_GENERATED_HEADER={}", path.display());
}
