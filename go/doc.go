// SPDX-License-Identifier: MIT OR Apache-2.0

// Package ctrack lists, deletes, flushes and watches the entries of the Linux kernel's connection-tracking table. It is the Go side of
// libctrack, which it calls through cgo: no conntrack program, no text to parse. It compiles for every system that Go has but Plan 9,
// with and without cgo; where libctrack is missing, [Open] says so.
//
//	conn, err := ctrack.Open(ctrack.Options{})
//	if err != nil {
//		return err
//	}
//	defer conn.Close()
//	done, err := conn.Delete(ctx, ctrack.DeadEndpoint(netip.MustParseAddr("10.0.0.7"))...)
//
// # Words
//
// An [Entry] is one tracked connection. Its two [Tuple] values say what packets carry on arrival: Orig those of the side that
// began, Reply the answers. With NAT the one is not the mirror image of the other. A zone is a separate table in the table: two
// connections with the same addresses in different zones have nothing to do with each other.
//
// # Selecting
//
// List, All and Delete take filters. An entry is selected if it matches at least one including [Filter] (or there is none) and
// no excluding one. List and All without filters take every entry; Delete refuses that: the whole table goes only with
// FlushAll. [MakeDeadEndpoint], [MakeChangedService], [PortOnAnyAddress], [EverythingBut] and [Rule] write the filters of the
// common questions. [Filter.Matches] and [Selection] answer without a table what a filter takes; [Table] and package ctracktest are
// for tests.
//
// # Watching
//
// A [Watch] tells what becomes of entries; with Sync it lists first, and repairs what was lost. A [Mirror] is a copy of the table that a
// watch keeps. A goroutine that waits for events holds no thread.
//
// # Namespaces and goroutines
//
// A [Conn] works in one network namespace for its whole life: that of the thread that called [Open], or the one that
// [Options] names. It may be used by many goroutines at once, whatever thread they run on: it keeps a pool of handles, see
// [Options].MaxHandles.
//
// # Privileges
//
// Open needs none in the caller's network namespace, but where there is no /proc: then it needs CAP_NET_ADMIN like every other call,
// in the user namespace that owns the network namespace. They need it for reading too, and fail with EPERM without. A Conn in a
// network namespace that is not that of the calling thread needs CAP_SYS_ADMIN over it too. Capabilities belong to threads; those of a Go program all have the same, if it leaves them alone.
//
// # Errors
//
// What fails is an [*Error] with the errno inside, for errors.Is(err, syscall.ENOENT), os.ErrPermission and the like, and the
// kernel's own words in its text; or the error of the context; or [ErrClosed]. Wrong arguments are EINVAL, name the field and
// are found before anything is sent. Field names in texts are written small: orig_src is OrigSrc, reply.sport is Reply.SrcPort.
//
// # Contexts
//
// A call into the library cannot be interrupted; each ends by itself, after at most Options.Timeout of the kernel's silence.
// The context is looked at before a call, while it waits for a handle and, in All and List, between two batches.
package ctrack

//go:generate go run ./internal/genlayout -header ../include/ctrack.h -fields ../abi/fields.txt -to .
