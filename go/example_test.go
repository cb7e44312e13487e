// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"context"
	"ctrack"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// table opens a Conn on an empty table and fills it: two clients call a DNS service at 10.96.0.10, which has two endpoints.
func table() *ctrack.Conn {
	conn, err := ctrack.Open(ctrack.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := conn.FlushAll(ctx); err != nil {
		log.Fatal(err)
	}
	var entries []ctrack.Entry
	for i, endpoint := range []string{"10.0.0.7:53", "10.0.0.8:53"} {
		e := ctrack.Key(ctrack.UDP, netip.MustParseAddrPort("10.0.1.1:4000"), netip.MustParseAddrPort("10.96.0.10:53"))
		e.Orig.SrcPort += uint16(i)
		to := netip.MustParseAddrPort(endpoint)
		e.Reply = ctrack.Tuple{Src: to.Addr(), SrcPort: to.Port(), Dst: e.Orig.Src, DstPort: e.Orig.SrcPort}
		e.Status = ctrack.StatusDstNAT | ctrack.StatusSeenReply
		e.Timeout = 100 * time.Second
		entries = append(entries, e)
	}
	if _, err := conn.Create(ctx, entries); err != nil {
		log.Fatal(err)
	}
	return conn
}

func Example() {
	conn := table()
	defer conn.Close()

	entries, err := conn.List(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	slices.SortFunc(entries, func(a, b ctrack.Entry) int { return int(a.Orig.SrcPort) - int(b.Orig.SrcPort) })
	for _, e := range entries {
		fmt.Println(e.Proto, e.Orig.Source(), "->", e.Orig.Destination(), "answered by", e.Reply.Source())
	}
	// Output:
	// udp 10.0.1.1:4000 -> 10.96.0.10:53 answered by 10.0.0.7:53
	// udp 10.0.1.1:4001 -> 10.96.0.10:53 answered by 10.0.0.8:53
}

func ExampleConn_All() {
	conn := table()
	defer conn.Close()

	dns := ctrack.Filter{Proto: ctrack.Is(ctrack.UDP), OrigDstPort: ctrack.Port(53)}
	endpoints := map[netip.Addr]int{}
	for e, err := range conn.All(context.Background(), dns) {
		if err != nil {
			log.Fatal(err)
		}
		endpoints[e.Reply.Src]++
	}
	fmt.Println(endpoints)
	// Output: map[10.0.0.7:1 10.0.0.8:1]
}

func ExampleDeadEndpoint() {
	conn := table()
	defer conn.Close()

	result, err := conn.Delete(context.Background(), ctrack.DeadEndpoint(netip.MustParseAddr("10.0.0.7"))...)
	fmt.Println(result.Done, "deleted,", result.Gone, "were gone already,", err)
	// Output: 1 deleted, 0 were gone already, <nil>
}

func ExampleChangedService() {
	conn := table()
	defer conn.Close()

	// 10.0.0.8 is the only endpoint that is left.
	vip, live := netip.MustParseAddrPort("10.96.0.10:53"), netip.MustParseAddrPort("10.0.0.8:53")
	result, err := conn.Delete(context.Background(), ctrack.ChangedService(ctrack.UDP, vip, live)...)
	fmt.Println(result.Done, err)
	// Output: 1 <nil>
}

func ExampleRule() {
	conn := table()
	defer conn.Close()

	rule := ctrack.Rule{
		Zone:      0,
		Proto:     ctrack.Is(ctrack.UDP),
		Direction: ctrack.Egress,
		CIDR:      netip.MustParsePrefix("10.0.1.1/32"),
		Remotes:   ctrack.Hosts(netip.MustParseAddr("10.96.0.10"), netip.MustParseAddr("10.96.0.11")),
	}
	result, err := conn.Delete(context.Background(), rule.Filters()...)
	fmt.Println(result.Done, err)
	// Output: 2 <nil>
}

func ExampleConn_Get() {
	conn := table()
	defer conn.Close()

	key := ctrack.Key(ctrack.UDP, netip.MustParseAddrPort("10.0.1.1:4000"), netip.MustParseAddrPort("10.96.0.10:53"))
	e, err := conn.Get(context.Background(), key)
	fmt.Println(e.Reply.Src, e.Status, err)

	_, err = conn.Get(context.Background(), key.InZone(9, ctrack.ZoneBoth))
	fmt.Println(errors.Is(err, syscall.ENOENT))
	// Output:
	// 10.0.0.7 SEEN_REPLY|CONFIRMED|DST_NAT|SRC_NAT_DONE|DST_NAT_DONE <nil>
	// true
}

func ExampleConn_Update() {
	conn := table()
	defer conn.Close()

	key := ctrack.Key(ctrack.UDP, netip.MustParseAddrPort("10.0.1.1:4000"), netip.MustParseAddrPort("10.96.0.10:53"))
	batch, err := conn.Update(context.Background(), []ctrack.Change{
		{Key: key, Mark: ctrack.MarkMasked(0x10, 0xf0)},
		{Key: key.InZone(9, ctrack.ZoneBoth), Mark: ctrack.MarkIs(0)},
	})
	fmt.Println(batch.Done, batch.Gone, batch.Status[1], err)
	// Output: 1 1 no such file or directory <nil>
}

func ExampleError() {
	conn := table()
	defer conn.Close()

	_, err := conn.Delete(context.Background())
	fmt.Println(err)
	_, err = conn.List(context.Background(), ctrack.Filter{OrigSrc: netip.MustParsePrefix("10.0.0.7/8")})
	fmt.Println(err)
	var details *ctrack.Error
	fmt.Println(errors.As(err, &details), details.Op, details.Errno)
	// Output:
	// ctrack: delete: filter: no including filter: nothing says what to delete
	// ctrack: list: filter[0].orig_src: 10.0.0.7/8 has bits set behind the prefix
	// true list invalid argument
}

func ExampleOpenWatch() {
	conn := table()
	defer conn.Close()

	watch, err := ctrack.OpenWatch(ctrack.WatchOptions{Sync: true}, ctrack.Filter{Proto: ctrack.Is(ctrack.UDP)})
	if err != nil {
		log.Fatal(err)
	}
	defer watch.Close()
	there := 0
	for event, err := range watch.Events(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		switch event.Kind {
		case ctrack.New:
			there++
		case ctrack.Destroy:
			there--
		case ctrack.Lost:
			fmt.Println("something was lost; what follows repairs it")
		case ctrack.Synced:
			fmt.Println(there, "entries")
			return
		}
	}
	// Output: 2 entries
}

func ExampleNewMirror() {
	conn := table()
	defer conn.Close()

	mirror, err := ctrack.NewMirror(context.Background(), ctrack.MirrorOptions{}, ctrack.Filter{Proto: ctrack.Is(ctrack.UDP)})
	if err != nil {
		log.Fatal(err)
	}
	defer mirror.Close()
	if err := mirror.WaitSynced(context.Background()); err != nil {
		log.Fatal(err)
	}
	// No call of the kernel from here on.
	found, err := mirror.Select(ctrack.Filter{ReplySrc: netip.MustParsePrefix("10.0.0.7/32")})
	fmt.Println(mirror.Len(), len(found), err)
	// Output: 2 1 <nil>
}
