// SPDX-License-Identifier: MIT OR Apache-2.0

// Command vishvananda is github.com/vishvananda/netlink, used by its documentation: ConntrackTableList for each family,
// ConntrackDeleteFilters with a filter for each address. It filters in its own memory, knows no delete of given flows
// (so a filter with a map stands for one) and does not read the status. Usage: vishvananda OPERATION SIZE [KNOWN or PODS]
package main

import (
	"net"

	"ctrack-benches/bench"

	"github.com/vishvananda/netlink"
	"syscall"
)

var handle *netlink.Handle

var families = []netlink.InetFamily{syscall.AF_INET, syscall.AF_INET6}

func flowsOf(family netlink.InetFamily) []*netlink.ConntrackFlow {
	flows, err := handle.ConntrackTableList(netlink.ConntrackTable, family)
	bench.Must(err)
	return flows
}

func list(a bench.Arguments) bench.Result {
	var kept [2][]*netlink.ConntrackFlow
	bench.Start()
	for i, family := range families {
		kept[i] = flowsOf(family)
	}
	bench.Stop()
	return bench.Result{N: uint64(a.Size), Check: uint64(len(kept[0]) + len(kept[1]))}
}

func listPodZone(bench.Arguments) bench.Result {
	var kept []*netlink.ConntrackFlow
	zone := bench.PodZone(0)
	bench.Start()
	for _, family := range families {
		for _, flow := range flowsOf(family) {
			if flow.Zone == zone {
				kept = append(kept, flow)
			}
		}
	}
	bench.Stop()
	return bench.Result{N: bench.PodFlows, Check: uint64(len(kept))}
}

// known is a filter of one's own.
type known struct {
	sample bench.Sample
}

func (k known) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	return k.sample.Has(flow.Forward.SrcIP)
}

func deleteKnown(a bench.Arguments) bench.Result {
	filter := known{bench.NewSample(a.Some, a.Size)}
	done := uint64(0)
	bench.Start()
	for _, family := range families {
		n, err := handle.ConntrackDeleteFilters(netlink.ConntrackTable, family, filter)
		bench.Must(err)
		done += uint64(n)
	}
	bench.Stop()
	return bench.Result{N: uint64(a.Some), Check: done}
}

func filtersOf(pods uint32) []netlink.CustomConntrackFilter {
	filters := make([]netlink.CustomConntrackFilter, pods)
	for pod := range pods {
		filter := &netlink.ConntrackFilter{}
		bench.Must(filter.AddIP(netlink.ConntrackOrigSrcIP, net.IP(bench.PodAddress(pod).AsSlice())))
		filters[pod] = filter
	}
	return filters
}

// patience: so many filters are looked at for every flow that the whole set is given up, and extrapolated from these.
const patience = 100

func deletePods(pods uint32) bench.Result {
	filters := filtersOf(min(pods, patience))
	done := uint64(0)
	bench.Start()
	n, err := handle.ConntrackDeleteFilters(netlink.ConntrackTable, syscall.AF_INET, filters...)
	bench.Must(err)
	done += uint64(n)
	bench.Stop()
	return bench.Result{N: uint64(len(filters)) * bench.PodFlows, Check: done}
}

func main() {
	var err error
	handle, err = netlink.NewHandle(syscall.NETLINK_NETFILTER)
	bench.Must(err)
	bench.Main("vishvananda", map[string]func(bench.Arguments) bench.Result{
		"list":               list,
		"list-pod-zone":      listPodZone,
		"delete":             deleteKnown,
		"delete-pod-address": func(bench.Arguments) bench.Result { return deletePods(1) },
		"delete-pods":        func(a bench.Arguments) bench.Result { return deletePods(a.Some) },
	})
}
