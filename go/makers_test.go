// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack_test

import (
	"ctrack"
	"errors"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func wrongFilters() map[string]struct {
	filter ctrack.Filter
	field  string
} {
	type wrong = struct {
		filter ctrack.Filter
		field  string
	}
	is := ctrack.Is[ctrack.Proto]
	return map[string]wrong{
		"family 0":            {ctrack.Filter{Family: ctrack.Is(ctrack.Family(0))}, ".family"},
		"family 7":            {ctrack.Filter{Family: ctrack.Is(ctrack.Family(7))}, ".family"},
		"family 7 of IPv6":    {ctrack.Filter{Family: ctrack.Is(ctrack.Family(7)), OrigSrc: prefix("1::1/128")}, ".family"},
		"IPv4 in IPv6":        {ctrack.Filter{Family: ctrack.Is(ctrack.IPv6), OrigSrc: prefix("10.0.0.7/32")}, ".orig_src"},
		"IPv6 in IPv4":        {ctrack.Filter{Family: ctrack.Is(ctrack.IPv4), ReplyDst: prefix("1::1/128")}, ".reply_dst"},
		"two families":        {ctrack.Filter{OrigSrc: prefix("10.0.0.7/32"), ReplySrc: prefix("1::1/128")}, ".reply_src"},
		"prefix 33":           {ctrack.Filter{OrigSrc: netip.PrefixFrom(addr("10.0.0.7"), 33)}, ".orig_src"},
		"prefix -1":           {ctrack.Filter{OrigDst: netip.PrefixFrom(addr("1::1"), -1)}, ".orig_dst"},
		"bits behind /24":     {ctrack.Filter{ReplySrc: netip.PrefixFrom(addr("10.0.0.7"), 24)}, ".reply_src"},
		"host of no address":  {ctrack.Filter{ReplyDst: ctrack.Host(netip.Addr{})}, ".reply_dst"},
		"host with interface": {ctrack.Filter{OrigSrc: ctrack.Host(addr("fe80::1%lo"))}, ".orig_src"},
		"mapped":              {ctrack.Filter{OrigSrc: ctrack.Host(addr("::ffff:10.0.0.7"))}, ".orig_src"},
		"mapped in IPv4":      {ctrack.Filter{Family: ctrack.Is(ctrack.IPv4), OrigSrc: ctrack.Host(addr("::ffff:10.0.0.7"))}, ".orig_src"},
		"range upside down":   {ctrack.Filter{Proto: is(ctrack.UDP), OrigDstPort: ctrack.Ports(54, 53)}, ".orig_dport"},
		"ports without proto": {ctrack.Filter{OrigSrcPort: ctrack.Port(53)}, ".orig_sport"},
		"ports of ICMP":       {ctrack.Filter{Proto: is(ctrack.ICMP), ReplySrcPort: ctrack.Port(0)}, ".reply_sport"},
		"ports of 253":        {ctrack.Filter{Proto: is(253), ReplyDstPort: ctrack.Port(0)}, ".reply_dport"},
		"ICMP type of UDP":    {ctrack.Filter{Proto: is(ctrack.UDP), ICMPType: ctrack.Is[uint8](0)}, ".icmp_type"},
		"ICMP code alone":     {ctrack.Filter{ICMPCode: ctrack.Is[uint8](0)}, ".icmp_code"},
		"ICMP id of TCP":      {ctrack.Filter{Proto: is(ctrack.TCP), ICMPID: ctrack.Is[uint16](0)}, ".icmp_id"},
		"TCP states of UDP":   {ctrack.Filter{Proto: is(ctrack.UDP), TCPStates: ctrack.TCPStateIn(ctrack.TCPNone)}, ".tcp_states"},
		"TCP state 10":        {ctrack.Filter{Proto: is(ctrack.TCP), TCPStates: ctrack.TCPStateIn(10)}, ".tcp_states"},
		"TCP state 200":       {ctrack.Filter{Proto: is(ctrack.TCP), TCPStates: ctrack.TCPStateIn(ctrack.TCPNone, 200)}, ".tcp_states"},
		"no TCP state":        {ctrack.Filter{Proto: is(ctrack.TCP), TCPStates: ctrack.Is(ctrack.TCPStates(0))}, ".tcp_states"},
		"status bit 16":       {ctrack.Filter{StatusSet: 1 << 16}, ".status_set"},
		"status bit 31":       {ctrack.Filter{StatusClear: 1 << 31}, ".status_clear"},
		"status set, clear":   {ctrack.Filter{StatusSet: ctrack.StatusAssured, StatusClear: ctrack.StatusAssured}, ".status_clear"},
		"two zones":           {ctrack.Filter{OrigZone: ctrack.Is[uint16](5), ReplyZone: ctrack.Is[uint16](7)}, ".reply_zone"},
		"zone of no direction": {ctrack.Filter{Zone: ctrack.Is[uint16](5), OrigZone: ctrack.Is[uint16](0), ReplyZone: ctrack.Is[uint16](0)},
			".zone"},
		"zone and no zone":    {ctrack.Filter{Zone: ctrack.Is[uint16](0), OrigZone: ctrack.Is[uint16](5)}, ".orig_zone"},
		"mark outside mask":   {ctrack.Filter{Mark: ctrack.MarkMasked(3, 1)}, ".mark"},
		"labels outside mask": {ctrack.Filter{Labels: ctrack.LabelsMasked(ctrack.LabelSet(1), ctrack.LabelSet(2))}, ".labels"},
		"label 128":           {ctrack.Filter{Labels: ctrack.LabelsAll(1, 128)}, ".labels"},
		"label -1":            {ctrack.Filter{Labels: ctrack.LabelsAll(-1)}, ".labels"},
		"label 128 in a mask": {ctrack.Filter{Labels: ctrack.LabelsMasked(ctrack.Labels{}, ctrack.LabelSet(1, 128))}, ".labels"},
		"helper without name": {ctrack.Filter{Helper: ctrack.Is("")}, ".helper"},
		"helper of 16 bytes":  {ctrack.Filter{Helper: ctrack.Is("0123456789abcdef")}, ".helper"},
		"helper with a NUL":   {ctrack.Filter{Helper: ctrack.Is("ftp\x00x")}, ".helper"},
	}
}

func TestAFilterMakerSaysItselfWhatIsWrong(t *testing.T) {
	both, v4 := ctrack.Optional[ctrack.Family]{}, ctrack.Is(ctrack.IPv4)
	port := func(proto ctrack.Proto, family ctrack.Optional[ctrack.Family], live ...netip.AddrPort) error {
		filters, err := ctrack.PortOnAnyAddress(proto, 53, family, live...)
		if filters != nil {
			t.Errorf("%v beside %v", filters, err)
		}
		return err
	}
	but := func(within []ctrack.Filter, spared ...ctrack.Filter) error {
		filters, err := ctrack.EverythingBut(within, spared...)
		if filters != nil {
			t.Errorf("%v beside %v", filters, err)
		}
		return err
	}
	excluding := zone(7)
	excluding.Exclude = true
	whole := ctrack.WholeTable()
	for text, err := range map[string]error{
		"proto: icmp has no ports": port(ctrack.ICMP, both),
		"family":                   port(ctrack.UDP, ctrack.Is(ctrack.Family(3))),
		"endpoint 0: 0.0.0.0 does not mean any address; name":    port(ctrack.UDP, v4, addrPort("0.0.0.0:1")),
		"endpoint 1: :: does not mean any address; name":         port(ctrack.UDP, both, addrPort("10.0.0.1:1"), addrPort("[::]:1")),
		"endpoint 0: invalid":                                    port(ctrack.UDP, v4, netip.AddrPort{}),
		"endpoint 0: fd00::1 is not ipv4":                        port(ctrack.UDP, v4, addrPort("[fd00::1]:1")),
		"give the family":                                        port(ctrack.UDP, both, addrPort("10.0.0.1:1")),
		"within: no filter is given":                             but(nil, zone(7)),
		"spared: no filter is given":                             but(whole),
		"spared[0]: is an excluding filter":                      but(whole, excluding),
		"within[0]: is an excluding filter":                      but([]ctrack.Filter{excluding}, zone(7)),
		"within[0]: matches every entry":                         but([]ctrack.Filter{{}}, zone(7)),
		"spared[1]: matches every entry":                         but(whole, zone(7), ctrack.Filter{}),
		"spared[0].orig_dst: 0.0.0.0 does not mean any address;": but(whole, ctrack.Filter{OrigDst: prefix("0.0.0.0/32")}),
		"within[1].reply_src: :: does not mean any address;":     but([]ctrack.Filter{zone(7), {ReplySrc: prefix("::/128")}}, zone(7)),
		"spared[0].orig_src":                                     but(whole, ctrack.Filter{OrigSrc: ctrack.Host(netip.Addr{})}),
		"spared[0]: DeadEndpoint":                                but(whole, ctrack.DeadEndpoint()...),
	} {
		if !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not say %q", err, text)
		}
	}
	if _, err := ctrack.EverythingBut([]ctrack.Filter{{OrigSrc: prefix("0.0.0.0/0")}}, zone(7)); err != nil {
		t.Errorf("every IPv4 address: %v", err)
	}
}

