// SPDX-License-Identifier: MIT OR Apache-2.0

package tabletest

import (
	"ctrack"
	"ctrack/internal/errnos"
	"syscall"
	"time"
)

func creates(t *table) {
	right := udp("10.0.0.1:1", "10.0.0.2:2")
	with := func(change func(e *ctrack.Entry)) ctrack.Entry {
		e := udp("10.0.0.9:9", "10.0.0.8:8")
		change(&e)
		return e
	}
	expected := with(func(e *ctrack.Entry) { e.Status = ctrack.StatusExpected })
	gone := with(func(e *ctrack.Entry) {
		e.Has = ctrack.HasOrig | ctrack.HasPorts | ctrack.HasTimeout
		e.Family, e.Timeout = ctrack.IPv4, 0
	})
	claims := with(func(e *ctrack.Entry) { *e = Translated(*e, "", "10.0.0.3:3"); e.Status = ctrack.StatusSrcNAT })
	untold := with(func(e *ctrack.Entry) { *e = Translated(*e, "10.0.0.4:4", "10.0.0.3:3"); e.Status = ctrack.StatusDstNAT })
	nothing := with(func(e *ctrack.Entry) { *e = Translated(*e, "", ""); e.Status = ctrack.StatusDstNAT })
	later := with(func(e *ctrack.Entry) { e.Proto, e.TCP.State = ctrack.TCP, 13 })
	scale := with(func(e *ctrack.Entry) { e.Proto, e.TCP.OrigWindowScale = ctrack.TCP, 15 })
	unanswered := ping("10.0.0.1", "10.0.0.2", 1)
	unanswered.Orig.ICMPType = 3
	batch, err := t.Create(ctx, []ctrack.Entry{right, right, expected, gone, claims, untold, nothing, later, scale, unanswered, tcp("10.0.0.1:1", "10.0.0.2:2")})
	t.statuses("all kinds", batch, 0, syscall.EEXIST, syscall.EOPNOTSUPP, errnos.Time, syscall.EINVAL, syscall.EINVAL, syscall.EINVAL,
		syscall.EOPNOTSUPP, syscall.EOPNOTSUPP, syscall.EINVAL, 0)
	t.fails("all kinds", err, syscall.EEXIST, "ctrack: create_entries: entry[1]: entry exists; and 8 more")
	_, err = t.Create(ctx, []ctrack.Entry{right, expected})
	t.fails("two", err, syscall.EEXIST, "entry[0]: entry exists; and 1 more")
	for text, c := range map[string]struct {
		entry ctrack.Entry
		errno syscall.Errno
	}{
		"its status has bits that only the kernel can give": {expected, syscall.EOPNOTSUPP}, "its timeout is 0": {gone, errnos.Time},
		"DST_NAT is missing in status": {claims, syscall.EINVAL}, "SRC_NAT is missing in status": {untold, syscall.EINVAL},
		"no destination is translated": {nothing, syscall.EINVAL}, "of a later kernel": {later, syscall.EOPNOTSUPP}, "larger than 14": {scale, syscall.EOPNOTSUPP},
	} {
		_, err := t.Create(ctx, []ctrack.Entry{c.entry})
		t.fails(text, err, c.errno, text)
	}
	t.holds("what can be made", right, tcp("10.0.0.1:1", "10.0.0.2:2"))
	batch, err = t.Create(ctx, nil)
	if err != nil || batch.Matched != 0 || batch.Status != nil {
		t.Errorf("none: %+v, %v", batch, err)
	}
}

