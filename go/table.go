// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"context"
	"io"
	"iter"
)

// Reader is what only reads a table. Take the smallest of these interfaces that does, so that a test has little to stand in for: the
// table of package ctracktest is a [Table] without a kernel.
type Reader interface {
	List(ctx context.Context, filters ...Filter) ([]Entry, error)
	All(ctx context.Context, filters ...Filter) iter.Seq2[Entry, error]
	Get(ctx context.Context, key Entry) (Entry, error)
	Count(ctx context.Context) (int, error)
	FreeZone(ctx context.Context, first, last uint16) (uint16, error)
}

// Deleter is what takes entries out of a table.
type Deleter interface {
	Delete(ctx context.Context, filters ...Filter) (Result, error)
	DeleteUncounted(ctx context.Context, filters ...Filter) (Result, error)
	DeleteEntries(ctx context.Context, entries []Entry) (Batch, error)
	Flush(ctx context.Context, scope Scope) error
	FlushAll(ctx context.Context) error
}

// Writer is what makes entries and changes them.
type Writer interface {
	Create(ctx context.Context, entries []Entry) (Batch, error)
	Update(ctx context.Context, changes []Change) (Batch, error)
}

// Table is all that a [Conn] can do. Methods that a Conn gets later come as interfaces of their own, so that what implements this
// one goes on to.
type Table interface {
	Reader
	Deleter
	Writer
	io.Closer
}

var _ Table = (*Conn)(nil)
