// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import "context"

// Scope says what a flush is limited to. All fields that are set must hold, and one of them must be set.
type Scope struct {
	// Family of the entries.
	Family Optional[Family]
	// Zone: entries that have this zone in both directions or in one of them; 0: entries without any zone.
	Zone Optional[uint16]
	// Mark: see MarkIs and MarkMasked.
	Mark Optional[Mark]
	// StatusSet are bits that must be set.
	StatusSet Status
	// StatusClear are bits that must be clear.
	StatusClear Status
}

// filter is what the scope selects.
func (s *Scope) filter() Filter {
	return Filter{Family: s.Family, Zone: s.Zone, Mark: s.Mark, StatusSet: s.StatusSet, StatusClear: s.StatusClear}
}

// Flush deletes all entries of a scope. An empty scope is refused. Entries made meanwhile may survive.
func (c *Conn) Flush(ctx context.Context, scope Scope) error {
	filter := scope.filter()
	var raw rawFilter
	if wrong := encodeFilter(&raw, &filter); wrong != nil {
		return wrong.in("flush", "scope")
	}
	return c.handles().with(ctx, "flush", func(h *handle) int {
		return h.flush(&raw, 0)
	})
}

// FlushAll deletes every entry of the network namespace: all zones and families.
func (c *Conn) FlushAll(ctx context.Context) error {
	return c.handles().with(ctx, "flush", func(h *handle) int {
		return h.flush(nil, ctFlushAll)
	})
}
