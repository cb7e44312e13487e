// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// wantFailure checks a batch in which some entries failed: the error names the first and says how many more.
func wantFailure(t *testing.T, what string, batch ctrack.Batch, err error, status map[int]syscall.Errno, total int, text ...string) {
	t.Helper()
	first, failed := -1, 0
	for i := range total {
		if want, has := status[i]; has {
			failed++
			if first < 0 {
				first = i
			}
			if batch.Status[i] != want {
				t.Errorf("%s: status %d is %v, want %v", what, i, batch.Status[i], want)
			}
		} else if batch.Status[i] != 0 {
			t.Errorf("%s: status %d is %v", what, i, batch.Status[i])
		}
	}
	if batch.Matched != total || batch.Done != total-failed || batch.Gone != 0 || batch.Failed != failed || batch.FirstError != status[first] {
		t.Errorf("%s: %+v", what, batch.Result)
	}
	details := wantErrno(t, what, err, status[first])
	for _, part := range text {
		if !strings.Contains(details.Text, part) {
			t.Errorf("%s: %q lacks %q", what, details.Text, part)
		}
	}
	if strings.Contains(details.Text, details.Op) {
		t.Errorf("%s: %q names the operation twice", what, err)
	}
}

func TestImpossibleEntriesHaveAStatusAndAReasonAndTheOthersAreMade(t *testing.T) {
	c := newNetns(t).open(ctrack.Options{})
	for i := range 10 {
		create(t, c, udp(fmt.Sprintf("1.1.1.1:%d", i+1), "2.2.2.2:2"))
	}
	listed := list(t, c)
	if err := c.FlushAll(ctx); err != nil {
		t.Fatal(err)
	}
	listed[3].Timeout = 0
	listed[5].Status |= ctrack.StatusExpected
	listed[7].Status |= 1 << 20
	// The timeout of an offloaded entry is not known.
	listed[8].Status, listed[8].Timeout, listed[8].Has = listed[8].Status|ctrack.StatusOffload, 0, listed[8].Has&^ctrack.HasTimeout
	batch, err := c.Create(ctx, listed)
	no := syscall.EOPNOTSUPP
	wantFailure(t, "create", batch, err, map[int]syscall.Errno{3: syscall.ETIME, 5: no, 7: no, 8: no}, 10,
		"entry[3]: expired: its timeout is 0; and 3 more")
	if n := count(t, c); n != 6 {
		t.Errorf("%d entries were made", n)
	}

	tcp10 := tcp("3.3.3.3:1", "2.2.2.2:2")
	tcp10.TCP.State = 10
	scale15 := tcp("3.3.3.3:2", "2.2.2.2:2")
	scale15.TCP.OrigWindowScale = 15
	batch, err = c.Create(ctx, []ctrack.Entry{tcp("3.3.3.3:3", "2.2.2.2:2"), tcp10, scale15})
	wantFailure(t, "values", batch, err, map[int]syscall.Errno{1: no, 2: no}, 3, "entry[1]: ", "later kernel", "; and 1 more")

	right := list(t, c)[0]
	batch, err = c.Update(ctx, []ctrack.Change{
		{Key: right, Mark: ctrack.MarkIs(1)},
		{Key: right, Timeout: ctrack.Is(time.Duration(0))},
		{Key: right, Mark: ctrack.MarkIs(2)},
	})
	wantFailure(t, "update", batch, err, map[int]syscall.Errno{1: syscall.ETIME}, 3, "entry[1]: expired: a timeout of 0 would delete")
	if now, err := c.Get(ctx, right); err != nil || now.Mark != 2 {
		t.Errorf("%v, %v", now, err)
	}

	// A timeout is missing: nothing is sent.
	malformed := udp("4.4.4.4:1", "2.2.2.2:2")
	malformed.Timeout = 0
	before := count(t, c)
	batch, err = c.Create(ctx, []ctrack.Entry{udp("4.4.4.4:2", "2.2.2.2:2"), tcp10, malformed})
	details := wantErrno(t, "malformed", err, syscall.EINVAL)
	if batch.Status != nil || !strings.HasPrefix(details.Text, "entry[2].timeout: ") || count(t, c) != before {
		t.Errorf("%+v, %v, %d entries", batch, err, count(t, c))
	}
}

func TestNATIsMadeAsAskedOrNotAtAll(t *testing.T) {
	c := newNetns(t).open(ctrack.Options{})
	for _, family := range []ctrack.Family{ctrack.IPv4, ctrack.IPv6} {
		proto, query, answer := ctrack.ICMP, uint8(8), uint8(0)
		if family == ctrack.IPv6 {
			proto, query, answer = ctrack.ICMPv6, 128, 129
		}
		dst, public := of(family, "10.0.0.2 fd00::2"), of(family, "192.0.2.1 fd01::1")
		ping := func(src string, id uint16) ctrack.Entry {
			e := ctrack.Entry{Proto: proto, Status: ctrack.StatusSrcNAT, Timeout: time.Hour}
			e.Orig = ctrack.Tuple{Src: of(family, src), Dst: dst, ICMPType: query, ICMPID: 77}
			e.Reply = ctrack.Tuple{Src: dst, Dst: public, ICMPType: answer, ICMPID: id}
			return e
		}
		// The second wants what the first has.
		batch, err := c.Create(ctx, []ctrack.Entry{ping("10.0.0.1 fd00::1", 55), ping("10.0.0.3 fd00::3", 55), ping("10.0.0.4 fd00::4", 66)})
		wantFailure(t, "ping", batch, err, map[int]syscall.Errno{1: syscall.EEXIST}, 3, "entry[1]: entry exists")
		var ids []uint16
		for _, e := range list(t, c) {
			if e.Proto == proto {
				ids = append(ids, e.Reply.ICMPID)
			}
		}
		if slices.Sort(ids); !slices.Equal(ids, []uint16{55, 66}) {
			t.Errorf("ids %v", ids)
		}
	}
	half := udp("10.0.0.1:77", "10.0.0.2:53")
	half.Status = ctrack.StatusSrcNAT
	half.Reply = ctrack.Tuple{Src: addr("10.9.9.9"), Dst: addr("192.0.2.1"), SrcPort: 53, DstPort: 77}
	batch, err := c.Create(ctx, []ctrack.Entry{half, udp("10.0.0.1:78", "10.0.0.2:53")})
	wantFailure(t, "half", batch, err, map[int]syscall.Errno{0: syscall.EINVAL}, 2, "entry[0]: ", "DST_NAT is missing")
}
