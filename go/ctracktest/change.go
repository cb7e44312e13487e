// SPDX-License-Identifier: MIT OR Apache-2.0

package ctracktest

import (
	"context"
	"ctrack"
	"ctrack/internal/errnos"
	"ctrack/internal/hook"
	"fmt"
	"syscall"
)

// Create creates entries.
func (t *Table) Create(ctx context.Context, entries []ctrack.Entry) (ctrack.Batch, error) {
	given, err := check(Create, entries, hook.ToCreate)
	if err != nil {
		return ctrack.Batch{}, err
	}
	return t.batch(ctx, Create, len(given), func(i int) outcome {
		if why := impossible(&given[i]); why.errno != 0 {
			return why
		}
		e, right := made(given[i])
		if !right {
			return outcome{syscall.EINVAL, "invalid argument"}
		}
		if t.taken(&e) {
			return outcome{syscall.EEXIST, "entry exists"}
		}
		if became, wanted := t.fault(Create, e); wanted {
			return became
		}
		t.made++
		// Opaque, and different for each.
		e.ID = t.made * 0x9e3779b1
		t.entries = append(t.entries, e)
		return outcome{}
	})
}

// made is what the kernel makes of an entry that was checked. False: it has no reply tuple for it.
func made(given ctrack.Entry) (ctrack.Entry, bool) {
	const kept = ctrack.HasOrig | ctrack.HasPorts | ctrack.HasICMP | ctrack.HasZone | ctrack.HasOrigZone | ctrack.HasReplyZone
	e := ctrack.Entry{
		Has:    given.Has&kept | ctrack.HasReply | ctrack.HasStatus | ctrack.HasTimeout | ctrack.HasMark | ctrack.HasID | ctrack.HasUse,
		Family: given.Family, Proto: given.Proto, Orig: given.Orig, Reply: given.Reply, Zone: given.Zone, ZoneDir: given.ZoneDir,
		Status: given.Status | ctrack.StatusConfirmed, Mark: given.Mark, Timeout: given.Timeout, Use: 1, Labels: given.Labels,
		Helper: given.Helper,
	}
	if e.Zone == 0 {
		e.Has, e.ZoneDir = e.Has&^(ctrack.HasZone|ctrack.HasOrigZone|ctrack.HasReplyZone), ctrack.ZoneBoth
	}
	if e.Labels != (ctrack.Labels{}) {
		e.Has |= ctrack.HasLabels
	}
	if e.Helper != "" {
		e.Has |= ctrack.HasHelper
		e.Status |= ctrack.StatusHelper
	}
	switch e.Proto {
	case ctrack.TCP:
		e.Has |= ctrack.HasTCPState | ctrack.HasTCPWindow | ctrack.HasTCPFlags
		changeTCP(&e.TCP, &given)
	case ctrack.SCTP:
		e.Has |= ctrack.HasSCTP
		e.SCTP = given.SCTP
	}
	mirrored, right := mirror(e.Proto, e.Orig)
	if !given.Has.All(ctrack.HasReply) {
		e.Reply = mirrored
	}
	return e, right
}

// answers are the types of ICMP and ICMPv6 that come in pairs.
var answers = map[ctrack.Proto]map[uint8]uint8{
	ctrack.ICMP:   {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17},
	ctrack.ICMPv6: {128: 129, 129: 128, 139: 140, 140: 139},
}

// mirror is the tuple of the answers. False: to this type of ICMP there is none.
func mirror(proto ctrack.Proto, t ctrack.Tuple) (ctrack.Tuple, bool) {
	mirrored := ctrack.Tuple{Src: t.Dst, Dst: t.Src, SrcPort: t.DstPort, DstPort: t.SrcPort, ICMPCode: t.ICMPCode, ICMPID: t.ICMPID}
	types, icmp := answers[proto]
	answer, right := types[t.ICMPType]
	mirrored.ICMPType = answer
	return mirrored, right || !icmp
}

