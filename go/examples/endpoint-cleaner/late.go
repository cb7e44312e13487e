// SPDX-License-Identifier: MIT OR Apache-2.0

package main

import (
	"context"
	"ctrack"
	"fmt"
	"net/netip"
)

// deleteLate deletes entries of endpoints that left as they appear, until the context ends. An endpoint is among those that left before
// its entries are deleted: what is made after that is told later, and none is missed in between.
func (c *cleaner) deleteLate(ctx context.Context, watcher ctrack.Watcher) error {
	var last error
	for event, err := range watcher.Events(ctx) {
		if last = err; err != nil && ctx.Err() == nil {
			c.locked(func() { c.complain("watching: " + err.Error()) })
		}
		if event.Kind == ctrack.New {
			c.locked(func() { c.late(ctx, event.Entry) })
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return last
}

// late deletes an entry if an endpoint that left began or answered it. What fails is tried again with the next list.
func (c *cleaner) late(ctx context.Context, e ctrack.Entry) {
	for _, address := range []netip.Addr{e.Orig.Src, e.Reply.Src} {
		if !c.gone[address] {
			continue
		}
		result, err := c.conn.DeleteEntries(ctx, []ctrack.Entry{e})
		switch {
		case err != nil && ctx.Err() == nil:
			c.dead[address] = true
			c.complain(err.Error())
		case result.Done != 0:
			fmt.Fprintf(c.stdout, "1 late entry deleted of %v\n", address)
		}
		return
	}
}
