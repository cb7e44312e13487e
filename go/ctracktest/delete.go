// SPDX-License-Identifier: MIT OR Apache-2.0

package ctracktest

import (
	"context"
	"ctrack"
	"ctrack/internal/hook"
	"slices"
	"syscall"
)

// Delete deletes the selected entries.
func (t *Table) Delete(ctx context.Context, filters ...ctrack.Filter) (ctrack.Result, error) {
	return t.delete(ctx, filters)
}

// DeleteUncounted is Delete, and says how many entries failed, but not how many were deleted: a kernel may do so too.
func (t *Table) DeleteUncounted(ctx context.Context, filters ...ctrack.Filter) (ctrack.Result, error) {
	result, err := t.delete(ctx, filters)
	if err != nil {
		return result, err
	}
	return ctrack.Result{Uncounted: true}, nil
}

func (t *Table) delete(ctx context.Context, filters []ctrack.Filter) (ctrack.Result, error) {
	s, err := selection(Delete, filters)
	if err == nil {
		err = s.CheckDelete()
	}
	if err != nil {
		return ctrack.Result{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.begin(ctx, Delete); err != nil {
		return ctrack.Result{}, err
	}
	sums := sums{op: Delete}
	t.entries = slices.DeleteFunc(t.entries, func(e ctrack.Entry) bool {
		if !s.Selects(e) {
			return false
		}
		errno := t.faults.ofEntry(Delete, e)
		sums.add(-1, errno, errno.Error())
		// Somebody else was faster.
		return errno == 0 || errno == syscall.ENOENT
	})
	return sums.Result, sums.err()
}

// DeleteEntries deletes the given entries, each only if it is still the one that is meant.
func (t *Table) DeleteEntries(ctx context.Context, entries []ctrack.Entry) (ctrack.Batch, error) {
	keys, err := check(DeleteEntries, entries, hook.ToFind)
	if err != nil {
		return ctrack.Batch{}, err
	}
	return t.batch(ctx, DeleteEntries, len(keys), func(i int) outcome {
		at := t.find(keys[i])
		if at < 0 {
			return outcome{errno: syscall.ENOENT}
		}
		became, wanted := t.fault(DeleteEntries, t.entries[at])
		if !wanted || became.errno == syscall.ENOENT {
			t.entries = slices.Delete(t.entries, at, at+1)
		}
		return became
	})
}
