// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack_test

import (
	"ctrack"
	"errors"
	"math"
	"net/netip"
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
