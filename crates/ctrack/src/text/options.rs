//! What a line shows beside what is always there.

use bitflags::bitflags;

bitflags! {
    /// What [`line`](super::line()) and [`event_line`](crate::event_line()) add.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Format: u32 {
        /// The family in front, as with `-o extended`.
        const EXTENDED = 1 << 8;
        /// The id at the end, as with `-o id`.
        const ID = 1 << 9;
        /// The start (and stop) time, in the local time zone, if the kernel keeps it; as with `-o ktimestamp`.
        const TIMESTAMP = 1 << 10;
        /// Of an event: when it happened, as the kernel says, or else when it was read; in front, in seconds and microseconds since
        /// 1970, as with `-o timestamp`. An entry by itself has no such time.
        const EVENT_TIME = 1 << 11;
    }
}
