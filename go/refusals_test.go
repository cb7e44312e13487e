// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"errors"
	"math"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// guarded is a table that must not change.
type guarded struct {
	*testing.T
	ns     *netns
	c      *ctrack.Conn
	before []string
}

func newGuarded(t *testing.T) *guarded {
	ns := newNetns(t)
	c := ns.open(ctrack.Options{})
	for _, three := range threeEntries() {
		create(t, c, three...)
		create(t, c, inZone(7, three...)...)
	}
	// Whatever a wrong address might be taken for.
	mapped := udp("[::ffff:10.0.0.7]:1", "[::ffff:10.0.0.8]:2")
	mapped.Family = ctrack.IPv6
	create(t, c, udp("10.0.0.7:1", "10.0.0.8:2"), udp("[fe80::1]:1", "[fe80::2]:2"), udp("[a00:7::]:1", "[a00:8::]:2"), mapped)
	return &guarded{t, ns, c, ns.tableLines()}
}

func (g *guarded) refused(what string, err error, field string) {
	g.Helper()
	details := wantErrno(g, what, err, syscall.EINVAL)
	if !strings.Contains(details.Text, field) {
		g.Errorf("%s: %q does not name %s", what, details.Text, field)
	}
}

func (g *guarded) untouched(what string) {
	g.Helper()
	if now := g.ns.tableLines(); !slices.Equal(now, g.before) {
		g.Fatalf("%s: changed the table: %v, before %v", what, now, g.before)
	}
}

func TestAWrongFilterIsRefusedByNameAndChangesNothing(t *testing.T) {
	g := newGuarded(t)
	right := zone(7)
	for what, wrong := range wrongFilters() {
		field := "filter[1]" + wrong.field
		_, err := g.c.Delete(ctx, right, wrong.filter)
		g.refused(what, err, field)
		_, err = g.c.DeleteUncounted(ctx, right, wrong.filter)
		g.refused(what, err, field)
		_, err = g.c.List(ctx, right, wrong.filter)
		g.refused(what, err, field)
		loops := 0
		for _, err := range g.c.All(ctx, right, wrong.filter) {
			g.refused(what, err, field)
			loops++
		}
		if loops != 1 {
			t.Fatalf("%s: All gave %d pairs", what, loops)
		}
		excluding := wrong.filter
		excluding.Exclude = true
		_, err = g.c.Delete(ctx, right, excluding)
		g.refused(what+", excluding", err, field)
		g.untouched(what)
	}
}

func TestADeleteOfEverythingIsRefused(t *testing.T) {
	g := newGuarded(t)
	excluding := zone(7)
	excluding.Exclude = true
	for what, filters := range map[string][]ctrack.Filter{
		"no filter":             nil,
		"an empty filter":       {{}},
		"one empty among two":   {zone(7), {}},
		"only excluding":        {excluding},
		"excludes everything":   {zone(7), {Exclude: true}},
		"mark of mask 0":        {{Mark: ctrack.MarkMasked(0, 0)}},
		"labels of mask 0":      {{Labels: ctrack.LabelsMasked(ctrack.Labels{}, ctrack.Labels{})}},
		"what all entries have": {{StatusSet: ctrack.StatusConfirmed}},
		"an id alone":           {zone(7), {ID: ctrack.Is[uint32](1)}},
	} {
		result, err := g.c.Delete(ctx, filters...)
		g.refused(what, err, "filter")
		if result != (ctrack.Result{}) {
			t.Errorf("%s: %+v", what, result)
		}
		_, err = g.c.DeleteUncounted(ctx, filters...)
		g.refused(what, err, "filter")
		g.untouched(what)
	}
	for what, scope := range map[string]ctrack.Scope{
		"empty scope": {}, "mark of mask 0": {Mark: ctrack.MarkMasked(0, 0)}, "confirmed": {StatusSet: ctrack.StatusConfirmed},
		"family 3": {Family: ctrack.Is(ctrack.Family(3))}, "mark": {Zone: ctrack.Is[uint16](7), Mark: ctrack.MarkMasked(1, 0)},
		"status": {StatusSet: 1 << 20},
	} {
		g.refused(what, g.c.Flush(ctx, scope), "scope")
		g.untouched(what)
	}
	_, err := g.c.FreeZone(ctx, 2, 1)
	g.refused("zones upside down", err, "zone")
}

