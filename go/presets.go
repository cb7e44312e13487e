// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
)

// refusedFilter is what the makers of filters give for a wrong argument: one filter that every call refuses with this reason. No
// filter at all would do for Delete, but List without filters means everything.
func refusedFilter(format string, args ...any) []Filter {
	return []Filter{{refused: fmt.Sprintf(format, args...)}}
}

const ownAddress = "name the endpoint's own address"

// checkAddress says what is wrong with an address in a filter; "" if it is right. instead says what to use where any address was
// meant: an unspecified one would silently match nothing.
func checkAddress(address netip.Addr, instead string) string {
	switch {
	case address.IsUnspecified():
		return "does not mean any address; " + instead
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
// For pods and machines that are gone. Without an address it is a filter that is refused. New programs should use [MakeDeadEndpoint],
// which says at once what is wrong.
func DeadEndpoint(addresses ...netip.Addr) []Filter {
	if len(addresses) == 0 {
		return refusedFilter("DeadEndpoint: no address is given")
	}
	filters := make([]Filter, 0, 2*len(addresses))
	for i, address := range addresses {
		if wrong := checkAddress(address, ownAddress); wrong != "" {
			return refusedFilter("DeadEndpoint: address %d: %v %s", i, address, wrong)
		}
		filters = append(filters, Filter{OrigSrc: Host(address)}, Filter{ReplySrc: Host(address)})
	}
	return filters
}

// ChangedService are the filters for the flows of a service whose answers come from an endpoint that is not, or no longer, among
// the live ones: one including filter for the service's virtual address, and one excluding filter for each live endpoint.
// Without a live endpoint those are all flows of the service. proto must have ports. A wrong argument makes a filter that is refused;
// new programs should use [MakeChangedService], which says at once what is wrong.
func ChangedService(proto Proto, vip netip.AddrPort, live ...netip.AddrPort) []Filter {
	if wrong := checkAddress(vip.Addr(), "for a port on any address use PortOnAnyAddress"); wrong != "" {
		return refusedFilter("ChangedService: vip: %v %s", vip.Addr(), wrong)
	}
	service := Filter{Proto: Is(proto), OrigDst: Host(vip.Addr()), OrigDstPort: Port(vip.Port())}
	filters := append(make([]Filter, 0, 1+len(live)), service)
	for i, endpoint := range live {
		if wrong := checkAddress(endpoint.Addr(), ownAddress); wrong != "" {
			return refusedFilter("ChangedService: endpoint %d: %v %s", i, endpoint.Addr(), wrong)
		}
		filters = append(filters, service.answeredBy(endpoint))
	}
	return filters
}

// answeredBy is the filter that leaves out the flows of a service that this endpoint answers.
func (f Filter) answeredBy(endpoint netip.AddrPort) Filter {
	f.Exclude = true
	f.ReplySrc, f.ReplySrcPort = Host(endpoint.Addr()), Port(endpoint.Port())
	return f
}

// PortOnAnyAddress are the filters for the flows that were begun to this port, whatever the address: a NodePort, a port of the
// host. With live endpoints only those that none of them answers. proto must have ports.
//
// That is all that the table knows of the port, also what is only forwarded to the same port of somebody else: where that can
// be, set more fields, such as StatusSet to StatusDstNAT for what is translated here.
//
// family: only flows of this one; Optional[Family]{}: of both. It must be given if the live endpoints are of one family, since
// none of them answers a flow of the other one.
func PortOnAnyAddress(proto Proto, port uint16, family Optional[Family], live ...netip.AddrPort) ([]Filter, error) {
	wrong := func(format string, args ...any) ([]Filter, error) {
		return nil, &Error{Op: "PortOnAnyAddress", Errno: syscall.EINVAL, Text: fmt.Sprintf(format, args...)}
	}
	if !proto.hasPorts() {
		return wrong("proto: %v has no ports", proto)
	}
	want, one := family.Get()
	if one && want != IPv4 && want != IPv6 {
		return wrong("family: %v is neither IPv4 nor IPv6", want)
	}
	service := Filter{Family: family, Proto: Is(proto), OrigDstPort: Port(port)}
	filters := append(make([]Filter, 0, 1+len(live)), service)
	seen := map[Family]bool{}
	for i, endpoint := range live {
		if text := checkAddress(endpoint.Addr(), ownAddress); text != "" {
			return wrong("endpoint %d: %v %s", i, endpoint.Addr(), text)
		}
		own := IPv6
		if endpoint.Addr().Is4() {
			own = IPv4
		}
		if one && own != want {
			return wrong("endpoint %d: %v is not %v", i, endpoint.Addr(), want)
		}
		seen[own] = true
		filters = append(filters, service.answeredBy(endpoint))
	}
	if !one && len(seen) == 1 {
		return wrong("the endpoints are of one family only, so that all flows of the other one would be taken; give the family")
	}
	return filters, nil
}

// WholeTable are filters that together match every entry, for [EverythingBut].
func WholeTable() []Filter {
	return []Filter{{Family: Is(IPv4)}, {Family: Is(IPv6)}}
}

// EverythingBut are the filters for everything within some filters but what others match: in zone 5 all but the flows to one peer;
// of the [WholeTable] all but a zone. Both must be given, and must be including filters.
//
// A filter to spare that matched nothing would spare nothing, so an unspecified address (0.0.0.0/32, ::/128) is refused in all
// of them.
func EverythingBut(within []Filter, spared ...Filter) ([]Filter, error) {
	filters := make([]Filter, 0, len(within)+len(spared))
	for _, given := range []struct {
		name    string
		filters []Filter
		exclude bool
	}{{"within", within, false}, {"spared", spared, true}} {
		wrong := func(format string, args ...any) ([]Filter, error) {
			return nil, &Error{Op: "EverythingBut", Errno: syscall.EINVAL, Text: given.name + fmt.Sprintf(format, args...)}
		}
		if len(given.filters) == 0 {
			return wrong(": no filter is given")
		}
		for i, f := range given.filters {
			if f.Exclude {
				return wrong("[%d]: is an excluding filter; give what it matches", i)
			}
			for _, at := range f.addresses() {
				if at.prefix.IsSingleIP() && at.prefix.Addr().IsUnspecified() {
					return wrong("[%d].%s: %v %s", i, at.field, at.prefix.Addr(), anyPrefix)
				}
			}
			var raw rawFilter
			if fault := encodeFilter(&raw, &f); fault != nil {
				return nil, fault.in("EverythingBut", fmt.Sprintf("%s[%d]", given.name, i))
			}
			if raw.match == 0 {
				return wrong("[%d]: matches every entry", i)
			}
			f.Exclude = given.exclude
			filters = append(filters, f)
		}
	}
	return filters, nil
}

const anyPrefix = "does not mean any address; leave the field out, or give a prefix such as 0.0.0.0/0"

// Direction of traffic, seen from the port that a [Rule] protects.
type Direction uint8

const (
	Ingress Direction = ctRuleIngress // towards the port
	Egress  Direction = ctRuleEgress  // from the port
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

// Filters are the filters for the flows of the rule: one for each remote. A wrong rule makes a filter that is refused; new programs
// should use [Rule.MakeFilters], which says at once what is wrong.
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
	case r.CIDR.IsSingleIP() && r.CIDR.Addr().IsUnspecified():
		return refusedFilter("Rule: CIDR: %v %s", r.CIDR.Addr(), anyPrefix)
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
		if remote.IsSingleIP() && remote.Addr().IsUnspecified() {
			return refusedFilter("Rule: remote %d: %v %s", i, remote.Addr(), anyPrefix)
		}
		*other = remote
		filters = append(filters, base)
	}
	return filters
}

// Functions with Make in their names give an error. The older ones without it make a value of a wrong argument that every call
// refuses, so an error is seen later than it could be.

// checkMade gives filters that an older maker made, or the error that a call would give.
func checkMade(op string, filters []Filter) ([]Filter, error) {
	older := strings.TrimPrefix(op, "Make")
	for i := range filters {
		_, wrong := filters[i].matcher()
		switch {
		case wrong == nil:
		case filters[i].refused != "":
			return nil, &Error{Op: op, Errno: syscall.EINVAL, Text: strings.TrimPrefix(filters[i].refused, older+": ")}
		default:
			return nil, wrong.in(op, filterPlace(i))
		}
	}
	return filters, nil
}

// MakeDeadEndpoint is [DeadEndpoint], and says what is wrong with its arguments.
func MakeDeadEndpoint(addresses ...netip.Addr) ([]Filter, error) {
	return checkMade("MakeDeadEndpoint", DeadEndpoint(addresses...))
}

// MakeChangedService is [ChangedService], and says what is wrong with its arguments.
func MakeChangedService(proto Proto, vip netip.AddrPort, live ...netip.AddrPort) ([]Filter, error) {
	return checkMade("MakeChangedService", ChangedService(proto, vip, live...))
}

// MakeFilters is Filters, and says what is wrong with the rule.
func (r Rule) MakeFilters() ([]Filter, error) {
	return checkMade("MakeRule", r.Filters())
}
