//! How many entries there are and may be: one small request, whatever the size of the table.

use crate::error::{Error, LATER};
use crate::socket::batch::{Replies, Requests};
use crate::socket::link::{About, Link};
use ctnetlink::consts::{message_type, IPCTNL_MSG_CT_GET_STATS};
use ctnetlink::detail::KernelDetail;
use ctnetlink::stats::{decode_fill, put_count_request};
use ctnetlink::WireError;

/// The kernel's count for the network namespace. It includes entries that are expired but not yet reaped.
pub(crate) fn count(link: &mut Link) -> Result<u64, Error> {
    fill(link).map(|(count, _)| count)
}

/// The same, and the most that there may be, if the kernel says so.
pub(crate) fn fill(link: &mut Link) -> Result<(u64, Option<u32>), Error> {
    let mut requests = Requests::for_data();
    requests.push(put_count_request)?;
    let mut reply = Reply::default();
    requests.exchange(link, 0, 1, &mut reply)?;
    if let Some((errno, detail)) = reply.refused {
        return Err(link.refused(About::Caller, errno, detail));
    }
    reply
        .fill
        .ok_or(Error::Malformed { op: LATER, fault: WireError::Missing { attribute: "CTA_STATS_GLOBAL_ENTRIES" } })
}

/// The count, if the kernel can count: one that cannot is no reason to fail.
pub(crate) fn count_if_possible(link: &mut Link) -> Result<Option<u64>, Error> {
    match count(link) {
        Ok(count) => Ok(Some(count)),
        Err(Error::Kernel { .. } | Error::Malformed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[derive(Default)]
struct Reply {
    fill: Option<(u64, Option<u32>)>,
    refused: Option<(i32, KernelDetail)>,
}

impl Replies for Reply {
    fn failed(&mut self, _: usize, errno: i32, detail: KernelDetail) {
        self.refused = Some((errno, detail));
    }

    fn data(&mut self, _: usize, kind: u16, payload: &[u8]) -> Result<(), WireError> {
        if kind == message_type(IPCTNL_MSG_CT_GET_STATS) {
            self.fill = Some(decode_fill(payload)?);
        }
        Ok(())
    }
}