// creatable are the status bits that a new entry can have.
const creatable = ctrack.StatusSeenReply | ctrack.StatusAssured | ctrack.StatusConfirmed | ctrack.StatusSrcNAT | ctrack.StatusDstNAT |
	ctrack.StatusSrcNATDone | ctrack.StatusDstNATDone | ctrack.StatusFixedTimeout | ctrack.StatusHelper

// impossible is why an entry cannot be made although nothing in it is wrong.
func impossible(e *ctrack.Entry) outcome {
	switch {
	case e.Status&^creatable != 0:
		return refused(syscall.EOPNOTSUPP, "its status has bits that only the kernel can give")
	case e.Timeout == 0:
		return refused(errnos.Time, "its timeout is 0")
	}
	if why := unknown(e); why.errno != 0 {
		return why
	}
	if reason := translation(e); reason != "" {
		return refused(syscall.EINVAL, reason)
	}
	return outcome{}
}

// unknown is what no kernel takes.
func unknown(e *ctrack.Entry) outcome {
	switch {
	case e.TCP.State > ctrack.TCPSynSent2 || e.SCTP.State > ctrack.SCTPHeartbeatAcked:
		return refused(syscall.EOPNOTSUPP, "its state is one of a later kernel")
	case max(e.TCP.OrigWindowScale, e.TCP.ReplyWindowScale) > 14:
		return refused(syscall.EOPNOTSUPP, "a window scale is larger than 14")
	}
	return outcome{}
}

// translation is what of the status contradicts the reply tuple. Without any bit of translation it is taken as it stands.
func translation(e *ctrack.Entry) string {
	source, destination := e.Status.All(ctrack.StatusSrcNAT), e.Status.All(ctrack.StatusDstNAT)
	id := e.Reply.ICMPID != e.Orig.ICMPID
	// The kernel leaves the keys of GRE alone.
	ports := e.Proto != ctrack.GRE
	sources := e.Reply.Dst != e.Orig.Src || ports && e.Reply.DstPort != e.Orig.SrcPort
	destinations := e.Reply.Src != e.Orig.Dst || ports && e.Reply.SrcPort != e.Orig.DstPort
	switch {
	case !source && !destination:
	case !source && sources:
		return "its reply tuple translates the source: SRC_NAT is missing in status"
	case !destination && destinations:
		return "its reply tuple translates the destination: DST_NAT is missing in status"
	case source && !sources && !id:
		return "SRC_NAT is in status, but no source is translated"
	case destination && !destinations && !id:
		return "DST_NAT is in status, but no destination is translated"
	case source && destination && id && !sources && !destinations:
		return "SRC_NAT and DST_NAT are in status, but only the ICMP id is translated"
	}
	return ""
}

// Update changes entries.
func (t *Table) Update(ctx context.Context, changes []ctrack.Change) (ctrack.Batch, error) {
	checked := make([]hook.Changed, 0, len(changes))
	for i, change := range changes {
		right, err := hook.Change(string(Update), fmt.Sprintf("entry[%d]", i), change)
		if err != nil {
			return ctrack.Batch{}, err
		}
		checked = append(checked, right)
	}
	return t.batch(ctx, Update, len(checked), func(i int) outcome {
		at := t.find(checked[i].Key.(ctrack.Entry))
		if at < 0 {
			return outcome{errno: syscall.ENOENT}
		}
		if became, wanted := t.fault(Update, t.entries[at]); wanted {
			return became
		}
		now, why := changed(t.entries[at], &checked[i])
		if why.errno == 0 {
			t.entries[at] = now
		}
		return why
	})
}