func malformed(t *table) {
	right := udp("10.0.0.1:1", "10.0.0.2:2")
	with := func(change func(e *ctrack.Entry)) ctrack.Entry {
		e := udp("10.0.0.9:9", "10.0.0.8:8")
		change(&e)
		return e
	}
	refused := func(what string, batch ctrack.Batch, err error, text string) {
		t.Helper()
		t.fails(what, err, syscall.EINVAL, text)
		if batch.Status != nil || batch.Done != 0 {
			t.Errorf("%s: %+v", what, batch)
		}
	}
	for text, e := range map[string]ctrack.Entry{
		"entry[1].timeout: a new entry needs one": with(func(e *ctrack.Entry) { e.Timeout = 0 }),
		"entry[1].orig": {Timeout: time.Hour},
		"entry[1].proto: is one without ports, and ports are announced": with(func(e *ctrack.Entry) { e.Proto = 253 }),
		"entry[1].tcp_state: TCP fields with another protocol":          with(func(e *ctrack.Entry) { e.TCP.State = 1 }),
		"entry[1].sctp_state: SCTP fields with another protocol":        with(func(e *ctrack.Entry) { e.SCTP.State = 1 }),
		"entry[1].reply: NAT needs the reply tuple":                     with(func(e *ctrack.Entry) { e.Status = ctrack.StatusDstNAT }),
		"entry[1].proto: TCP and UDP need ports, and none are announced": with(func(e *ctrack.Entry) {
			e.Has, e.Family, e.Orig.SrcPort, e.Orig.DstPort = ctrack.HasOrig|ctrack.HasTimeout, ctrack.IPv4, 0, 0
		}),
		"entry[1].orig.sport: is set, but not announced": with(func(e *ctrack.Entry) { e.Has, e.Family = ctrack.HasOrig|ctrack.HasTimeout, ctrack.IPv4 }),
		"entry[1].mark: is set, but not announced": with(func(e *ctrack.Entry) {
			e.Has, e.Family, e.Mark = ctrack.HasOrig|ctrack.HasPorts|ctrack.HasTimeout, ctrack.IPv4, 1
		}),
		"entry[1]: announces fields that this release does not know": with(func(e *ctrack.Entry) { e.Has, e.Family = 1<<50, ctrack.IPv4 }),
		"entry[1].labels: 128 is no label":                           with(func(e *ctrack.Entry) { e.Labels = ctrack.LabelSet(128) }),
	} {
		batch, err := t.Create(ctx, []ctrack.Entry{right, e})
		refused(text, batch, err, "ctrack: create_entries: "+text)
	}
	t.holds("nothing was made")
	t.make(right)
	batch, err := t.DeleteEntries(ctx, []ctrack.Entry{right, {}})
	refused("delete", batch, err, "ctrack: delete_entries: entry[1].orig")
	batch, err = t.Update(ctx, []ctrack.Change{{Key: right, Mark: ctrack.MarkIs(7)}, {Key: right}})
	refused("nothing to change", batch, err, "ctrack: update_entries: entry[1]: nothing to change")
	batch, err = t.Update(ctx, []ctrack.Change{{Key: right, Mark: ctrack.MarkIs(7)}, {Key: right, TCPState: ctrack.Is(ctrack.TCPClose)}})
	refused("a state of another protocol", batch, err, "entry[1].tcp_state: TCP fields with another protocol")
	if listed := t.list(); len(listed) != 1 || listed[0].Mark != 0 {
		t.Errorf("it was changed: %+v", listed)
	}
}

