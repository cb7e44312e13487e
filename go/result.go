// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"context"
	"fmt"
	"syscall"
	"unsafe"
)

// Result is what a call did.
type Result struct {
	// Matched entries were selected, or given: always Done + Gone + Failed + Spared.
	Matched int
	// Done entries were deleted, created or updated.
	Done int
	// Gone entries were no longer there, or no longer the same one, when their turn came. Not a failure.
	Gone int
	// Failed are those for which the kernel refused, or that are impossible to make or to change, or whose fate is not known since
	// the kernel fell silent, or which are there but cannot be reached (ErrHidden).
	Failed int
	// Spared entries were selected, but changed before their turn came so that they are not any more: they stay.
	Spared int
	// FirstError is why the first of them failed; 0 if none did. The error of the call says which one it is.
	FirstError syscall.Errno
	// Uncounted: the kernel deleted by itself; what it deleted is not in the sums.
	Uncounted bool
	// StartUnknown: start times were to be compared (Options.CompareStart), but at least one deleted entry has none, since the
	// kernel kept none when it was made. It was told apart by its tuples, zone and ID alone.
	StartUnknown bool
}

// String is the sums in one line for logs: "3 matched, 3 done, 0 gone, 0 failed"; behind that of failed stands why, and at the end what
// else there is to say: ", 1 spared", ", others uncounted", ", start unknown". Since 0.2.
func (r Result) String() string {
	text := fmt.Sprintf("%d matched, %d done, %d gone, %d failed", r.Matched, r.Done, r.Gone, r.Failed)
	switch {
	case r.FirstError != 0 && r.Failed > 1:
		text += fmt.Sprintf(" (first: %v)", r.FirstError)
	case r.FirstError != 0:
		text += fmt.Sprintf(" (%v)", r.FirstError)
	}
	if r.Spared != 0 {
		text += fmt.Sprintf(", %d spared", r.Spared)
	}
	if r.Uncounted {
		text += ", others uncounted"
	}
	if r.StartUnknown {
		text += ", start unknown"
	}
	return text
}

func newResult() rawResult {
	return rawResult{size: uint32(unsafe.Sizeof(rawResult{}))}
}

func resultOf(raw *rawResult) Result {
	return Result{
		Matched:      int(raw.matched),
		Done:         int(raw.done),
		Gone:         int(raw.gone),
		Failed:       int(raw.failed),
		Spared:       int(raw.spared),
		FirstError:   syscall.Errno(-raw.firstError),
		Uncounted:    raw.flags&ctResultUncounted != 0,
		StartUnknown: raw.flags&ctResultStartUnknown != 0,
	}
}

// Batch is what came of a number of entries.
type Batch struct {
	Result
	// Status of each entry: 0 done; ENOENT it was gone; ErrHidden it is there, but cannot be reached; another errno it failed.
	// ETIMEDOUT, ENOBUFS and the like: not known whether it was done. ECANCELED: not attempted, after an earlier failure. Nil if
	// nothing was attempted at all.
	Status []syscall.Errno
}

// String is that of the Result: sums, and not the status of each. Since 0.2.
func (b Batch) String() string {
	return b.Result.String()
}

// batch runs one call on all entries at once, so that the library checks each of them before it sends anything.
func (c *Conn) batch(ctx context.Context, op string, raw []rawEntry,
	call func(h *handle, status []int32, result *rawResult) int) (Batch, error) {
	// Never empty: the library wants a pointer.
	status := make([]int32, len(raw), len(raw)+1)
	result := newResult()
	err := c.handles().with(ctx, op, func(h *handle) int {
		return call(h, status, &result)
	})
	batch := Batch{Result: resultOf(&result)}
	if batch.Matched == 0 {
		return batch, err
	}
	batch.Status = make([]syscall.Errno, len(status))
	for i, code := range status {
		batch.Status[i] = syscall.Errno(-code)
	}
	return batch, err
}
