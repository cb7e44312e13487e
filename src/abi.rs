//! All that C sees but functions.

pub use super::delete::{CT_DELETE_DRY_RUN, CT_DELETE_UNCOUNTED};
pub use super::entry::*;
pub use super::event::{
    ct_event, CT_EVENT_DESTROY, CT_EVENT_ENTERED, CT_EVENT_FOUND, CT_EVENT_INITIAL, CT_EVENT_LEFT, CT_EVENT_LOST,
    CT_EVENT_NEW, CT_EVENT_SYNCED, CT_EVENT_UPDATE, CT_FORMAT_EVENT_TIME,
};
pub use super::filter::*;
pub use super::flush::CT_FLUSH_ALL;
pub use super::open::{ct_handle, ct_open_opts, CT_OPEN_COMPARE_START, CT_OPEN_NETNS};
pub use super::presets::{CT_RULE_EGRESS, CT_RULE_INGRESS};
pub use super::result::{ct_result, CT_RESULT_START_UNKNOWN, CT_RESULT_UNCOUNTED};
pub use super::text::{CT_FORMAT_EXTENDED, CT_FORMAT_ID, CT_FORMAT_JSON, CT_FORMAT_LINE, CT_FORMAT_TIMESTAMP};
pub use super::version::{CT_VERSION_MAJOR, CT_VERSION_MINOR, CT_VERSION_NUMBER, CT_VERSION_PATCH};
pub use super::watch::{
    ct_watch, ct_watch_info, ct_watch_opts, CT_WATCH_ALL_NSID, CT_WATCH_AUDIT_ALL, CT_WATCH_DESTROY, CT_WATCH_ENABLE,
    CT_WATCH_IS_SYNCED, CT_WATCH_MAY_BE_SILENT, CT_WATCH_NETNS, CT_WATCH_NEW, CT_WATCH_RELIABLE, CT_WATCH_SYNC,
    CT_WATCH_UPDATE,
};

#[cfg(test)]
pub(crate) use super::open::OPEN_OPTS_SIZE_V0;
#[cfg(test)]
pub(crate) use super::result::RESULT_SIZE_V0;