func TestAFilterMakerWithAWrongArgumentMakesNoFilterThatCanBeUsed(t *testing.T) {
	g := newGuarded(t)
	vip := addrPort("10.0.0.8:2")
	rule := ctrack.Rule{Direction: ctrack.Ingress, CIDR: prefix("10.0.0.0/8"), Remotes: ctrack.Hosts(addr("10.0.0.7"))}
	with := func(change func(r *ctrack.Rule)) []ctrack.Filter {
		changed := rule
		change(&changed)
		return changed.Filters()
	}
	for what, filters := range map[string][]ctrack.Filter{
		"no dead endpoint":          ctrack.DeadEndpoint(),
		"dead endpoint: none":       ctrack.DeadEndpoint(addr("10.0.0.7"), netip.Addr{}),
		"dead endpoint: mapped":     ctrack.DeadEndpoint(addr("::ffff:10.0.0.7")),
		"dead endpoint: interface":  ctrack.DeadEndpoint(addr("fe80::1%lo")),
		"service without address":   ctrack.ChangedService(ctrack.UDP, netip.AddrPort{}),
		"service without ports":     ctrack.ChangedService(ctrack.ICMP, vip),
		"service: endpoint none":    ctrack.ChangedService(ctrack.UDP, vip, netip.AddrPort{}),
		"service: endpoint mapped":  ctrack.ChangedService(ctrack.UDP, vip, addrPort("[::ffff:10.0.0.9]:2")),
		"service: other family":     ctrack.ChangedService(ctrack.UDP, vip, addrPort("[1::1]:2")),
		"dead endpoint: 0.0.0.0":    ctrack.DeadEndpoint(addr("0.0.0.0")),
		"service on any address":    ctrack.ChangedService(ctrack.UDP, addrPort("[::]:53")),
		"service: endpoint ::":      ctrack.ChangedService(ctrack.UDP, vip, addrPort("0.0.0.0:53")),
		"rule: CIDR 0.0.0.0/32":     with(func(r *ctrack.Rule) { r.CIDR = prefix("0.0.0.0/32") }),
		"rule: remote 0.0.0.0/32":   with(func(r *ctrack.Rule) { r.Remotes = ctrack.Hosts(addr("0.0.0.0")) }),
		"rule without direction":    with(func(r *ctrack.Rule) { r.Direction = 0 }),
		"rule without CIDR":         with(func(r *ctrack.Rule) { r.CIDR = netip.Prefix{} }),
		"rule: CIDR of none":        with(func(r *ctrack.Rule) { r.CIDR = ctrack.Host(netip.Addr{}) }),
		"rule without remotes":      with(func(r *ctrack.Rule) { r.Remotes = nil }),
		"rule with empty remotes":   with(func(r *ctrack.Rule) { r.Remotes = []netip.Prefix{} }),
		"rule: some and any":        with(func(r *ctrack.Rule) { r.AnyRemote = true }),
		"rule: remote is no prefix": with(func(r *ctrack.Rule) { r.Remotes = append(r.Remotes, netip.Prefix{}) }),
		"rule: other family":        with(func(r *ctrack.Rule) { r.Remotes = ctrack.Hosts(addr("1::1")) }),
		"rule: mapped remote":       with(func(r *ctrack.Rule) { r.Remotes = ctrack.Hosts(addr("::ffff:10.0.0.7")) }),
		"rule: wrong family":        with(func(r *ctrack.Rule) { r.Family = ctrack.Is(ctrack.IPv6) }),
	} {
		_, err := g.c.Delete(ctx, filters...)
		g.refused(what, err, "filter")
		// A list of everything would be as bad: the next step is a delete of what was listed.
		listed, err := g.c.List(ctx, filters...)
		g.refused(what, err, "filter")
		if listed != nil {
			t.Errorf("%s: lists %v", what, listed)
		}
		g.untouched(what)
	}
}

