//! The line of `conntrack -L expect` for an expectation.

use super::names::write_address;
use super::out::Out;
use super::owned;
use ctnetlink::expect::{ExpectFlags, ExpectHas, Expectation};
use ctnetlink::types::*;

/// Three tuples of IPv6, a name, and numbers.
const MOST: usize = 1024;

/// An expectation as `conntrack -L expect` prints it.
///
/// ```
/// use ctrack::{expectation_line, ExpectHas, Expectation, Family, Proto, Tuple};
/// let mut ftp = Expectation { family: Family::IPV4, proto: Proto::TCP, timeout: 300, ..Expectation::EMPTY };
/// ftp.has = ExpectHas::TUPLE | ExpectHas::PORTS | ExpectHas::TIMEOUT;
/// ftp.tuple = Tuple { dport: 8000, ..Tuple::EMPTY };
/// assert_eq!(expectation_line(&ftp), "300 proto=6 src=0.0.0.0 dst=0.0.0.0 sport=0 dport=8000 ");
/// ```
pub fn expectation_line(expectation: &Expectation) -> String {
    with_expectation_line(expectation, owned)
}

/// Calls `then` with the line. Every line fits: `None` never happens.
pub fn with_expectation_line<T>(e: &Expectation, then: impl FnOnce(Option<&[u8]>) -> T) -> T {
    let mut buffer = [0; MOST];
    let mut out = Out::new(&mut buffer);
    if e.has(ExpectHas::TIMEOUT) {
        out.number(e.timeout);
        out.byte(b' ');
    }
    out.field("proto=", e.proto.0);
    out.byte(b' ');
    let (own, masters) = (e.has(ExpectHas::PORTS), e.has(ExpectHas::MASTER_PORTS));
    for (bit, prefix, tuple, ports) in [
        (ExpectHas::TUPLE, "", &e.tuple, own),
        (ExpectHas::MASK, "mask-", &e.mask, own),
        (ExpectHas::MASTER, "master-", &e.master, masters),
    ] {
        if e.has(bit) {
            put_tuple(&mut out, prefix, e.family, tuple, ports);
        }
    }
    put_flags(&mut out, e.flags);
    if e.has(ExpectHas::CLASS) {
        out.field("class=", e.class);
        out.byte(b' ');
    }
    if let Some(helper) = e.helper() {
        out.put("helper=");
        helper.iter().for_each(|&byte| out.byte(byte));
    }
    then(out.finish())
}

fn put_tuple(out: &mut Out<'_>, prefix: &str, family: Family, tuple: &Tuple, ports: bool) {
    for (name, address) in [("src=", &tuple.src), ("dst=", &tuple.dst)] {
        out.put(prefix);
        out.put(name);
        write_address(out, family, address);
        out.byte(b' ');
    }
    if ports {
        out.field("sport=", tuple.sport);
        out.field(" dport=", tuple.dport);
        out.byte(b' ');
    }
}

fn put_flags(out: &mut Out<'_>, flags: ExpectFlags) {
    let named = [
        (ExpectFlags::PERMANENT, "PERMANENT"),
        (ExpectFlags::INACTIVE, "INACTIVE"),
        (ExpectFlags::USERSPACE, "USERSPACE"),
    ];
    let mut first = true;
    for (_, name) in named.iter().filter(|(flag, _)| flags.contains(*flag)) {
        if !std::mem::take(&mut first) {
            out.byte(b',');
        }
        out.put(name);
    }
    if !first {
        out.byte(b' ');
    }
}
