// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import "context"

// Delete deletes the selected entries, in one pass over the table for all filters. There must be an including filter, and none
// may match every entry: the whole table goes only with FlushAll. Each entry is deleted by tuple, zone and ID, so one that was
// replaced between the list and the delete stays. One that changed meanwhile so that it is not selected any more stays too
// (Result.Spared). Entries made meanwhile may be missed.
//
// The Result says what was done even if there is an error. EINVAL: a filter is wrong, nothing was sent.
func (c *Conn) Delete(ctx context.Context, filters ...Filter) (Result, error) {
	return c.delete(ctx, 0, filters)
}

// DeleteUncounted is Delete, but the kernel may delete by itself, without saying how many entries, where that is exact for these
// filters on the running kernel: addresses of IPv4, ports of TCP and UDP, ICMP, zone, mark, status, family. Takes about half as
// long. After an error it is not known what it deleted.
func (c *Conn) DeleteUncounted(ctx context.Context, filters ...Filter) (Result, error) {
	return c.delete(ctx, ctDeleteUncounted, filters)
}

func (c *Conn) delete(ctx context.Context, flags uint32, filters []Filter) (Result, error) {
	raw, err := encodeFilters("delete", filters)
	if err != nil {
		return Result{}, err
	}
	result := newResult()
	err = c.handles().with(ctx, "delete", func(h *handle) int {
		return h.deleteBy(raw, flags, &result)
	})
	return resultOf(&result), err
}

// DeleteEntries deletes the given entries, each only if it is still the one that is meant: entries of List, or keys by hand. With
// an ID, that says which entry is meant, and tuple and zone must lead to it; without, tuple, direction and zone must be exactly
// those of the entry. One that fails does not stop the others; the error is nil if none failed, and names the first that did.
//
// EINVAL: a key is malformed, nothing was sent.
func (c *Conn) DeleteEntries(ctx context.Context, entries []Entry) (Batch, error) {
	raw, err := encodeEntries("delete_entries", entries)
	if err != nil {
		return Batch{}, err
	}
	return c.batch(ctx, "delete_entries", raw, func(h *handle, status []int32, result *rawResult) int {
		return h.deleteEntries(raw, status, result)
	})
}
