// SPDX-License-Identifier: MIT OR Apache-2.0

package ctracktest

import (
	"context"
	"ctrack"
	"iter"
	"slices"
)

// batchSize is after how many entries a loop over All looks at its context, as that of a Conn.
const batchSize = 256

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
				return ended(ctx, All)
			case closed:
				return ctrack.ErrClosed
			}
		}
	}
	return broken
}
