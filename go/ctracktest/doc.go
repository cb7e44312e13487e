// SPDX-License-Identifier: MIT OR Apache-2.0

// Package ctracktest is a conntrack table for tests: no kernel, no privileges, no libctrack, on every system that Go has but
// Plan 9. Write programs against [ctrack.Table], or the smaller interfaces that it consists of, and hand them a [Table] in tests:
//
//	table := ctracktest.New()
//	table.Create(ctx, []ctrack.Entry{entry})
//	table.FailEntries(ctracktest.Delete, ctrack.Filter{Mark: ctrack.MarkIs(7)}, syscall.EBUSY)
//	err := yourAgent(table)
//
// It refuses, finds, creates, changes and deletes as a [ctrack.Conn] does, with the same errors: one suite of tests is run on both.
// A [Watch] tells events that a test says, to what reads a [ctrack.Watcher], and to a Mirror of [ctrack.MirrorOf]. It is not
// bound to a Table.
//
// What a Table leaves out, since it needs time, packets or a kernel:
//
//   - Nothing expires, and no traffic changes anything. The timeout stays what it was made with; Use is 1.
//   - There are no counters and no start times, as if sysctls nf_conntrack_acct and nf_conntrack_timestamp were 0.
//   - Helpers have any name; labels are kept, as if a firewall rule used some; the table is never full.
//   - Status bits are those that were given, with StatusConfirmed; the kernel may set others beside them (StatusSrcNATDone).
//   - DragonFly BSD, FreeBSD, OpenBSD and WASI have no ETIME: there the errno of a timeout of 0 is a number that is none of the system's.
//   - No entry hides another. For that and all other errors of kernels see [Table.Fail] and [Table.FailEntries].
package ctracktest
