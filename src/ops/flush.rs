//! Flushes: everything, or a scope.

use super::delete::delete;
use super::Outcome;
use crate::error::{Error, KernelDetail};
use crate::filter::{check_scope, Filter};
use crate::transport::batch::{Replies, Requests};
use crate::transport::link::Link;
use crate::wire::encode::{put_flush_all, FlushEverything};

const OP: &str = "flush";

/// Deletes every entry of the network namespace in one message.
pub(crate) fn flush_all(link: &mut Link) -> Result<(), Error> {
    let mut requests = Requests::new(OP);
    requests.push(|buffer, seq| put_flush_all(buffer, seq, FlushEverything))?;
    let mut reply = Refusal(None);
    requests.exchange(link, 0, 1, &mut reply)?;
    match reply.0 {
        Some((errno, detail)) => Err(link.refused(OP, errno, detail)),
        None => Ok(()),
    }
}

/// Deletes the entries of a family, zone, mark or status: a dump, the decision on each entry, deletes.
///
/// A filtered flush in one message would be a full flush on kernels that do not know the filter.
pub(crate) fn flush_scope(link: &mut Link, scope: &Filter, outcome: &mut Outcome) -> Result<(), Error> {
    let selection = check_scope(scope)?;
    delete(link, OP, &selection, outcome)
}

struct Refusal(Option<(i32, KernelDetail)>);

impl Replies for Refusal {
    fn failed(&mut self, _: usize, errno: i32, detail: KernelDetail) {
        self.0 = Some((errno, detail));
    }
}