func TestANumberThatIsNoLabelNeverPanicsAndNeverIsSet(t *testing.T) {
	for _, number := range []int{math.MinInt, -1, 128, math.MaxInt} {
		wrong := ctrack.LabelSet(1, number)
		if wrong == ctrack.LabelSet(1) || wrong == (ctrack.Labels{}) || wrong.Has(1) || wrong.Has(number) {
			t.Errorf("%d is taken for a label: %v", number, wrong)
		}
		if text := wrong.String(); !strings.Contains(text, strconv.Itoa(number)) {
			t.Errorf("%d: %q does not name it", number, text)
		}
	}
}

func TestAMakerGivesAnErrorOrWhatTheOlderOneGives(t *testing.T) {
	vip, other := addrPort("10.96.0.10:53"), addrPort("10.0.0.8:53")
	rule := ctrack.Rule{Zone: 7, Direction: ctrack.Ingress, CIDR: prefix("10.0.0.0/8"), Remotes: ctrack.Hosts(addr("10.0.0.7"))}
	with := func(change func(r *ctrack.Rule)) ctrack.Rule {
		changed := rule
		change(&changed)
		return changed
	}
	wrong := map[string]error{}
	right := func(what string, made, older any, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(made, older) {
			t.Errorf("%s: %+v, %v; the older maker gives %+v", what, made, err, older)
		}
	}
	refuse := func(text string, made any, err error) {
		t.Helper()
		if !reflect.ValueOf(made).IsZero() {
			t.Errorf("%s: %+v beside the error", text, made)
		}
		wrong[text] = err
	}
	dead, err := ctrack.MakeDeadEndpoint(addr("10.0.0.7"), addr("fd00::7"))
	right("dead endpoint", dead, ctrack.DeadEndpoint(addr("10.0.0.7"), addr("fd00::7")), err)
	service, err := ctrack.MakeChangedService(ctrack.UDP, vip, other)
	right("service", service, ctrack.ChangedService(ctrack.UDP, vip, other), err)
	filters, err := rule.MakeFilters()
	right("rule", filters, rule.Filters(), err)
	host, err := ctrack.MakeHost(addr("fd00::7"))
	right("host", host, ctrack.Host(addr("fd00::7")), err)
	hosts, err := ctrack.MakeHosts(addr("fd00::7"), addr("10.0.0.7"))
	right("hosts", hosts, ctrack.Hosts(addr("fd00::7"), addr("10.0.0.7")), err)
	ports, err := ctrack.MakePorts(53, 54)
	right("ports", ports, ctrack.Ports(53, 54), err)
	mark, err := ctrack.MakeMarkMasked(2, 3)
	right("mark", mark, ctrack.MarkMasked(2, 3), err)
	set, err := ctrack.MakeLabelSet(0, 127)
	right("label set", set, ctrack.LabelSet(0, 127), err)
	all, err := ctrack.MakeLabelsAll(0, 127)
	right("labels all", all, ctrack.LabelsAll(0, 127), err)
	masked, err := ctrack.MakeLabelsMasked(ctrack.LabelSet(1), set)
	refuse("MakeLabelsMasked: 1 are not all in the mask 0,127", masked, err)
	masked, err = ctrack.MakeLabelsMasked(ctrack.LabelSet(127), set)
	right("labels masked", masked, ctrack.LabelsMasked(ctrack.LabelSet(127), set), err)
	states, err := ctrack.MakeTCPStateIn(ctrack.TCPClose, ctrack.TCPSynSent2)
	right("states", states, ctrack.TCPStateIn(ctrack.TCPClose, ctrack.TCPSynSent2), err)

	dead, err = ctrack.MakeDeadEndpoint()
	refuse("MakeDeadEndpoint: no address is given", dead, err)
	dead, err = ctrack.MakeDeadEndpoint(addr("10.0.0.7"), addr("::"))
	refuse("MakeDeadEndpoint: address 1: :: does not mean any address", dead, err)
	service, err = ctrack.MakeChangedService(ctrack.ICMP, vip)
	refuse("MakeChangedService: filter[0].orig_dport: needs a protocol that has ports", service, err)
	service, err = ctrack.MakeChangedService(ctrack.UDP, vip, addrPort("[fd00::1]:53"))
	refuse("MakeChangedService: filter[1].reply_src: fd00::1/128 is of another family", service, err)
	filters, err = with(func(r *ctrack.Rule) { r.Remotes = nil }).MakeFilters()
	refuse("MakeRule: Remotes is empty; for every other end set AnyRemote", filters, err)
	filters, err = with(func(r *ctrack.Rule) { r.CIDR = netip.PrefixFrom(addr("10.0.0.7"), 8) }).MakeFilters()
	refuse("MakeRule: filter[0].orig_dst: 10.0.0.7/8 has bits set", filters, err)
	host, err = ctrack.MakeHost(netip.Addr{})
	refuse("MakeHost: invalid IP is no address", host, err)
	host, err = ctrack.MakeHost(addr("fe80::1%lo"))
	refuse("MakeHost: fe80::1%lo has an interface", host, err)
	hosts, err = ctrack.MakeHosts()
	refuse("MakeHosts: no address is given", hosts, err)
	hosts, err = ctrack.MakeHosts(addr("::1"), netip.Addr{})
	refuse("MakeHosts: address 1: invalid IP is no address", hosts, err)
	ports, err = ctrack.MakePorts(54, 53)
	refuse("MakePorts: range 54-53 is upside down", ports, err)
	mark, err = ctrack.MakeMarkMasked(4, 3)
	refuse("MakeMarkMasked: 0x4 has bits outside the mask 0x3", mark, err)
	mark, err = ctrack.MakeMarkMasked(0, 0)
	refuse("MakeMarkMasked: a mask of 0 compares nothing", mark, err)
	set, err = ctrack.MakeLabelSet(1, 128)
	refuse("MakeLabelSet: 128 is no label", set, err)
	all, err = ctrack.MakeLabelsAll(-1)
	refuse("MakeLabelsAll: -1 is no label", all, err)
	masked, err = ctrack.MakeLabelsMasked(ctrack.Labels{}, ctrack.Labels{})
	refuse("MakeLabelsMasked: an empty mask compares nothing", masked, err)
	masked, err = ctrack.MakeLabelsMasked(ctrack.Labels{}, ctrack.LabelSet(200))
	refuse("MakeLabelsMasked: 200 is no label", masked, err)
	states, err = ctrack.MakeTCPStateIn(ctrack.TCPClose, 10)
	refuse("MakeTCPStateIn: 10 is no TCP state", states, err)
	for text, err := range wrong {
		if !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not say %q", err, text)
		}
	}
}
