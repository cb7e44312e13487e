// SPDX-License-Identifier: MIT OR Apache-2.0

package ctracktest

import (
	"ctrack"
	"errors"
	"syscall"
)

// Op is an operation of a table, by the name that errors have for it.
type Op string

const (
	List     Op = "list"
	All      Op = "all"
	Get      Op = "get"
	Count    Op = "count"
	FreeZone Op = "zone_find_free"
	// Delete is DeleteUncounted too.
	Delete        Op = "delete"
	DeleteEntries Op = "delete_entries"
	// Flush is FlushAll too.
	Flush  Op = "flush"
	Create Op = "create_entries"
	Update Op = "update_entries"
)

// faults are the errors that a test asks for.
type faults struct {
	calls   map[Op]error
	entries []entryFault
	after   *afterFault
}

type entryFault struct {
	op    Op
	which ctrack.Filter
	errno syscall.Errno
}

type afterFault struct {
	entries int
	err     error
}

// Fail makes each further call of an operation fail with this error, before it does anything: nil ends that. A syscall.Errno becomes
// a *ctrack.Error, as a Conn gives it: EPERM for a missing capability, ETIMEDOUT for a kernel that fell silent. Arguments are checked
// first: a wrong one is EINVAL all the same.
func (t *Table) Fail(op Op, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls == nil {
		t.calls = map[Op]error{}
	}
	t.calls[op] = asError(op, err)
}

// FailAfter makes each further loop over All end with this error after so many entries, or after the last one, as it ends when the
// kernel resizes its table meanwhile (EAGAIN); nil ends that.
func (t *Table) FailAfter(entries int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.after = &afterFault{entries, asError(All, err)}
}

// FailEntries makes this operation (Get, Delete, DeleteEntries, Flush, Create or Update) fail for each entry that the filter matches,
// and do the others: EBUSY for one that the kernel does not let go, ctrack.ErrHidden for one that cannot be reached, and ENOENT for
// one that somebody else deletes just before. Of several that match, the last one counts; 0 is no error. The error is that of
// Filter.Check.
func (t *Table) FailEntries(op Op, which ctrack.Filter, errno syscall.Errno) error {
	if err := which.Check(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults.entries = append(t.faults.entries, entryFault{op, which, errno})
	return nil
}

func asError(op Op, err error) error {
	var errno syscall.Errno
	if details := (*ctrack.Error)(nil); err == nil || errors.As(err, &details) || !errors.As(err, &errno) {
		return err
	}
	return failed(op, errno, errno.Error())
}

func (f *faults) ofCall(op Op) error {
	return f.calls[op]
}

func (f *faults) afterEntries() (int, error) {
	if f.after == nil {
		return 0, nil
	}
	return f.after.entries, f.after.err
}

func (f *faults) ofEntry(op Op, e ctrack.Entry) syscall.Errno {
	for i := len(f.entries) - 1; i >= 0; i-- {
		if fault := &f.entries[i]; fault.op == op && fault.which.Matches(e) {
			return fault.errno
		}
	}
	return 0
}
