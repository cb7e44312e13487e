// SPDX-License-Identifier: MIT OR Apache-2.0

// Command ti-mo is github.com/ti-mo/conntrack, used by its documentation: Dump, DumpFilter with the zone, and Delete for
// each flow. It has no filter for addresses. Usage: ti-mo OPERATION SIZE [KNOWN or PODS]
package main

import (
	"net/netip"
	"time"

	"ctrack-benches/bench"

	"github.com/ti-mo/conntrack"
	"github.com/ti-mo/netfilter"
)

var conn *conntrack.Conn

func reading(flows []conntrack.Flow) (sum uint64) {
	for i := range flows {
		f := &flows[i]
		t := &f.TupleOrig
		sum += bench.Reading(t.IP.SourceAddress.AsSlice(), t.IP.DestinationAddress.AsSlice(), t.Proto.SourcePort,
			t.Proto.DestinationPort, t.Proto.Protocol, f.Mark, uint32(f.Status))
	}
	return sum
}

func list(a bench.Arguments) bench.Result {
	bench.Start()
	flows, err := conn.Dump(nil)
	bench.Must(err)
	bench.Stop()
	return bench.Result{N: uint64(a.Size), Check: uint64(len(flows)), Sum: reading(flows)}
}

func listFiltered(filter conntrack.Filter) bench.Result {
	bench.Start()
	flows, err := conn.DumpFilter(filter, nil)
	bench.Must(err)
	bench.Stop()
	return bench.Result{N: bench.PodFlows, Check: uint64(len(flows)), Sum: reading(flows)}
}

func deleteKnown(a bench.Arguments) bench.Result {
	sample := bench.NewSample(a.Some, a.Size)
	flows, err := conn.Dump(nil)
	bench.Must(err)
	victims := make([]conntrack.Flow, 0, a.Some)
	for _, f := range flows {
		if sample.Has(f.TupleOrig.IP.SourceAddress.AsSlice()) {
			victims = append(victims, f)
		}
	}
	bench.Start()
	for _, f := range victims {
		bench.Must(conn.Delete(f))
	}
	bench.Stop()
	return bench.Result{N: uint64(a.Some), Check: uint64(len(victims))}
}

// deletePods lists everything, for it cannot filter by address, and deletes what has one of the addresses.
func deletePods(pods uint32) bench.Result {
	done := uint64(0)
	bench.Start()
	wanted := make(map[netip.Addr]bool, pods)
	for pod := range pods {
		wanted[bench.PodAddress(pod)] = true
	}
	flows, err := conn.Dump(nil)
	bench.Must(err)
	for _, f := range flows {
		if wanted[f.TupleOrig.IP.SourceAddress] {
			bench.Must(conn.Delete(f))
			done++
		}
	}
	bench.Stop()
	return bench.Result{N: uint64(pods) * bench.PodFlows, Check: done}
}

var groups = []netfilter.NetlinkGroup{netfilter.GroupCTNew, netfilter.GroupCTUpdate, netfilter.GroupCTDestroy}

// readEvents: as long as nobody takes events from the channel, the worker is stopped by it, and the others wait in the socket.
func readEvents(a bench.Arguments) bench.Result {
	bench.Must(conn.SetReadBuffer(bench.EventBuffer))
	events := make(chan conntrack.Event)
	errors, err := conn.Listen(events, 1, groups)
	bench.Must(err)
	bench.MakeEvents(a.Size)
	r := bench.Result{N: uint64(a.Size)}
	flow := make([]conntrack.Flow, 1)
	bench.Start()
	for r.Check < r.N {
		select {
		case event := <-events:
			flow[0] = *event.Flow
			r.Sum += reading(flow)
			r.Check++
		case err := <-errors:
			bench.Must(err)
		}
	}
	bench.Stop()
	return r
}

// loseEvents is as the documentation has it: a channel with room for 1,024, four workers. An error is the end of a worker.
func loseEvents(a bench.Arguments) bench.Result {
	events := make(chan conntrack.Event, 1024)
	_, err := conn.Listen(events, 4, groups)
	bench.Must(err)
	r := bench.Result{N: uint64(a.Size)}
	bench.Start()
	made := bench.BeginEvents(a.Size)
	for idle := false; !idle; {
		select {
		case <-events:
			r.Check++
		case <-time.After(300 * time.Millisecond):
			select {
			case err := <-made:
				bench.Must(err)
				idle = true
			default:
			}
		}
	}
	bench.Stop()
	return r
}

func main() {
	var err error
	conn, err = conntrack.Dial(nil)
	bench.Must(err)
	bench.Main("ti-mo", map[string]func(bench.Arguments) bench.Result{
		"list": list,
		"list-pod-zone": func(bench.Arguments) bench.Result {
			return listFiltered(conntrack.NewFilter().Zone(bench.PodZone(0)))
		},
		"list-pod-mark": func(bench.Arguments) bench.Result {
			return listFiltered(conntrack.NewFilter().Mark(bench.PodMark(0)))
		},
		"delete":             deleteKnown,
		"delete-pod-address": func(bench.Arguments) bench.Result { return deletePods(1) },
		"delete-pods":        func(a bench.Arguments) bench.Result { return deletePods(a.Some) },
		"events":             readEvents,
		"events-paced":       loseEvents,
	})
}
