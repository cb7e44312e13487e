// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"context"
	"iter"
)

// batchSize is how many entries List and All fetch with one call: enough that the call costs nothing.
const batchSize = 256

// All gives the selected entries one by one, in constant memory; without filters all of them. An error is the last thing it
// gives: what came before is right, but not complete. EAGAIN: the kernel resized its table, entries may be missing or repeated;
// start again.
//
// The loop has a handle to itself until it ends (see Options.MaxHandles); other calls on the same Conn, also from the body, have
// their own.
func (c *Conn) All(ctx context.Context, filters ...Filter) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		raw, err := encodeFilters("all", filters)
		if err == nil {
			var e Entry
			err = c.dump(ctx, "all", raw, func(batch []rawEntry, names *helperNames) bool {
				for i := range batch {
					decode(&e, &batch[i], names)
					if !yield(e, nil) {
						return false
					}
				}
				return true
			})
		}
		if err != nil {
			yield(Entry{}, err)
		}
	}
}

// dump hands over the selected entries, batch by batch, until visit says false. There is no error then.
func (c *Conn) dump(ctx context.Context, op string, filters []rawFilter,
	visit func(batch []rawEntry, names *helperNames) bool) error {
	p := c.handles()
	h, err := p.acquire(ctx, op)
	if err != nil {
		return err
	}
	// However the body of a loop leaves, by a panic too.
	defer p.release(h)
	p.begin()
	result := h.dumpStart(filters)
	p.end()
	if result < 0 {
		return h.failed(op, result)
	}
	ended := false
	defer func() {
		if !ended && h.dumpEnd() < 0 {
			h.broken = true
		}
	}()
	if h.batch == nil {
		h.batch = make([]rawEntry, batchSize)
	}
	for {
		p.begin()
		result := h.dumpNext(h.batch)
		p.end()
		if result <= 0 {
			if result < 0 {
				return h.failed(op, result)
			}
			ended = h.dumpEnd() == 0
			return nil
		}
		if !visit(h.batch[:result], &h.names) {
			return nil
		}
		if ctx.Err() != nil {
			return cancelled(ctx, op)
		}
		if p.isClosed() {
			return ErrClosed
		}
	}
}
