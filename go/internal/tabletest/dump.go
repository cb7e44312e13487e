// SPDX-License-Identifier: MIT OR Apache-2.0

package tabletest

import (
	"ctrack"
	"fmt"
	"syscall"
)

// thousand are enough for several batches.
func thousand() []ctrack.Entry {
	var entries []ctrack.Entry
	for i := range 1000 {
		entries = append(entries, udp(fmt.Sprintf("10.0.0.1:%d", i+1), "10.0.0.2:53"))
	}
	return entries
}

func loops(t *table) {
	t.make(thousand()...)
	for _, after := range []int{1, 256, 300} {
		seen := 0
		for _, err := range t.All(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if seen++; seen == after {
				break
			}
		}
	}
	deleted := 0
	for e, err := range t.All(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		batch, err := t.DeleteEntries(ctx, []ctrack.Entry{e})
		if err != nil || batch.Done != 1 {
			t.Fatalf("%+v, %v", batch, err)
		}
		deleted++
	}
	if deleted != 1000 {
		t.Errorf("%d were seen", deleted)
	}
	t.holds("nothing")
	pairs := 0
	for _, err := range t.All(ctx, ctrack.Filter{Mark: ctrack.MarkMasked(3, 1)}) {
		t.fails("a wrong filter", err, syscall.EINVAL, "ctrack: all: filter[0].mark")
		pairs++
	}
	if pairs != 1 {
		t.Errorf("a wrong filter gives %d pairs", pairs)
	}
}
