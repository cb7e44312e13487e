//! The version of the library that is running.

use std::ffi::c_char;

/// Major version of the library this header belongs to.
pub const CT_VERSION_MAJOR: u32 = 0;
/// Minor version.
pub const CT_VERSION_MINOR: u32 = 2;
/// Patch version.
pub const CT_VERSION_PATCH: u32 = 0;
/// The version as one number that grows: major * 65536 + minor * 256 + patch.
pub const CT_VERSION_NUMBER: u32 = 0x000200;

const _: () = assert!(CT_VERSION_NUMBER == CT_VERSION_MAJOR << 16 | CT_VERSION_MINOR << 8 | CT_VERSION_PATCH);

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
