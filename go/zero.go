// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"context"
	"syscall"
)

// Zeroed is what came of entries whose counters begin anew. Since 0.2.
type Zeroed struct {
	Batch
	// Read are the entries as they were before, one for each that was given; only where its Status is 0 or ESTALE.
	Read []Entry
}

// Zero reads the given entries, and lets their packets and bytes be counted from 0 on: by the kernel in one step, so that what is read
// now and next time adds up to all that came. It is never done twice for one call.
//
// Status of each: 0 it was read; ESTALE another entry has its place, and was read instead, so that nothing that was counted is lost; ENOENT
// it was gone; ErrHidden it cannot be reached, and nothing was read; ENOBUFS, ETIMEDOUT, EBADMSG and the like: its reply was lost, its
// counters perhaps begin anew; ECANCELED nothing was tried. The error is nil if none failed, and names the first that did. Since 0.2.
func (c *Conn) Zero(ctx context.Context, entries []Entry) (Zeroed, error) {
	raw, err := encodeEntries("zero_entries", entries)
	if err != nil {
		return Zeroed{}, err
	}
	read := make([]rawEntry, len(raw))
	batch, err := c.batch(ctx, "zero_entries", raw, func(h *handle, status []int32, result *rawResult) int {
		return h.zeroEntries(raw, read, status, result)
	})
	zeroed := Zeroed{Batch: batch, Read: make([]Entry, len(raw))}
	var names helperNames
	for i, status := range batch.Status {
		if status == 0 || status == syscall.ESTALE {
			decode(&zeroed.Read[i], &read[i], &names)
		}
	}
	return zeroed, err
}
