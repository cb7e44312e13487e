// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// seenDirection is one direction of an entry, as the conntrack program shows it.
type seenDirection struct {
	src, dst netip.Addr
	// Also the keys of GRE, and type, code and identifier of ICMP.
	numbers  string
	zone     string
	counters string
}

// seen is one entry, as the conntrack program shows it. What it does not show is "".
type seen struct {
	family, proto                         int
	timeout, state                        string
	direction                             [2]seenDirection
	unreplied, assured                    bool
	mark, zone, helper, use, id, labelSet string
}

// fromLine takes a line of `conntrack -L -o extended,id` apart, perhaps with labels.
func fromLine(t testing.TB, line string) seen {
	t.Helper()
	words := strings.Fields(line)
	family, err := strconv.Atoi(words[1])
	proto, err2 := strconv.Atoi(words[3])
	if err != nil || err2 != nil {
		t.Fatalf("%s: %v %v", line, err, err2)
	}
	s := seen{family: family, proto: proto}
	at := -1
	for _, word := range words[4:] {
		name, value, pair := strings.Cut(word, "=")
		switch {
		case word == "[UNREPLIED]":
			s.unreplied = true
		case word == "[ASSURED]":
			s.assured = true
		case !pair && strings.Trim(word, "0123456789") == "":
			s.timeout = word
		case !pair:
			s.state = word
		case name == "src":
			at++
			s.direction[at].src = netip.MustParseAddr(value)
		case name == "dst":
			s.direction[at].dst = netip.MustParseAddr(value)
		case slices.Contains([]string{"sport", "dport", "srckey", "dstkey", "type", "code"}, name), name == "id" && s.use == "":
			value, err := strconv.ParseUint(value, 0, 16)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			s.direction[at].numbers += fmt.Sprintf("%s=%d ", name, value)
		case name == "packets" || name == "bytes":
			s.direction[at].counters += word + " "
		case name == "zone-orig":
			s.direction[0].zone = value
		case name == "zone-reply":
			s.direction[1].zone = value
		case name == "mark":
			s.mark = value
		case name == "zone":
			s.zone = value
		case name == "helper":
			s.helper = value
		case name == "use":
			s.use = value
		case name == "id":
			s.id = value
		case name == "labels":
			names := strings.Split(strings.ReplaceAll(value, "bit", ""), ",")
			slices.SortFunc(names, func(a, b string) int { return len(a)*1000 - len(b)*1000 + strings.Compare(a, b) })
			s.labelSet = strings.Join(names, ",")
		case name == "delta-time":
		default:
			t.Fatalf("the conntrack program says %s, which this test does not know", word)
		}
	}
	return s
}

// fromEntry is what the program should say of an entry.
func fromEntry(e ctrack.Entry) seen {
	when := func(bit ctrack.Has, text any) string {
		if e.Has.All(bit) {
			return fmt.Sprint(text)
		}
		return ""
	}
	direction := func(t ctrack.Tuple, zone, counted ctrack.Has, counters ctrack.Counters) seenDirection {
		d := seenDirection{src: t.Src, dst: t.Dst, zone: when(zone, e.Zone)}
		switch {
		case e.Has.All(ctrack.HasICMP):
			d.numbers = fmt.Sprintf("type=%d code=%d id=%d ", t.ICMPType, t.ICMPCode, t.ICMPID)
		case e.Proto == ctrack.GRE && e.Has.All(ctrack.HasPorts):
			d.numbers = fmt.Sprintf("srckey=%d dstkey=%d ", t.SrcPort, t.DstPort)
		case e.Has.All(ctrack.HasPorts), e.Proto == ctrack.DCCP:
			// Where the kernel does not track DCCP the program shows ports of 0.
			d.numbers = fmt.Sprintf("sport=%d dport=%d ", t.SrcPort, t.DstPort)
		}
		d.counters = when(counted, fmt.Sprintf("packets=%d bytes=%d ", counters.Packets, counters.Bytes))
		return d
	}
	s := seen{
		family: int(e.Family), proto: int(e.Proto),
		timeout: when(ctrack.HasTimeout, int(e.Timeout/time.Second)),
		direction: [2]seenDirection{
			direction(e.Orig, ctrack.HasOrigZone, ctrack.HasOrigCounters, e.OrigCounters),
			direction(e.Reply, ctrack.HasReplyZone, ctrack.HasReplyCounters, e.ReplyCounters),
		},
		unreplied: !e.Status.All(ctrack.StatusSeenReply), assured: e.Status.All(ctrack.StatusAssured),
		mark: when(ctrack.HasMark, e.Mark), zone: when(ctrack.HasZone, e.Zone), helper: when(ctrack.HasHelper, e.Helper),
		use: when(ctrack.HasUse, e.Use), id: when(ctrack.HasID, e.ID), labelSet: when(ctrack.HasLabels, e.Labels),
	}
	switch e.Proto {
	case ctrack.TCP:
		s.state = when(ctrack.HasTCPState, e.TCP.State)
	case ctrack.SCTP:
		s.state = when(ctrack.HasSCTP, e.SCTP.State)
	}
	return s
}

// conntrackWithLabels is conntrack with `-o labels` too. That wants a file with label names: one in which bit n is called
// "bit<n>" is put in place for this one process.
func (ns *netns) conntrackWithLabels() []string {
	ns.T.Helper()
	const script = `mount -t tmpfs tmpfs /etc && mkdir /etc/xtables && cat > /etc/xtables/connlabel.conf &&
		conntrack -L -f ipv4 -o extended,id,labels && conntrack -L -f ipv6 -o extended,id,labels`
	var names strings.Builder
	for bit := range 128 {
		fmt.Fprintf(&names, "%d bit%d\n", bit, bit)
	}
	output := ns.Feed(names.String(), "unshare", "-m", "sh", "-c", script)
	return strings.Split(strings.TrimSuffix(output, "\n"), "\n")
}

// lineID is the ID at the end of a line, perhaps before its labels.
func lineID(t testing.TB, line string) uint32 {
	t.Helper()
	_, rest, _ := strings.Cut(line, " use=")
	_, rest, _ = strings.Cut(rest, " id=")
	rest, _, _ = strings.Cut(rest, " ")
	id, err := strconv.ParseUint(rest, 10, 32)
	if err != nil {
		t.Fatalf("no id: %s", line)
	}
	return uint32(id)
}

// agree compares what the program says of each entry with what the library says just before and just after. Timeouts tick, packets
// come in, references are held for a moment: a disagreement counts only if it stays.
func agree[T comparable](t *testing.T, c *ctrack.Conn, ours func(ctrack.Entry) T, theirs func() map[uint32]T) {
	t.Helper()
	var differences []string
	for range 40 {
		render := func() map[uint32]T {
			all := map[uint32]T{}
			for _, e := range list(t, c) {
				all[e.ID] = ours(e)
			}
			return all
		}
		before, said, after := render(), theirs(), render()
		differences = nil
		if len(said) == 0 {
			t.Fatal("the conntrack program shows nothing")
		}
		for id, text := range said {
			if before[id] != text && after[id] != text {
				differences = append(differences, fmt.Sprintf("conntrack: %v\n  ctrack: %v", text, after[id]))
			}
		}
		for id, text := range after {
			if _, shown := said[id]; !shown {
				differences = append(differences, fmt.Sprintf("only ctrack: %v", text))
			}
		}
		if differences == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%d differences, the first of them:\n%s", len(differences), strings.Join(differences[:min(10, len(differences))], "\n"))
}
