//! Bounds-checked walk over netlink attributes, and their writer. The only place that does arithmetic on lengths.
//!
//! ```text
//!  0      2      4              len        align(len, 4)
//!  +------+------+---------------+----------+
//!  | len  | type | value         | padding  |  next ...
//!  +------+------+---------------+----------+
//! ```

use super::buffer::Buffer;
use super::consts::*;
use super::WireError;

/// One attribute: its type without the flag bits, and its value.
///
/// ```
/// use ctnetlink::attr::Attr;
/// let attr = |value| Attr { kind: 1, value };
/// assert_eq!(attr(&[7]).u8("CTA_PROTO_NUM")?, 7);
/// assert_eq!(attr(&[0, 53]).be16("CTA_PROTO_DST_PORT")?, 53);
/// assert_eq!(attr(&[0, 0, 0, 7]).be32("CTA_MARK")?, 7);
/// assert_eq!(attr(&[0, 0, 0, 0, 0, 0, 0, 7]).be64("CTA_COUNTERS_BYTES")?, 7);
/// assert_eq!(attr(&[10, 0, 0, 7]).array("CTA_IP_V4_SRC")?, [10, 0, 0, 7]);
/// assert_eq!(attr(&[0; 3]).be32("CTA_MARK").unwrap_err().to_string(), "CTA_MARK has 3 bytes");
/// // Two attributes without a value inside of another one.
/// assert_eq!(attr(&[4, 0, 1, 0, 4, 0, 2, 0]).nested("CTA_HELP").count(), 2);
/// # Ok::<(), ctnetlink::WireError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Attr<'a> {
    /// The type, without NLA_F_NESTED and NLA_F_NET_BYTEORDER.
    pub kind: u16,
    /// What follows its header, without padding.
    pub value: &'a [u8],
}

/// Iterates over the attributes in a stretch of bytes. Stops for good after an error.
///
/// ```
/// use ctnetlink::attr::{put, put_word, Attrs};
/// use ctnetlink::{buffer::Buffer, consts::*};
/// let mut buffer = Buffer::new();
/// put_word(&mut buffer, CTA_MARK, 7);
/// put(&mut buffer, CTA_ZONE, &5u16.to_be_bytes());
/// let mut seen = (0, 0);
/// for attr in Attrs::new(&buffer, "the entry") {
///     let attr = attr?;
///     match attr.kind {
///         CTA_MARK => seen.0 = attr.be32("CTA_MARK")?,
///         CTA_ZONE => seen.1 = attr.be16("CTA_ZONE")?,
///         _ => {}
///     }
/// }
/// assert_eq!(seen, (7, 5));
/// # Ok::<(), ctnetlink::WireError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Attrs<'a> {
    rest: &'a [u8],
    /// What the attributes are part of, for the error.
    place: &'static str,
}

impl<'a> Attrs<'a> {
    /// Those in `bytes`. `place` names what they are part of, for errors.
    pub fn new(bytes: &'a [u8], place: &'static str) -> Self {
        Attrs { rest: bytes, place }
    }
}

impl<'a> Iterator for Attrs<'a> {
    type Item = Result<Attr<'a>, WireError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let Some((header, _)) = self.rest.split_first_chunk::<4>() else {
            if self.rest.is_empty() {
                return None;
            }
            self.rest = &[];
            return Some(Err(WireError::BadAttribute { place: self.place }));
        };
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & NLA_TYPE_MASK;
        let Some(value) = self.rest.get(4..length) else {
            self.rest = &[];
            return Some(Err(WireError::BadAttribute { place: self.place }));
        };
        // The last attribute may come without its padding.
        self.rest = self.rest.get(align(length)..).unwrap_or(&[]);
        Some(Ok(Attr { kind, value }))
    }
}

