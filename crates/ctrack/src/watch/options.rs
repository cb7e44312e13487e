//! How to watch.

use ctnetlink::event::EventKind;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// The name of the operation in errors.
pub(super) const WATCH: &str = "watch";

/// How to watch.
///
/// ```no_run
/// use ctrack::{EventKind, Filter, Watch, WatchOptions};
/// use std::time::Duration;
/// // The table of another network namespace, kept up to date.
/// let table = WatchOptions::new()
///     .with_sync()
///     .with_netns(std::fs::File::open("/run/netns/pod")?)
///     .with_enable()
///     .with_timeout(Duration::from_secs(2))
///     .with_audit(Duration::from_secs(10))
///     .with_max_entries(1_000_000);
/// let mut watch = Watch::open(table, &[Filter::new().with_zone(7)])?;
/// // What ends, in all network namespaces that have a number here; none of it is lost.
/// let ends = WatchOptions::new()
///     .with_kinds([EventKind::Destroy])
///     .with_reliable()
///     .with_everywhere()
///     .with_receive_buffer(64 << 20);
/// // Marks that eBPF sets come without an event.
/// let marks = WatchOptions::new().with_sync().with_audit_of_all(Duration::from_secs(5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct WatchOptions {
    /// List + watch: first the entries that are there ([`EventFlags::INITIAL`](crate::EventFlags::INITIAL)), then
    /// [`Change::Synced`](crate::Change::Synced), then what changes. Losses are repaired.
    pub sync: bool,
    /// Of which changes to hear. Empty: of all.
    pub kinds: Vec<EventKind>,
    /// The network namespace. `None`: that of the calling thread. The watch keeps it alive.
    pub netns: Option<OwnedFd>,
    /// The longest silence of the kernel while listing. `None`: 10 seconds.
    pub timeout: Option<Duration>,
    /// Receive buffer for events in bytes, 1,280 for each that waits. `None`: 32 MiB. What is granted says
    /// [`WatchInfo::receive_buffer`](crate::WatchInfo::receive_buffer).
    pub receive_buffer: Option<u32>,
    /// With `sync`: how often to look for entries of which the kernel is silent, if there may be any
    /// ([`WatchInfo::may_be_silent`](crate::WatchInfo::may_be_silent)); at first every 30 seconds. `None`: never.
    pub audit: Option<Duration>,
    /// With `sync`: each audit lists everything, whether the kernel may be silent or not: for what changes without an event.
    pub audit_all: bool,
    /// With `sync`: how many entries may be known, at about 90 bytes each; more are [`Error::Full`](crate::Error::Full). `None`: any
    /// number.
    pub max_entries: Option<usize>,
    /// Sets the sysctl net.netfilter.nf_conntrack_events of the network namespace to 1 if it is not. It stays so. Entries that were made
    /// before stay silent.
    pub enable: bool,
    /// Without `sync`: the kernel keeps what is destroyed until its event found room, so that no DESTROY is lost. Meanwhile such entries
    /// count against nf_conntrack_max, and others who watch hear of their end repeatedly. [`Change::Lost`](crate::Change::Lost)
    /// counts each try that found no room.
    pub reliable: bool,
    /// Without `sync`: hears of all network namespaces that have a number in this one ([`Event::nsid`](crate::Event::nsid)). Needs
    /// CAP_NET_BROADCAST.
    pub everywhere: bool,
}

impl Default for WatchOptions {
    fn default() -> WatchOptions {
        WatchOptions {
            sync: false,
            kinds: Vec::new(),
            netns: None,
            timeout: None,
            receive_buffer: None,
            audit: Some(Duration::from_secs(30)),
            audit_all: false,
            max_entries: None,
            enable: false,
            reliable: false,
            everywhere: false,
        }
    }
}

impl WatchOptions {
    /// Events alone, of all kinds.
    pub fn new() -> WatchOptions {
        WatchOptions::default()
    }

    /// A list first, which what changes is added to.
    #[must_use]
    pub fn with_sync(self) -> WatchOptions {
        WatchOptions { sync: true, ..self }
    }

