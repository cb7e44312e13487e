//! Shows how a selection would be found on the running kernel: which plan, what the kernel filters by, what it is known to honour.
//!
//! Run it in a network namespace with entries, for example behind `unshare -Urn`. Where there are none, nobody needs to be asked:
//!
//! ```text
//! 0 entries
//! everything: 0 look-ups, 0 dumps by []
//! zone 5: 0 look-ups, 0 dumps by []
//! a dead pod: 0 look-ups, 0 dumps by []
//! a service: 0 look-ups, 0 dumps by []
//! one flow: 1 look-ups, 0 dumps by []
//! Caps { zone: false, status: false, tuple: false, ipv6: false, flush: false }
//! ```

use ctrack::{Conntrack, Family, Filter, Proto};
use std::net::IpAddr;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pod: IpAddr = "10.0.0.7".parse()?;
    let dns: IpAddr = "10.96.0.10".parse()?;
    let client: IpAddr = "10.0.0.9".parse()?;
    let service = Filter {
        family: Some(Family::IPV4),
        proto: Some(Proto::UDP),
        orig_dst: Some(dns.into()),
        orig_dport: Some(53..=53),
        ..Filter::default()
    };
    let questions = [
        ("everything", vec![]),
        ("zone 5", vec![Filter { zone: Some(5), ..Filter::default() }]),
        (
            "a dead pod",
            vec![
                Filter { orig_src: Some(pod.into()), ..Filter::default() },
                Filter { reply_src: Some(pod.into()), ..Filter::default() },
            ],
        ),
        ("a service", vec![service.clone()]),
        (
            "one flow",
            vec![Filter { zone: Some(0), orig_src: Some(client.into()), orig_sport: Some(4000..=4000), ..service }],
        ),
    ];
    let mut conntrack = Conntrack::open()?;
    println!("{} entries", conntrack.count()?);
    for (question, filters) in questions {
        let plan = conntrack.explain(&filters)?;
        println!("{question}: {} look-ups, {} dumps by {:?}", plan.look_ups, plan.dumps, plan.kernel_filters);
    }
    println!("{:?}", conntrack.explain(&[Filter { zone: Some(5), ..Filter::default() }])?.caps);
    Ok(())
}