impl<'a> Attr<'a> {
    /// The attributes inside this one.
    #[inline(always)]
    pub fn nested(&self, place: &'static str) -> Attrs<'a> {
        Attrs::new(self.value, place)
    }

    /// The value as an array. Of another length: [`WireError::BadLength`] with `name`.
    #[inline(always)]
    pub fn array<const N: usize>(&self, name: &'static str) -> Result<[u8; N], WireError> {
        self.value.try_into().map_err(|_| WireError::BadLength { attribute: name, length: self.value.len() })
    }

    /// The value as one byte.
    #[inline(always)]
    pub fn u8(&self, name: &'static str) -> Result<u8, WireError> {
        self.array(name).map(|[byte]| byte)
    }

    /// The value as 16 bits in network byte order.
    #[inline(always)]
    pub fn be16(&self, name: &'static str) -> Result<u16, WireError> {
        self.array(name).map(u16::from_be_bytes)
    }

    /// The value as 32 bits in network byte order.
    #[inline(always)]
    pub fn be32(&self, name: &'static str) -> Result<u32, WireError> {
        self.array(name).map(u32::from_be_bytes)
    }

    /// The value as 64 bits in network byte order.
    #[inline(always)]
    pub fn be64(&self, name: &'static str) -> Result<u64, WireError> {
        self.array(name).map(u64::from_be_bytes)
    }
}

/// Rounds up to the 4 bytes to which messages and attributes are aligned.
///
/// ```
/// assert_eq!([5, 8].map(ctnetlink::attr::align), [8, 8]);
/// ```
pub const fn align(length: usize) -> usize {
    (length + 3) & !3
}

/// The header of an attribute, for a value of `length` bytes. Values are ours and short: at most a few dozen bytes.
#[inline(always)]
fn header(kind: u16, length: usize) -> [u8; 4] {
    let [a, b] = u16::try_from(4 + length).unwrap_or(u16::MAX).to_ne_bytes();
    let [c, d] = kind.to_ne_bytes();
    [a, b, c, d]
}

/// Appends an attribute.
///
/// ```
/// use ctnetlink::{attr::put, buffer::Buffer, consts::CTA_ZONE};
/// let mut buffer = Buffer::new();
/// put(&mut buffer, CTA_ZONE, &5u16.to_be_bytes());
/// assert_eq!(buffer[4..], [0, 5, 0, 0], "with its padding");
/// ```
pub fn put<const N: usize>(buffer: &mut Buffer, kind: u16, value: &[u8; N]) {
    append(buffer, kind, value);
}

/// The same, where a call would cost as much as what it does.
#[inline(always)]
fn append<const N: usize>(buffer: &mut Buffer, kind: u16, value: &[u8; N]) {
    let place = buffer.append(align(4 + N));
    place[..4].copy_from_slice(&header(kind, N));
    place[4..4 + N].copy_from_slice(value);
    place[4 + N..].fill(0);
}

/// Appends an attribute of a length that is not known before.
///
/// ```
/// use ctnetlink::{attr::put_slice, buffer::Buffer, consts::CTA_HELP_NAME};
/// let mut buffer = Buffer::new();
/// put_slice(&mut buffer, CTA_HELP_NAME, b"ftp\0");
/// assert_eq!(buffer[4..], *b"ftp\0");
/// ```
pub fn put_slice(buffer: &mut Buffer, kind: u16, value: &[u8]) {
    let place = buffer.append(align(4 + value.len()));
    place.fill(0);
    place[..4].copy_from_slice(&header(kind, value.len()));
    place[4..4 + value.len()].copy_from_slice(value);
}

/// Appends an attribute of one number in network byte order.
///
/// ```
/// use ctnetlink::{attr::put_word, buffer::Buffer, consts::CTA_MARK};
/// let mut buffer = Buffer::new();
/// put_word(&mut buffer, CTA_MARK, 7);
/// assert_eq!(buffer[4..], [0, 0, 0, 7]);
/// ```
pub fn put_word(buffer: &mut Buffer, kind: u16, value: u32) {
    append(buffer, kind, &value.to_be_bytes());
}

/// Appends an attribute that holds those which `fill` appends.
///
/// ```
/// use ctnetlink::attr::{put_nested, put_slice, Attrs};
/// use ctnetlink::{buffer::Buffer, consts::*};
/// let mut buffer = Buffer::new();
/// put_nested(&mut buffer, CTA_HELP, |buffer| put_slice(buffer, CTA_HELP_NAME, b"ftp\0"));
/// let help = Attrs::new(&buffer, "the request").next().expect("one")?;
/// let name = help.nested("CTA_HELP").next().expect("one")?;
/// assert_eq!((help.kind, name.value), (CTA_HELP, &b"ftp\0"[..]));
/// # Ok::<(), ctnetlink::WireError>(())
/// ```
pub fn put_nested(buffer: &mut Buffer, kind: u16, fill: impl FnOnce(&mut Buffer)) {
    let start = buffer.len();
    put(buffer, kind | NLA_F_NESTED, &[]);
    fill(buffer);
    let length = u16::try_from(buffer.len() - start).unwrap_or(u16::MAX);
    buffer[start..start + 2].copy_from_slice(&length.to_ne_bytes());
}
