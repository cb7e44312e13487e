//! Prints the C header as cbindgen generates it from the sources: `make header` writes it to include/ctrack.h.

fn main() {
    print!("{}", include_str!(env!("CTRACK_GENERATED_HEADER")));
}