func TestAWrongEntryIsRefusedByNameAndChangesNothing(t *testing.T) {
	g := newGuarded(t)
	with := func(change func(e *ctrack.Entry)) ctrack.Entry {
		e := udp("9.9.9.9:1", "8.8.8.8:2")
		change(&e)
		return e
	}
	type wrong struct {
		entry ctrack.Entry
		field string
	}
	forgotten := list(t, g.c, zone(7))[0]
	forgotten.Has &^= ctrack.HasZone
	keys := map[string]wrong{
		"nothing":            {ctrack.Entry{}, ".orig"},
		"no addresses":       {ctrack.Entry{Proto: ctrack.UDP, Mark: 1}, ".orig"},
		"no source":          {with(func(e *ctrack.Entry) { e.Orig.Src = netip.Addr{} }), ".orig.src"},
		"no destination":     {with(func(e *ctrack.Entry) { e.Orig.Dst = netip.Addr{} }), ".orig.dst"},
		"half a reply":       {with(func(e *ctrack.Entry) { e.Reply.Src = addr("1.1.1.1") }), ".reply.dst"},
		"two families":       {with(func(e *ctrack.Entry) { e.Orig.Dst = addr("1::1") }), ".orig.dst"},
		"wrong family":       {with(func(e *ctrack.Entry) { e.Family = ctrack.IPv6 }), ".orig.src"},
		"family 7":           {with(func(e *ctrack.Entry) { e.Family = 7 }), ".family"},
		"mapped":             {with(func(e *ctrack.Entry) { e.Orig.Src = addr("::ffff:10.0.0.7") }), ".orig.src"},
		"mapped in IPv4":     {with(func(e *ctrack.Entry) { e.Orig.Src, e.Family = addr("::ffff:10.0.0.7"), ctrack.IPv4 }), ".orig.src"},
		"interface":          {with(func(e *ctrack.Entry) { e.Orig = ctrack.Tuple{Src: addr("fe80::1%lo"), Dst: addr("fe80::2")} }), ".orig.src"},
		"ports of ICMP":      {with(func(e *ctrack.Entry) { e.Proto = ctrack.ICMP }), ".proto"},
		"ICMP of UDP":        {with(func(e *ctrack.Entry) { e.Orig.ICMPID = 1 }), ".proto"},
		"zone direction 3":   {with(func(e *ctrack.Entry) { e.Zone, e.ZoneDir = 7, 3 }), ".zone"},
		"negative timeout":   {with(func(e *ctrack.Entry) { e.Timeout = -time.Second }), ".timeout"},
		"timeout of 2^32 s":  {with(func(e *ctrack.Entry) { e.Timeout = 1 << 32 * time.Second }), ".timeout"},
		"start before 1970":  {with(func(e *ctrack.Entry) { e.Start = time.Unix(-1, 0) }), ".start_ns"},
		"label 128":          {with(func(e *ctrack.Entry) { e.Labels = ctrack.LabelSet(128) }), ".labels"},
		"helper of 16 bytes": {with(func(e *ctrack.Entry) { e.Helper = "0123456789abcdef" }), ".helper"},
		"helper with a NUL":  {with(func(e *ctrack.Entry) { e.Helper = "a\x00" }), ".helper"},
		"unknown Has":        {with(func(e *ctrack.Entry) { e.Has = 1 << 50; e.Family = ctrack.IPv4 }), ": announces"},
		"forgotten in Has":   {forgotten, ".zone"},
	}
	// A key may have them; what is to be made may not.
	values := map[string]wrong{
		"TCP state of UDP":  {with(func(e *ctrack.Entry) { e.TCP.State = ctrack.TCPEstablished }), ".tcp_state"},
		"SCTP state of UDP": {with(func(e *ctrack.Entry) { e.SCTP.State = ctrack.SCTPClosed }), ".sctp_state"},
	}
	for what, wrong := range values {
		_, err := g.c.Create(ctx, []ctrack.Entry{udp("9.9.9.9:1", "8.8.8.8:2"), wrong.entry})
		g.refused(what, err, "entry[1]"+wrong.field)
		g.untouched(what)
	}
	right := list(t, g.c)[0]
	for what, wrong := range keys {
		field := "entry[1]" + wrong.field
		batch, err := g.c.DeleteEntries(ctx, []ctrack.Entry{right, wrong.entry})
		g.refused(what, err, field)
		if batch.Status != nil || batch.Done != 0 {
			t.Errorf("%s: %+v", what, batch)
		}
		_, err = g.c.Create(ctx, []ctrack.Entry{udp("9.9.9.9:1", "8.8.8.8:2"), wrong.entry})
		g.refused(what, err, field)
		_, err = g.c.Get(ctx, wrong.entry)
		g.refused(what, err, "key"+wrong.field)
		if _, err := wrong.entry.MarshalJSON(); err == nil && strings.Contains(wrong.field, "src") {
			t.Errorf("%s: there is JSON of it", what)
		}
		g.untouched(what)
	}
	for what, wrong := range map[string]struct {
		change ctrack.Change
		field  string
	}{
		"nothing to change": {ctrack.Change{Key: right}, ": nothing to change"},
		"no key":            {ctrack.Change{Mark: ctrack.MarkIs(1)}, ".orig"},
		"mark outside mask": {ctrack.Change{Key: right, Mark: ctrack.MarkMasked(3, 1)}, ".mark"},
		"TCP state of UDP":  {ctrack.Change{Key: udp("9.9.9.9:1", "8.8.8.8:2"), TCPState: ctrack.Is(ctrack.TCPEstablished)}, ".tcp_state"},
		"helper too long":   {ctrack.Change{Key: right, Helper: ctrack.Is("0123456789abcdef")}, ".helper"},
	} {
		_, err := g.c.Update(ctx, []ctrack.Change{{Key: right, Mark: ctrack.MarkIs(77)}, wrong.change})
		g.refused(what, err, "entry[1]"+wrong.field)
		g.untouched(what)
	}
}

