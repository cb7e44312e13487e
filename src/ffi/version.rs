//! The version of the library that is running.

use super::abi::*;
use std::ffi::c_char;

/// The version of the library that is running, as CT_VERSION_NUMBER is that of the header.
///
/// @return major << 16 | minor << 8 | patch
/// Since 0.1.
#[no_mangle]
pub extern "C" fn ct_version_number() -> u32 {
    CT_VERSION_NUMBER
}

/// The version of the library that is running, for example "0.1.0".
///
/// @return static text, never NULL
/// Since 0.1.
#[no_mangle]
pub extern "C" fn ct_version_string() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