func updates(t *table) {
	e, other := tcp("10.0.0.1:1", "10.0.0.2:80"), udp("10.0.0.1:2", "10.0.0.2:53")
	fixed := udp("10.0.0.1:3", "10.0.0.2:53")
	fixed.Status = ctrack.StatusFixedTimeout
	helped := tcp("10.0.0.1:4", "10.0.0.2:21")
	helped.Helper = "ftp"
	t.make(e, other, fixed, helped)
	now := func(of ctrack.Entry) ctrack.Entry {
		t.Helper()
		found, err := t.Get(ctx, ctrack.Entry{Proto: of.Proto, Orig: of.Orig})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	batch, err := t.Update(ctx, []ctrack.Change{
		{Key: e, Mark: ctrack.MarkIs(0xf0), Timeout: ctrack.Is(time.Hour), Status: ctrack.Is(ctrack.StatusAssured)},
		{Key: e, Mark: ctrack.MarkMasked(0x03, 0x33), TCPState: ctrack.Is(ctrack.TCPCloseWait)},
		{Key: udp("10.0.0.9:1", "10.0.0.2:80"), Mark: ctrack.MarkIs(1)},
		{Key: other.InZone(3, ctrack.ZoneBoth), Mark: ctrack.MarkIs(1)},
		{Key: helped, Helper: ctrack.Is("")},
	})
	t.statuses("right ones", batch, 0, 0, syscall.ENOENT, syscall.ENOENT, 0)
	if got := now(e); err != nil || got.Mark != 0xc3 || got.TCP.State != ctrack.TCPCloseWait || got.Timeout > time.Hour || !got.Status.All(ctrack.StatusAssured) {
		t.Errorf("%+v, %v", got, err)
	}
	if got := now(helped); got.Helper != "" {
		t.Errorf("its helper is %q", got.Helper)
	}
	for text, c := range map[string]struct {
		change ctrack.Change
		errno  syscall.Errno
	}{
		"a timeout of 0 would delete the entry":  {ctrack.Change{Key: other, Timeout: ctrack.Is[time.Duration](0)}, errnos.Time},
		"the timeout of the entry is fixed":      {ctrack.Change{Key: fixed, Timeout: ctrack.Is(time.Hour)}, syscall.EPERM},
		"can be added to the status of an entry": {ctrack.Change{Key: other, Status: ctrack.Is(ctrack.StatusDstNAT), Mark: ctrack.MarkIs(9)}, syscall.EBUSY},
		"need the WINDOW_SCALE flag":             {ctrack.Change{Key: e, TCPWindow: ctrack.Is(ctrack.TCPWindow{Orig: 1, Reply: 2}), Mark: ctrack.MarkIs(9)}, syscall.EBUSY},
		"its state is one of a later kernel":     {ctrack.Change{Key: e, TCPState: ctrack.Is(ctrack.TCPState(12))}, syscall.EOPNOTSUPP},
		"entry[0]: operation not supported":      {ctrack.Change{Key: other, Helper: ctrack.Is("ftp")}, syscall.EOPNOTSUPP},
	} {
		batch, err := t.Update(ctx, []ctrack.Change{c.change})
		t.statuses(text, batch, c.errno)
		t.fails(text, err, c.errno, text)
	}
	if got := now(other); got.Mark != 0 || got.Timeout < 9*time.Hour {
		t.Errorf("what was refused was changed: %+v", got)
	}
	flags := ctrack.Change{Key: e, TCPFlags: ctrack.Is(ctrack.TCPFlagChange{Orig: 255, OrigMask: 3, Reply: 1}), TCPWindow: ctrack.Is(ctrack.TCPWindow{Orig: 1, Reply: 2})}
	batch, err = t.Update(ctx, []ctrack.Change{flags})
	want := ctrack.TCPInfo{State: ctrack.TCPCloseWait, OrigFlags: 3, ReplyFlags: 1, OrigWindowScale: 1, ReplyWindowScale: 2}
	if got := now(e); err != nil || got.TCP != want {
		t.Errorf("%+v, %v, %v", got.TCP, err, batch)
	}
}

func updatesLabels(t *table) {
	e := udp("10.0.0.1:1", "10.0.0.2:53")
	e.Labels = ctrack.LabelSet(1)
	t.make(e)
	for _, step := range []struct {
		change ctrack.Change
		want   ctrack.Labels
	}{
		{ctrack.Change{AddLabels: ctrack.Is(ctrack.LabelSet(2, 127))}, ctrack.LabelSet(1, 2, 127)},
		{ctrack.Change{RemoveLabels: ctrack.Is(ctrack.LabelSet(1, 3))}, ctrack.LabelSet(2, 127)},
		{ctrack.Change{Labels: ctrack.Is(ctrack.LabelSet(64))}, ctrack.LabelSet(64)},
		{ctrack.Change{Labels: ctrack.Is(ctrack.Labels{})}, ctrack.Labels{}},
	} {
		step.change.Key = e
		if batch, err := t.Update(ctx, []ctrack.Change{step.change}); err != nil || batch.Done != 1 {
			t.Fatalf("%+v, %v", batch, err)
		}
		if got := t.list()[0]; got.Labels != step.want || got.Has.All(ctrack.HasLabels) != (step.want != ctrack.Labels{}) {
			t.Errorf("%v of %v, want %v", got.Labels, got.Has, step.want)
		}
	}
	_, err := t.Update(ctx, []ctrack.Change{{Key: e, Labels: ctrack.Is(ctrack.LabelSet(1)), AddLabels: ctrack.Is(ctrack.LabelSet(2))}})
	t.fails("two ways", err, syscall.EINVAL, "entry[0].labels: more than one")
}

func tuples(t *table) {
	e := udp("10.0.0.1:1", "10.0.0.2:2")
	t.make(e, e.InZone(7, ctrack.ZoneBoth), e.InZone(8, ctrack.ZoneBoth))
	for what, taken := range map[string]ctrack.Entry{
		"itself": e, "its reverse": udp("10.0.0.2:2", "10.0.0.1:1"), "its reverse in the zone": udp("10.0.0.2:2", "10.0.0.1:1").InZone(7, ctrack.ZoneBoth),
		"its answers": Translated(udp("10.0.0.3:1", "10.96.0.10:2"), "10.0.0.1:1", "10.0.0.2:2"),
	} {
		batch, err := t.Create(ctx, []ctrack.Entry{taken})
		t.statuses(what, batch, syscall.EEXIST)
		t.fails(what, err, syscall.EEXIST, "entry[0]: entry exists")
	}
	t.make(e.InZone(9, ctrack.ZoneBoth), udp("10.0.0.1:1", "10.0.0.2:3"))
}
