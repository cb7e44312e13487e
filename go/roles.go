// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"fmt"
	"net/netip"
)

// refusedFilter is what the makers of filters give for a wrong argument: one filter that every call refuses with this reason. No
// filter at all would do for Delete, but List without filters means everything.
func refusedFilter(format string, args ...any) []Filter {
	return []Filter{{refused: fmt.Sprintf(format, args...)}}
}

// checkAddress says what is wrong with an address in a filter; "" if it is right.
func checkAddress(address netip.Addr) string {
	switch {
	case !address.IsValid():
		return "is no address"
	case address.Zone() != "":
		return "has an interface, which the table does not know"
	case address.Is4In6():
		return "is an IPv4-mapped IPv6 address: give the IPv4 address (Addr.Unmap)"
	}
	return ""
}

// DeadEndpoint are the filters for everything that these addresses began or answered: two for each, on OrigSrc and on ReplySrc.
// For pods and machines that are gone. Without an address it is a filter that is refused.
func DeadEndpoint(addresses ...netip.Addr) []Filter {
	if len(addresses) == 0 {
		return refusedFilter("DeadEndpoint: no address is given")
	}
	filters := make([]Filter, 0, 2*len(addresses))
	for i, address := range addresses {
		if wrong := checkAddress(address); wrong != "" {
			return refusedFilter("DeadEndpoint: address %d: %v %s", i, address, wrong)
		}
		filters = append(filters, Filter{OrigSrc: Host(address)}, Filter{ReplySrc: Host(address)})
	}
	return filters
}

// ChangedService are the filters for the flows of a service whose answers come from an endpoint that is not, or no longer, among
// the live ones: one including filter for the service's virtual address, and one excluding filter for each live endpoint.
// Without a live endpoint those are all flows of the service. proto must have ports.
func ChangedService(proto Proto, vip netip.AddrPort, live ...netip.AddrPort) []Filter {
	if wrong := checkAddress(vip.Addr()); wrong != "" {
		return refusedFilter("ChangedService: vip: %v %s", vip.Addr(), wrong)
	}
	service := Filter{Proto: Is(proto), OrigDst: Host(vip.Addr()), OrigDstPort: Port(vip.Port())}
	filters := append(make([]Filter, 0, 1+len(live)), service)
	for i, endpoint := range live {
		if wrong := checkAddress(endpoint.Addr()); wrong != "" {
			return refusedFilter("ChangedService: endpoint %d: %v %s", i, endpoint.Addr(), wrong)
		}
		keep := service
		keep.Exclude = true
		keep.ReplySrc, keep.ReplySrcPort = Host(endpoint.Addr()), Port(endpoint.Port())
		filters = append(filters, keep)
	}
	return filters
}

// Direction of traffic, seen from the port that a [Rule] protects.
type Direction uint8

const (
	Ingress Direction = iota + 1 // towards the port
	Egress                       // from the port
)

// String is "ingress" or "egress".
func (d Direction) String() string {
	return nameOf(int(d), []string{"0", "ingress", "egress"})
}

// Rule is a security-group rule that was withdrawn, as Neutron has them: which flows did it let through?
type Rule struct {
	// Zone of the port. It always counts: 0 are entries without any zone.
	Zone uint16
	// Family, if CIDR does not say it all. It must agree with CIDR.
	Family Optional[Family]
	// Proto, if the rule has one.
	Proto Optional[Proto]
	// Direction must be set.
	Direction Direction
	// Mark, if the rule has one.
	Mark Optional[Mark]
	// CIDR is the port's own address, or all of them. It must be set.
	CIDR netip.Prefix
	// Remotes are the other ends: for ingress who began, for egress who was called. An empty list is refused, nil too, so that
	// a group that lost its last member does not become everybody.
	Remotes []netip.Prefix
	// AnyRemote: the rule is for every other end. Remotes must be empty then.
	AnyRemote bool
}

// Filters are the filters for the flows of the rule: one for each remote.
func (r Rule) Filters() []Filter {
	switch {
	case r.Direction != Ingress && r.Direction != Egress:
		return refusedFilter("Rule: Direction is neither Ingress nor Egress")
	case !r.CIDR.IsValid():
		return refusedFilter("Rule: CIDR is not set, or wrong")
	case len(r.Remotes) == 0 && !r.AnyRemote:
		return refusedFilter("Rule: Remotes is empty; for every other end set AnyRemote")
	case len(r.Remotes) != 0 && r.AnyRemote:
		return refusedFilter("Rule: there are Remotes although AnyRemote is set")
	}
	base := Filter{Zone: Is(r.Zone), Family: r.Family, Proto: r.Proto, Mark: r.Mark}
	own, other := &base.OrigDst, &base.OrigSrc
	if r.Direction == Egress {
		own, other = other, own
	}
	*own = r.CIDR
	if r.AnyRemote {
		return []Filter{base}
	}
	filters := make([]Filter, 0, len(r.Remotes))
	for i, remote := range r.Remotes {
		if !remote.IsValid() {
			return refusedFilter("Rule: remote %d is not a valid prefix", i)
		}
		*other = remote
		filters = append(filters, base)
	}
	return filters
}
