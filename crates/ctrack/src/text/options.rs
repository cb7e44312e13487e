//! What texts there are of an entry.

/// The line that `conntrack -L` prints, without a line end. Add CT_FORMAT_EXTENDED, CT_FORMAT_ID and CT_FORMAT_TIMESTAMP
/// for what its options -o extended, id and ktimestamp add. Of a key it shows the tuples that the key has; one of the reply
/// direction alone has "(reply)" in front.
pub const CT_FORMAT_LINE: u32 = 1u32 << 0;
/// One JSON object with every field that the kernel sent and struct ct_entry holds, without a line end. "zone" is always there,
/// 0 too, and is that of one direction where only that one has a zone. What the entry does not announce is not there, for example the
/// reply tuple of a key by the original one.
pub const CT_FORMAT_JSON: u32 = 1u32 << 1;
/// With CT_FORMAT_LINE: the family in front.
pub const CT_FORMAT_EXTENDED: u32 = 1u32 << 8;
/// With CT_FORMAT_LINE: the id at the end.
pub const CT_FORMAT_ID: u32 = 1u32 << 9;
/// With CT_FORMAT_LINE: the start (and stop) time, in the local time zone, if the kernel keeps it.
pub const CT_FORMAT_TIMESTAMP: u32 = 1u32 << 10;
