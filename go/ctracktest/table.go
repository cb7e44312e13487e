// SPDX-License-Identifier: MIT OR Apache-2.0

package ctracktest

import (
	"context"
	"ctrack"
	"ctrack/internal/hook"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Table is a conntrack table in memory, a [ctrack.Table]. It may be used by many goroutines at once. Make one with [New].
type Table struct {
	mu sync.Mutex
	// In the order in which they were made.
	entries []ctrack.Entry
	made    uint32
	closed  bool
	faults
}

var _ ctrack.Table = (*Table)(nil)

// New is an empty table.
func New() *Table {
	return &Table{}
}

// batchSize is after how many entries a loop over All looks at its context, as that of a Conn.
const batchSize = 256

// failed is an error as a Conn gives it.
func failed(op Op, errno syscall.Errno, text string) error {
	return &ctrack.Error{Op: string(op), Errno: errno, Text: text}
}

// begin is what every call does first, with the lock held: whether it may go on.
func (t *Table) begin(ctx context.Context, op Op) error {
	switch {
	case t.closed:
		return ctrack.ErrClosed
	case ctx.Err() != nil:
		return fmt.Errorf("ctrack: %s: %w", op, ctx.Err())
	}
	return t.faults.ofCall(op)
}

// selection checks filters for an operation.
func selection(op Op, filters []ctrack.Filter) (*ctrack.Selection, error) {
	s, err := ctrack.NewSelection(filters...)
	return s, asOf(op, err)
}

// asOf is the error as one of this operation.
func asOf(op Op, err error) error {
	var details *ctrack.Error
	if !errors.As(err, &details) {
		return err
	}
	return failed(op, details.Errno, details.Text)
}

// List gives the selected entries; without filters all of them.
func (t *Table) List(ctx context.Context, filters ...ctrack.Filter) ([]ctrack.Entry, error) {
	s, err := selection(List, filters)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.begin(ctx, List); err != nil {
		return nil, err
	}
	var listed []ctrack.Entry
	for _, e := range t.entries {
		if s.Selects(e) {
			listed = append(listed, e)
		}
	}
	return listed, nil
}

// All gives the selected entries one by one; an error is the last thing that it gives.
func (t *Table) All(ctx context.Context, filters ...ctrack.Filter) iter.Seq2[ctrack.Entry, error] {
	return func(yield func(ctrack.Entry, error) bool) {
		if err := t.each(ctx, filters, func(e ctrack.Entry) bool { return yield(e, nil) }); err != nil {
			yield(ctrack.Entry{}, err)
		}
	}
}

func (t *Table) each(ctx context.Context, filters []ctrack.Filter, visit func(ctrack.Entry) bool) error {
	s, err := selection(All, filters)
	if err != nil {
		return err
	}
	t.mu.Lock()
	err = t.begin(ctx, All)
	most, broken := t.faults.afterEntries()
	// The body of the loop may change the table.
	entries := slices.Clone(t.entries)
	t.mu.Unlock()
	if err != nil {
		return err
	}
	given := 0
	for _, e := range entries {
		if !s.Selects(e) {
			continue
		}
		if broken != nil && given == most {
			return broken
		}
		if !visit(e) {
			return nil
		}
		if given++; given%batchSize == 0 {
			t.mu.Lock()
			closed := t.closed
			t.mu.Unlock()
			switch {
			case ctx.Err() != nil:
				return fmt.Errorf("ctrack: %s: %w", All, ctx.Err())
			case closed:
				return ctrack.ErrClosed
			}
		}
	}
	return broken
}

// Get gives the entry that the key means. ENOENT: there is none.
func (t *Table) Get(ctx context.Context, key ctrack.Entry) (ctrack.Entry, error) {
	checked, err := hook.Entry(string(Get), "key", key, hook.ToFind)
	if err != nil {
		return ctrack.Entry{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.begin(ctx, Get); err != nil {
		return ctrack.Entry{}, err
	}
	at := t.find(checked.(ctrack.Entry))
	if at < 0 {
		return ctrack.Entry{}, failed(Get, syscall.ENOENT, "no such entry")
	}
	if errno := t.faults.ofEntry(Get, t.entries[at]); errno != 0 {
		return ctrack.Entry{}, failed(Get, errno, errno.Error())
	}
	return t.entries[at], nil
}

// Count gives the number of entries.
func (t *Table) Count(ctx context.Context) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.begin(ctx, Count); err != nil {
		return 0, err
	}
	return len(t.entries), nil
}

// FreeZone gives the lowest zone from first to last that no entry is in, in either direction. ENOSPC: all of them are in use.
func (t *Table) FreeZone(ctx context.Context, first, last uint16) (uint16, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.begin(ctx, FreeZone); err != nil {
		return 0, err
	}
	if first > last {
		return 0, failed(FreeZone, syscall.EINVAL, fmt.Sprintf("first: zone range %d-%d is upside down", first, last))
	}
	used := map[uint16]bool{}
	for i := range t.entries {
		zones := zonesOf(&t.entries[i])
		used[zones[orig]], used[zones[reply]] = true, true
	}
	for zone := int(first); zone <= int(last); zone++ {
		if !used[uint16(zone)] {
			return uint16(zone), nil
		}
	}
	return 0, failed(FreeZone, syscall.ENOSPC, fmt.Sprintf("no free zone from %d to %d", first, last))
}

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

// Flush deletes all entries of a scope. An empty scope is refused.
func (t *Table) Flush(ctx context.Context, scope ctrack.Scope) error {
	filter := ctrack.Filter{
		Family: scope.Family, Zone: scope.Zone, Mark: scope.Mark, StatusSet: scope.StatusSet, StatusClear: scope.StatusClear,
	}
	s, err := selection(Flush, []ctrack.Filter{filter})
	var details *ctrack.Error
	switch {
	case errors.As(err, &details):
		return failed(Flush, details.Errno, strings.Replace(details.Text, "filter[0]", "scope", 1))
	case s.CheckDelete() != nil:
		return failed(Flush, syscall.EINVAL, "scope: limits nothing; to flush everything use FlushAll")
	}
	return t.flush(ctx, s)
}

// FlushAll deletes every entry.
func (t *Table) FlushAll(ctx context.Context) error {
	return t.flush(ctx, &ctrack.Selection{})
}

func (t *Table) flush(ctx context.Context, s *ctrack.Selection) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.begin(ctx, Flush); err != nil {
		return err
	}
	sums := sums{op: Flush}
	t.entries = slices.DeleteFunc(t.entries, func(e ctrack.Entry) bool {
		if !s.Selects(e) {
			return false
		}
		errno := t.faults.ofEntry(Flush, e)
		sums.add(-1, errno, errno.Error())
		return errno == 0 || errno == syscall.ENOENT
	})
	return sums.err()
}

// Close closes the table: all later calls fail with ctrack.ErrClosed. Closing again does nothing.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return nil
}
