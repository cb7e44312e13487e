// SPDX-License-Identifier: MIT OR Apache-2.0

package tabletest

import "ctrack"

func flushes(t *table) {
	all := several()
	all[0].Mark, all[1].Mark = 3, 2
	t.make(all...)
	for _, step := range []struct {
		scope ctrack.Scope
		left  int
	}{
		{ctrack.Scope{Zone: ctrack.Is[uint16](7)}, 8}, {ctrack.Scope{Mark: ctrack.MarkMasked(2, 2), Family: ctrack.Is(ctrack.IPv4)}, 6},
		{ctrack.Scope{StatusSet: ctrack.StatusDstNAT}, 5}, {ctrack.Scope{Family: ctrack.Is(ctrack.IPv6)}, 2}, {ctrack.Scope{Zone: ctrack.Is[uint16](1)}, 2},
	} {
		if err := t.Flush(ctx, step.scope); err != nil {
			t.Fatal(err)
		}
		if left := t.list(); len(left) != step.left {
			t.Errorf("%+v leaves %d, want %d", step.scope, len(left), step.left)
		}
	}
	if err := t.FlushAll(ctx); err != nil {
		t.Error(err)
	}
	t.holds("nothing")
}
