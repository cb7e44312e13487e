//! What the kernel says about a request that it refuses, besides the errno.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// What the kernel adds to an errno (extended ack, linux/netlink.h: NLMSGERR_ATTR_MSG and _OFFS).
#[derive(Debug, PartialEq, Eq, Default)]
pub struct KernelDetail {
    /// The kernel's own words.
    pub message: Option<Box<str>>,
    /// Where in the request the attribute at fault begins, counted from its netlink header.
    pub offset: Option<u32>,
    /// The name of that attribute.
    pub attribute: Option<&'static str>,
}

/// By hand, since the derived one aborts the process where memory is short: then it is the text that is missing.
impl Clone for KernelDetail {
    fn clone(&self) -> KernelDetail {
        let message = self.message.as_deref().and_then(|message| boxed_text(message.as_bytes()));
        KernelDetail { message, ..*self }
    }
}

impl fmt::Display for KernelDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(message) = &self.message {
            write!(f, ": kernel: {message}")?;
        }
        match (self.attribute, self.offset) {
            (Some(name), Some(offset)) => write!(f, " (attribute {name}, offset {offset})"),
            (None, Some(offset)) => write!(f, " (offset {offset})"),
            (Some(name), None) => write!(f, " (attribute {name})"),
            (None, None) => Ok(()),
        }
    }
}

/// Bytes that are UTF-8 or should be, for an error; each stretch that is not becomes U+FFFD. `None`: no memory.
pub(crate) fn boxed_text(bytes: &[u8]) -> Option<Box<str>> {
    let parts = || {
        bytes.utf8_chunks().flat_map(|chunk| [chunk.valid(), if chunk.invalid().is_empty() { "" } else { "\u{fffd}" }])
    };
    let mut text = String::new();
    text.try_reserve_exact(parts().map(str::len).sum()).ok()?;
    parts().for_each(|part| text.push_str(part));
    // Of exactly this capacity, so that nothing is allocated again.
    Some(text.into_boxed_str())
}