    /// Hears of these changes alone.
    #[must_use]
    pub fn with_kinds(self, kinds: impl Into<Vec<EventKind>>) -> WatchOptions {
        WatchOptions { kinds: kinds.into(), ..self }
    }

    /// Watches this network namespace.
    #[must_use]
    pub fn with_netns(self, netns: impl Into<OwnedFd>) -> WatchOptions {
        WatchOptions { netns: Some(netns.into()), ..self }
    }

    /// Gives up a list after so long a silence of the kernel.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> WatchOptions {
        WatchOptions { timeout: Some(timeout), ..self }
    }

    /// Asks for a receive buffer of so many bytes.
    #[must_use]
    pub fn with_receive_buffer(self, bytes: u32) -> WatchOptions {
        WatchOptions { receive_buffer: Some(bytes), ..self }
    }

    /// Looks so often for entries of which the kernel is silent. `None`: never.
    #[must_use]
    pub fn with_audit(self, every: impl Into<Option<Duration>>) -> WatchOptions {
        WatchOptions { audit: every.into(), ..self }
    }

    /// Lists everything so often.
    #[must_use]
    pub fn with_audit_of_all(self, every: Duration) -> WatchOptions {
        WatchOptions { audit: Some(every), audit_all: true, ..self }
    }

    /// Knows so many entries at most.
    #[must_use]
    pub fn with_max_entries(self, most: usize) -> WatchOptions {
        WatchOptions { max_entries: Some(most), ..self }
    }

    /// Sees to it that new entries report what becomes of them.
    #[must_use]
    pub fn with_enable(self) -> WatchOptions {
        WatchOptions { enable: true, ..self }
    }

    /// Loses no DESTROY.
    #[must_use]
    pub fn with_reliable(self) -> WatchOptions {
        WatchOptions { reliable: true, ..self }
    }

    /// Hears of all network namespaces that have a number in this one.
    #[must_use]
    pub fn with_everywhere(self) -> WatchOptions {
        WatchOptions { everywhere: true, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "opens a file")]
    fn each_with_method_of_the_options_of_a_watch_sets_its_own_option_alone() {
        let secs = Duration::from_secs;
        let options = WatchOptions::new().with_netns(std::fs::File::open("/dev/null").unwrap());
        assert!(options.netns.is_some() && options.timeout.is_none() && options.receive_buffer.is_none());
        let said = |options: WatchOptions| format!("{options:?}");
        let default = WatchOptions::new();
        assert_eq!(said(WatchOptions::new().with_sync()), said(WatchOptions { sync: true, ..WatchOptions::new() }));
        let kinds = || vec![EventKind::New, EventKind::Destroy];
        let by_name = [
            (WatchOptions::new().with_kinds(kinds()), WatchOptions { kinds: kinds(), ..WatchOptions::new() }),
            (WatchOptions::new().with_timeout(secs(7)), WatchOptions { timeout: Some(secs(7)), ..WatchOptions::new() }),
            (
                WatchOptions::new().with_receive_buffer(4096),
                WatchOptions { receive_buffer: Some(4096), ..WatchOptions::new() },
            ),
            (WatchOptions::new().with_audit(None), WatchOptions { audit: None, ..WatchOptions::new() }),
            (WatchOptions::new().with_audit(secs(9)), WatchOptions { audit: Some(secs(9)), ..WatchOptions::new() }),
            (
                WatchOptions::new().with_audit_of_all(secs(9)),
                WatchOptions { audit: Some(secs(9)), audit_all: true, ..WatchOptions::new() },
            ),
            (WatchOptions::new().with_max_entries(5), WatchOptions { max_entries: Some(5), ..WatchOptions::new() }),
            (WatchOptions::new().with_enable(), WatchOptions { enable: true, ..WatchOptions::new() }),
            (WatchOptions::new().with_reliable(), WatchOptions { reliable: true, ..WatchOptions::new() }),
            (WatchOptions::new().with_everywhere(), WatchOptions { everywhere: true, ..WatchOptions::new() }),
        ];
        for (made, wanted) in by_name {
            let (made, wanted) = (said(made), said(wanted));
            assert_ne!(wanted, said(WatchOptions::new()));
            assert_eq!(made, wanted);
        }
        assert_eq!(default.audit, Some(secs(30)));
    }
}