// changed is an entry as the change makes it, or why it cannot.
func changed(e ctrack.Entry, change *hook.Changed) (ctrack.Entry, outcome) {
	values := change.Values.(ctrack.Entry)
	wants := func(bit ctrack.Has) bool { return values.Has.All(bit) }
	before := e
	if wants(ctrack.HasTimeout) {
		switch {
		case values.Timeout == 0:
			return e, refused(errnos.Time, "a timeout of 0 would delete the entry")
		case e.Status.All(ctrack.StatusFixedTimeout) && values.Timeout != e.Timeout:
			return e, refused(syscall.EPERM, "the timeout of the entry is fixed (FIXED_TIMEOUT in its status)")
		}
		e.Timeout = values.Timeout
	}
	if wants(ctrack.HasStatus) {
		const addable = ctrack.StatusSeenReply | ctrack.StatusAssured | ctrack.StatusFixedTimeout
		if values.Status&^before.Status&^addable != 0 {
			return e, refused(syscall.EBUSY, "only SEEN_REPLY, ASSURED and FIXED_TIMEOUT can be added to the status of an entry")
		}
		e.Status |= values.Status
	}
	if wants(ctrack.HasMark) {
		e.Mark = e.Mark&^change.MarkMask ^ values.Mark
	}
	if wants(ctrack.HasLabels) {
		changeLabels(&e, values.Labels, change)
	}
	if wants(ctrack.HasHelper) && values.Helper != e.Helper {
		switch {
		case values.Helper == "":
			e.Helper, e.Has = "", e.Has&^ctrack.HasHelper
		case e.Helper == "":
			return e, outcome{syscall.EOPNOTSUPP, "operation not supported"}
		default:
			return e, outcome{syscall.EBUSY, "in use, or not changeable"}
		}
	}
	if wants(ctrack.HasSCTP) {
		e.SCTP = values.SCTP
	}
	if values.Has&(ctrack.HasTCPState|ctrack.HasTCPWindow|ctrack.HasTCPFlags) != 0 {
		changeTCP(&e.TCP, &values)
		if scales := e.TCP; wants(ctrack.HasTCPWindow) &&
			(scales.OrigWindowScale != values.TCP.OrigWindowScale || scales.ReplyWindowScale != values.TCP.ReplyWindowScale) {
			return e, refused(syscall.EBUSY, "window scales need the WINDOW_SCALE flag in both directions (tcp_flags_orig, tcp_flags_reply)")
		}
	}
	if why := unknown(&e); why.errno != 0 {
		return e, why
	}
	return e, outcome{}
}

func changeLabels(e *ctrack.Entry, labels ctrack.Labels, change *hook.Changed) {
	for i, bits := range labels.Bits {
		switch {
		case change.AddLabels:
			e.Labels.Bits[i] |= bits
		case change.RemoveLabels:
			e.Labels.Bits[i] &^= bits
		default:
			e.Labels.Bits[i] = bits
		}
	}
	e.Has &^= ctrack.HasLabels
	if e.Labels != (ctrack.Labels{}) {
		e.Has |= ctrack.HasLabels
	}
}

// changeTCP takes what the values have. The kernel takes window scales only where both directions have the flag for it.
func changeTCP(tcp *ctrack.TCPInfo, values *ctrack.Entry) {
	given := &values.TCP
	if values.Has.All(ctrack.HasTCPState) {
		tcp.State = given.State
	}
	if values.Has.All(ctrack.HasTCPFlags) {
		flags := func(old, value, mask ctrack.TCPFlags) ctrack.TCPFlags {
			if mask == 0 {
				return value
			}
			return old&^mask | value&mask
		}
		tcp.OrigFlags = flags(tcp.OrigFlags, given.OrigFlags, given.OrigFlagsMask)
		tcp.ReplyFlags = flags(tcp.ReplyFlags, given.ReplyFlags, given.ReplyFlagsMask)
	}
	if values.Has.All(ctrack.HasTCPWindow) &&
		tcp.OrigFlags&tcp.ReplyFlags&ctrack.TCPWindowScale != 0 {
		tcp.OrigWindowScale, tcp.ReplyWindowScale = given.OrigWindowScale, given.ReplyWindowScale
	}
}
