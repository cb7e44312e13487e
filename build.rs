//! Gives the shared object its soname and, only under the feature `header`, generates the C header into OUT_DIR.
//!
//! Reads nothing outside the package and writes nothing outside OUT_DIR.

/// Its own number, raised when the ABI breaks, whatever the version of the crate.
const SONAME: &str = "libctrack.so.0";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{SONAME}");
    #[cfg(feature = "header")]
    header();
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
