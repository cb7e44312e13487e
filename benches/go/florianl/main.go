// SPDX-License-Identifier: MIT OR Apache-2.0

// Command florianl is github.com/florianl/go-conntrack, used by its documentation: Dump for each family, Query with a
// mark, the one thing that it can filter by. Its Delete does not send the zone, so of a table with zones it can delete
// next to nothing, and has no part in the deletes. Usage: florianl OPERATION SIZE
package main

import (
	"encoding/binary"

	"ctrack-benches/bench"

	"github.com/florianl/go-conntrack"
)

var nfct *conntrack.Nfct

var families = []conntrack.Family{conntrack.IPv4, conntrack.IPv6}

func dump(family conntrack.Family) []conntrack.Con {
	cons, err := nfct.Dump(conntrack.Conntrack, family)
	bench.Must(err)
	return cons
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// bytesOf gives four bytes for an address of IPv4.
func bytesOf(c *conntrack.Con, source bool) []byte {
	ip := *c.Origin.Dst
	if source {
		ip = *c.Origin.Src
	}
	if v4 := ip.To4(); v4 != nil {
		return v4
	}
	return ip
}

func reading(cons []conntrack.Con) (sum uint64) {
	for i := range cons {
		c := &cons[i]
		p := c.Origin.Proto
		sum += bench.Reading(bytesOf(c, true), bytesOf(c, false), value(p.SrcPort), value(p.DstPort), value(p.Number),
			value(c.Mark), value(c.Status))
	}
	return sum
}

func list(a bench.Arguments) bench.Result {
	var kept [2][]conntrack.Con
	bench.Start()
	for i, family := range families {
		kept[i] = dump(family)
	}
	bench.Stop()
	return bench.Result{
		N:     uint64(a.Size),
		Check: uint64(len(kept[0]) + len(kept[1])),
		Sum:   reading(kept[0]) + reading(kept[1]),
	}
}

func listPodZone(bench.Arguments) bench.Result {
	var kept []conntrack.Con
	zone := bench.PodZone(0)
	bench.Start()
	for _, family := range families {
		for _, c := range dump(family) {
			if value(c.Zone) == zone {
				kept = append(kept, c)
			}
		}
	}
	bench.Stop()
	return bench.Result{N: bench.PodFlows, Check: uint64(len(kept)), Sum: reading(kept)}
}

func listPodMark(bench.Arguments) bench.Result {
	var kept [2][]conntrack.Con
	filter := conntrack.FilterAttr{
		Mark:     binary.BigEndian.AppendUint32(nil, bench.PodMark(0)),
		MarkMask: []byte{0xff, 0xff, 0xff, 0xff},
	}
	bench.Start()
	for i, family := range families {
		cons, err := nfct.Query(conntrack.Conntrack, family, filter)
		bench.Must(err)
		kept[i] = cons
	}
	bench.Stop()
	return bench.Result{
		N:     bench.PodFlows,
		Check: uint64(len(kept[0]) + len(kept[1])),
		Sum:   reading(kept[0]) + reading(kept[1]),
	}
}

func main() {
	var err error
	nfct, err = conntrack.Open(&conntrack.Config{})
	bench.Must(err)
	bench.Main("florianl", map[string]func(bench.Arguments) bench.Result{
		"list":          list,
		"list-pod-zone": listPodZone,
		"list-pod-mark": listPodMark,
	})
}