func TestWrongOptionsAreRefusedByName(t *testing.T) {
	for field, options := range map[string]ctrack.Options{
		"Timeout": {Timeout: -1}, "ReceiveBuffer": {ReceiveBuffer: -1}, "MaxHandles": {MaxHandles: -1},
		"options.Timeout": {Timeout: math.MaxInt64}, "bad file descriptor": {Namespace: ctrack.NamespaceFD(1 << 32)},
		"namespace: what is given is none": {Namespace: ctrack.NamespacePath("/dev/null")},
		"network namespace":                {Namespace: ctrack.NamespaceFD(-1)}, "/does/not/exist": {Namespace: ctrack.NamespacePath("/does/not/exist")},
	} {
		before := descriptors(t)
		c, err := ctrack.Open(options)
		if c != nil || err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v, %v", field, c, err)
		}
		if after := descriptors(t); after != before {
			t.Errorf("%s: %d descriptors, before %d", field, after, before)
		}
	}
	_, err := ctrack.Open(ctrack.Options{Namespace: ctrack.NamespacePath("/proc/self/ns/uts")})
	if !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a namespace of another kind: %v", err)
	}
}

func TestAConnThatOpenDidNotMakeIsLikeAClosedOne(t *testing.T) {
	for what, c := range map[string]*ctrack.Conn{"nil": nil, "zero": new(ctrack.Conn)} {
		errs := map[string]error{"flush all": c.FlushAll(ctx), "flush": c.Flush(ctx, ctrack.Scope{Zone: ctrack.Is[uint16](7)})}
		_, errs["list"] = c.List(ctx)
		_, errs["get"] = c.Get(ctx, udp("10.0.0.7:1", "10.0.0.8:2"))
		_, errs["count"] = c.Count(ctx)
		_, errs["free zone"] = c.FreeZone(ctx, 1, 2)
		_, errs["delete"] = c.Delete(ctx, zone(7))
		_, errs["delete entries"] = c.DeleteEntries(ctx, nil)
		_, errs["create"] = c.Create(ctx, nil)
		_, errs["update"] = c.Update(ctx, nil)
		for _, err := range c.All(ctx) {
			errs["all"] = err
		}
		for call, err := range errs {
			if !errors.Is(err, ctrack.ErrClosed) {
				t.Errorf("%s, %s: %v", what, call, err)
			}
		}
		if err := c.Close(); err != nil || errs["all"] == nil {
			t.Errorf("%s: %v, %v", what, err, errs["all"])
		}
	}
}

func TestAFIFOInPlaceOfANamespaceIsRefusedAndNotWaitedFor(t *testing.T) {
	path := t.TempDir() + "/fifo"
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		_, err := ctrack.Open(ctrack.Options{Namespace: ctrack.NamespacePath(path)})
		opened <- err
	}()
	select {
	case err := <-opened:
		wantErrno(t, "a FIFO", err, syscall.EINVAL)
	case <-time.After(time.Minute):
		t.Fatal("it is waited for")
	}
}

func TestMappedAddressesAreThoseOfIPv6WhereThatIsSaid(t *testing.T) {
	ns := newNetns(t)
	c := ns.open(ctrack.Options{})
	mapped := udp("[::ffff:10.0.0.7]:1", "[::ffff:10.0.0.8]:2")
	mapped.Family = ctrack.IPv6
	plain := udp("10.0.0.7:1", "10.0.0.8:2")
	create(t, c, mapped, plain)
	filter := ctrack.Filter{Family: ctrack.Is(ctrack.IPv6), OrigSrc: ctrack.Host(addr("::ffff:10.0.0.7"))}
	listed := list(t, c, filter)
	wantEntries(t, "the mapped one", listed, []ctrack.Entry{mapped})
	batch, err := c.DeleteEntries(ctx, listed)
	wantResult(t, "delete", batch.Result, err, ctrack.Result{Matched: 1, Done: 1})
	wantEntries(t, "the plain one", list(t, c), []ctrack.Entry{plain})
	result, err := c.Delete(ctx, filter)
	wantResult(t, "delete again", result, err, ctrack.Result{})
	result, err = c.Delete(ctx, ctrack.Filter{OrigSrc: ctrack.Host(addr("::ffff:10.0.0.7").Unmap())})
	wantResult(t, "delete the plain one", result, err, ctrack.Result{Matched: 1, Done: 1})
}
