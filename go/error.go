// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Error is what a failing call returns.
type Error struct {
	// Op is the operation, for example "delete".
	Op string
	// Errno is what went wrong. errors.Is finds it, and os.ErrPermission, os.ErrNotExist and os.ErrExist by it.
	Errno syscall.Errno
	// Text is the explanation: the argument at fault, or the kernel's own words. Of several entries that failed it names the first
	// and says how many more did: "entry[3]: entry exists; and 4 more".
	Text string
}

func (e *Error) Error() string {
	return "ctrack: " + e.Op + ": " + e.Text
}

// Unwrap is the errno.
func (e *Error) Unwrap() error {
	return e.Errno
}

// ErrClosed is the error of all calls after Conn.Close, and of those on a Conn that Open did not make. It is an os.ErrClosed.
var ErrClosed = fmt.Errorf("ctrack: use of closed Conn: %w", os.ErrClosed)

// ErrHidden is the errno of an entry that is in the table, but cannot be reached: every request that names it leads to another
// entry, one with a zone for one direction only. Nothing was done to either. errors.Is finds it, and Batch.Status holds it.
const ErrHidden syscall.Errno = errHidden

// cancelled is the error of a context that has ended.
func cancelled(ctx context.Context, op string) error {
	return fmt.Errorf("ctrack: %s: %w", op, ctx.Err())
}

// failure is the error for a negative result of the library. An empty text is replaced by what the errno means.
func failure(op string, result int, text string) *Error {
	if text == "" {
		text = errnoText(result)
	}
	// The library names the operation where the kernel is at fault, perhaps behind the entry: "entry[3]: create_entries: entry exists".
	names := []string{op}
	if op == "list" || op == "all" {
		// What these consist of.
		names = []string{"dump", "count"}
	}
	for _, name := range names {
		text = strings.Replace(text, name+": ", "", 1)
	}
	return &Error{Op: op, Errno: syscall.Errno(-result), Text: goWords.Replace(text)}
}

// goWords are the names that Go has for what the library says in general.
var goWords = strings.NewReplacer("; to flush everything ask for all, without a scope", "; to flush everything use FlushAll")

// fault is a wrong argument that is found here, before the library sees it.
type fault struct {
	field, reason string
}

// in is the fault as an error; place is the argument that has the field, for example "filter[2]".
func (f *fault) in(op, place string) *Error {
	if f.field != "" {
		place += "." + f.field
	}
	return &Error{Op: op, Errno: syscall.EINVAL, Text: place + ": " + f.reason}
}

func wrongArgument(op, format string, args ...any) error {
	return &Error{Op: op, Errno: syscall.EINVAL, Text: fmt.Sprintf(format, args...)}
}
