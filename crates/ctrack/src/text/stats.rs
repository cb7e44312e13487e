//! The line of `conntrack -S` for a processor.

use super::out::Out;
use super::owned;
use ctnetlink::stats::{Counted, CpuStats, ExpectStat, Stat};

/// Every counter that has a name, with 32 bits, and the number of the processor.
const MOST: usize = 512;

/// What a processor counted, as `conntrack -S` prints it, with the blank at its end; of expectations as `conntrack -S expect` does. What
/// the kernel did not send is left out, as are counters without a name.
///
/// ```
/// use ctrack::{stats_line, Counted, CpuStats, Stat};
/// let mut stats = CpuStats { cpu: 3, has: 1 << Stat::DROP.0, ..CpuStats::default() };
/// stats.values[usize::from(Stat::DROP.0)] = 7;
/// assert_eq!(stats_line(&stats, Counted::Entries), "cpu=3   \tdrop=7 ");
/// ```
pub fn stats_line(stats: &CpuStats, counted: Counted) -> String {
    with_stats_line(stats, counted, owned)
}

/// Calls `then` with the line. Every line fits: `None` never happens.
pub fn with_stats_line<T>(stats: &CpuStats, counted: Counted, then: impl FnOnce(Option<&[u8]>) -> T) -> T {
    let mut buffer = [0; MOST];
    let mut out = Out::new(&mut buffer);
    out.field("cpu=", stats.cpu);
    for _ in out.length()..8 {
        out.byte(b' ');
    }
    out.byte(b'\t');
    for (number, value) in stats.iter() {
        let name = match counted {
            Counted::Entries => Stat(number).name(),
            Counted::Expectations => ExpectStat(number).name(),
        };
        if let Some(name) = name {
            out.put(name);
            out.field("=", value);
            out.byte(b' ');
        }
    }
    then(out.finish())
}
