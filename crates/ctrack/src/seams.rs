//! What the C library, tests and fuzz targets take of this crate beside its interface. No part of that: it changes without notice.
//!
//! The other seams are hidden methods: [`Conntrack::over`](crate::Conntrack::over) for a transport of one's own, and those that a C function
//! is made of.

pub use crate::error::{errno_c_text, text};
pub use crate::ops::check;
pub use crate::selection::plan::{Load, Plan};
pub use crate::socket::known::Known;
pub use crate::socket::netlink::NetlinkSocket;
pub use crate::socket::{Received, Transport};
pub use crate::sys::try_box;
pub use crate::text::{with_event_json, with_event_line, with_expectation_line, with_json, with_line, with_stats_line, EventParts, EventWhat};

use crate::selection::plan::{exact_flush, Caps};
use crate::selection::Selection;
use ctnetlink::kernel_filter::KernelFilter;

/// The one message by which a kernel with these capabilities would delete exactly what is selected. `None`: there is none.
pub fn only_flush(selection: &Selection, caps: Caps) -> Option<KernelFilter> {
    match selection.include() {
        [one] if !selection.excludes() && selection.refuse_everything().is_ok() => exact_flush(one, caps),
        _ => None,
    }
}
