// SPDX-License-Identifier: MIT OR Apache-2.0

package ctracktest

import (
	"context"
	"ctrack"
	"errors"
	"fmt"
	"slices"
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
		return ended(ctx, op)
	}
	return t.faults.ofCall(op)
}

// ended is the error of an operation whose context has ended.
func ended(ctx context.Context, op Op) error {
	return fmt.Errorf("ctrack: %s: %w", op, ctx.Err())
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

// Close closes the table: all later calls fail with ctrack.ErrClosed. Closing again does nothing.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return nil
}

// The two directions of an entry.
const (
	orig = iota
	reply
)

// zonesOf are the zones of both directions.
func zonesOf(e *ctrack.Entry) [2]uint16 {
	switch e.ZoneDir {
	case ctrack.ZoneOrig:
		return [2]uint16{e.Zone, 0}
	case ctrack.ZoneReply:
		return [2]uint16{0, e.Zone}
	}
	return [2]uint16{e.Zone, e.Zone}
}

func tuplesOf(e *ctrack.Entry) [2]ctrack.Tuple {
	return [2]ctrack.Tuple{e.Orig, e.Reply}
}

// find gives the place of the entry that a checked key means; -1: there is none.
func (t *Table) find(key ctrack.Entry) int {
	return slices.IndexFunc(t.entries, func(e ctrack.Entry) bool {
		return key.Family == e.Family && key.Proto == e.Proto && zonesOf(&key) == zonesOf(&e) &&
			(!key.Has.All(ctrack.HasID) || key.ID == e.ID) &&
			(!key.Has.All(ctrack.HasStart) || e.Has.All(ctrack.HasStart) && key.Start.Equal(e.Start)) &&
			(!key.Has.All(ctrack.HasOrig) || key.Orig == e.Orig) && (!key.Has.All(ctrack.HasReply) || key.Reply == e.Reply)
	})
}

// taken says whether one of the tuples of a new entry leads to another one. The kernel files an entry under each tuple in the zone
// of that direction, and compares what it finds there with the new one's zone for the direction of what is found.
func (t *Table) taken(e *ctrack.Entry) bool {
	own, zones := tuplesOf(e), zonesOf(e)
	return slices.ContainsFunc(t.entries, func(other ctrack.Entry) bool {
		theirs, theirZones := tuplesOf(&other), zonesOf(&other)
		for mine := range own {
			for its := range theirs {
				if e.Family == other.Family && e.Proto == other.Proto && own[mine] == theirs[its] &&
					theirZones[its] == zones[mine] && theirZones[its] == zones[its] {
					return true
				}
			}
		}
		return false
	})
}
