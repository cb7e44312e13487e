// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"context"
	"errors"
	"iter"
	"slices"
	"syscall"
)

// batchSize is how many entries List and All fetch with one call: enough that the call costs nothing.
const batchSize = 256

// List gives the selected entries; without filters all of them. If the kernel resizes its table meanwhile the list is made again,
// up to four times in all, and EAGAIN after that. Entries that come or go meanwhile may be in it or not; all others are, each
// once.
func (c *Conn) List(ctx context.Context, filters ...Filter) ([]Entry, error) {
	raw, err := encodeFilters("list", filters)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		entries, err := c.list(ctx, raw)
		disturbed := errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOBUFS)
		if !disturbed || try == listTries {
			return entries, err
		}
	}
}

// listTries is how often List begins in all, as ct_list() does. It is not called: what it gives would be copied, and the memory of
// both is what a list costs most (a fifth less time for 250,000 entries).
const listTries = 4

func (c *Conn) list(ctx context.Context, raw []rawFilter) ([]Entry, error) {
	var entries []Entry
	if len(raw) == 0 {
		count, err := c.count(ctx, "list")
		if err != nil {
			return nil, err
		}
		// Some will come meanwhile.
		entries = make([]Entry, 0, count+count/64)
	}
	err := c.dump(ctx, "list", raw, func(batch []rawEntry, names *helperNames) bool {
		at := len(entries)
		entries = slices.Grow(entries, len(batch))[:at+len(batch)]
		for i := range batch {
			decode(&entries[at+i], &batch[i], names)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

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

// Get gives the entry that the key means: its tuple, direction and zone must be exactly those of the key, and so must the reply
// tuple, the ID and Start if the key has them. ENOENT: there is none.
func (c *Conn) Get(ctx context.Context, key Entry) (Entry, error) {
	var raw, found rawEntry
	if wrong := encode(&raw, &key); wrong != nil {
		return Entry{}, wrong.in("get", "key")
	}
	err := c.handles().with(ctx, "get", func(h *handle) int {
		return h.get(&raw, &found)
	})
	if err != nil {
		return Entry{}, err
	}
	var e Entry
	var names helperNames
	decode(&e, &found, &names)
	return e, nil
}

// Count gives the number of entries of the network namespace: one small request, whatever the size of the table. The count is the
// kernel's own. It includes entries that have expired and are not reaped yet, which lists leave out.
func (c *Conn) Count(ctx context.Context) (int, error) {
	return c.count(ctx, "count")
}

// count is Count for an operation.
func (c *Conn) count(ctx context.Context, op string) (int, error) {
	var count uint64
	err := c.handles().with(ctx, op, func(h *handle) int {
		return h.count(&count)
	})
	return int(count), err
}

// FreeZone gives the lowest zone from first to last that no entry is in, in either direction. ENOSPC: all of them are in use.
// Nothing keeps others from using the zone afterwards.
func (c *Conn) FreeZone(ctx context.Context, first, last uint16) (uint16, error) {
	var zone uint32
	err := c.handles().with(ctx, "zone_find_free", func(h *handle) int {
		return h.findFreeZone(first, last, &zone)
	})
	return uint16(zone), err
}
