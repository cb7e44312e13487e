// SPDX-License-Identifier: MIT OR Apache-2.0

package tabletest

import (
	"context"
	"ctrack"
	"errors"
	"fmt"
	"os"
	"sync"
)

func contexts(t *table) {
	t.make(thousand()...)
	ended, end := context.WithCancel(ctx)
	defer end()
	seen := 0
	var last error
	for _, err := range t.All(ended) {
		if last = err; err == nil {
			seen++
			end()
		}
	}
	if !errors.Is(last, context.Canceled) || seen == 0 || seen == 1000 {
		t.Errorf("the loop saw %d and ended with %v", seen, last)
	}
	for call, err := range calls(ended, t) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", call, err)
		}
	}
	if count, err := t.Count(ctx); count != 1000 || err != nil {
		t.Errorf("%d, %v", count, err)
	}
}

// calls makes every call once, with what would change the table.
func calls(ctx context.Context, t *table) map[string]error {
	e := udp("10.0.0.1:1", "10.0.0.2:53")
	errs := map[string]error{"flush all": t.FlushAll(ctx), "flush": t.Flush(ctx, ctrack.Scope{Zone: ctrack.Is[uint16](0)})}
	_, errs["list"] = t.List(ctx)
	_, errs["get"] = t.Get(ctx, e)
	_, errs["count"] = t.Count(ctx)
	_, errs["free zone"] = t.FreeZone(ctx, 1, 2)
	_, errs["delete"] = t.Delete(ctx, zone(0))
	_, errs["delete uncounted"] = t.DeleteUncounted(ctx, zone(0))
	_, errs["delete entries"] = t.DeleteEntries(ctx, []ctrack.Entry{e})
	_, errs["create"] = t.Create(ctx, []ctrack.Entry{e.InZone(3, ctrack.ZoneBoth)})
	_, errs["update"] = t.Update(ctx, []ctrack.Change{{Key: e, Mark: ctrack.MarkIs(1)}})
	for _, err := range t.All(ctx) {
		errs["all"] = err
	}
	return errs
}

func concurrent(t *table) {
	var wait sync.WaitGroup
	for worker := range uint16(8) {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for round := range 20 {
				e := udp(fmt.Sprintf("10.0.%d.1:%d", worker, round+1), "10.0.0.2:53").InZone(worker+1, ctrack.ZoneBoth)
				if _, err := t.Create(ctx, []ctrack.Entry{e}); err != nil {
					t.Error(err)
				}
				if batch, err := t.Update(ctx, []ctrack.Change{{Key: e, Mark: ctrack.MarkIs(uint32(worker))}}); err != nil || batch.Done != 1 {
					t.Error(batch, err)
				}
				for _, err := range t.All(ctx, zone(worker+1)) {
					if err != nil {
						t.Error(err)
					}
				}
				if found, err := t.Get(ctx, e); err != nil || found.Mark != uint32(worker) {
					t.Error(found.Mark, err)
				}
				if result, err := t.Delete(ctx, zone(worker+1)); err != nil || result.Done != 1 {
					t.Error(result, err)
				}
			}
		}()
	}
	wait.Wait()
	t.holds("nothing")
}

func closed(t *table) {
	t.make(udp("10.0.0.1:1", "10.0.0.2:53"))
	if err := errors.Join(t.Close(), t.Close()); err != nil {
		t.Error(err)
	}
	for call, err := range calls(ctx, t) {
		if !errors.Is(err, ctrack.ErrClosed) || !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v", call, err)
		}
	}
}
