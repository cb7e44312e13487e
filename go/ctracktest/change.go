// SPDX-License-Identifier: MIT OR Apache-2.0

package ctracktest

import (
	"context"
	"ctrack"
	"ctrack/internal/errnos"
	"ctrack/internal/hook"
	"errors"
	"fmt"
	"slices"
	"syscall"
)

// The two directions of an entry.
const (
	orig = iota
	reply
)

// zonesOf are the zones of both directions.
func zonesOf(e *ctrack.Entry) [2]uint16 {
	switch e.ZoneDir {
	case ctrack.ZoneOrig:
		return [2]uint16{e.Zone, 0}
	case ctrack.ZoneReply:
		return [2]uint16{0, e.Zone}
	}
	return [2]uint16{e.Zone, e.Zone}
}

func tuplesOf(e *ctrack.Entry) [2]ctrack.Tuple {
	return [2]ctrack.Tuple{e.Orig, e.Reply}
}

// find gives the place of the entry that a checked key means; -1: there is none.
func (t *Table) find(key ctrack.Entry) int {
	return slices.IndexFunc(t.entries, func(e ctrack.Entry) bool {
		return key.Family == e.Family && key.Proto == e.Proto && zonesOf(&key) == zonesOf(&e) &&
			(!key.Has.All(ctrack.HasID) || key.ID == e.ID) &&
			(!key.Has.All(ctrack.HasStart) || e.Has.All(ctrack.HasStart) && key.Start.Equal(e.Start)) &&
			(!key.Has.All(ctrack.HasOrig) || key.Orig == e.Orig) && (!key.Has.All(ctrack.HasReply) || key.Reply == e.Reply)
	})
}

// taken says whether one of the tuples of a new entry leads to another one. The kernel files an entry under each tuple in the zone
// of that direction, and compares what it finds there with the new one's zone for the direction of what is found.
func (t *Table) taken(e *ctrack.Entry) bool {
	own, zones := tuplesOf(e), zonesOf(e)
	return slices.ContainsFunc(t.entries, func(other ctrack.Entry) bool {
		theirs, theirZones := tuplesOf(&other), zonesOf(&other)
		for mine := range own {
			for its := range theirs {
				if e.Family == other.Family && e.Proto == other.Proto && own[mine] == theirs[its] &&
					theirZones[its] == zones[mine] && theirZones[its] == zones[its] {
					return true
				}
			}
		}
		return false
	})
}

// sums is what came of a number of entries.
type sums struct {
	ctrack.Result
	op    Op
	first string
}

// add counts one: its place among those that were given, or -1, what became of it, and why.
func (s *sums) add(place int, errno syscall.Errno, text string) {
	s.Matched++
	switch {
	case errno == 0:
		s.Done++
	case errno == syscall.ENOENT:
		s.Gone++
	default:
		if s.Failed++; s.Failed == 1 {
			s.FirstError, s.first = errno, text
			if place >= 0 {
				s.first = fmt.Sprintf("entry[%d]: %s", place, text)
			}
		}
	}
}

// err names the first that failed, and says how many more did.
func (s *sums) err() error {
	switch s.Failed {
	case 0:
		return nil
	case 1:
		return failed(s.op, s.FirstError, s.first)
	}
	return failed(s.op, s.FirstError, fmt.Sprintf("%s; and %d more", s.first, s.Failed-1))
}

// outcome is what becomes of one of several entries: 0, or why not.
type outcome struct {
	errno syscall.Errno
	text  string
}

// batch does something to each of the entries.
func (t *Table) batch(ctx context.Context, op Op, count int, each func(i int) outcome) (ctrack.Batch, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.begin(ctx, op); err != nil {
		var details *ctrack.Error
		if !errors.As(err, &details) || count == 0 {
			return ctrack.Batch{}, err
		}
		// Nothing was done to any of them.
		result := ctrack.Result{Matched: count, Failed: count, FirstError: details.Errno}
		return ctrack.Batch{Result: result, Status: slices.Repeat([]syscall.Errno{details.Errno}, count)}, err
	}
	sums := sums{op: op}
	var status []syscall.Errno
	for i := range count {
		became := each(i)
		sums.add(i, became.errno, became.text)
		status = append(status, became.errno)
	}
	return ctrack.Batch{Result: sums.Result, Status: status}, sums.err()
}

func refused(errno syscall.Errno, reason string) outcome {
	return outcome{errno, errno.Error() + ": " + reason}
}

// fault is what the test asked for.
func (t *Table) fault(op Op, e ctrack.Entry) (outcome, bool) {
	errno := t.faults.ofEntry(op, e)
	return outcome{errno, errno.Error()}, errno != 0
}

func check(op Op, entries []ctrack.Entry, purpose hook.Purpose) ([]ctrack.Entry, error) {
	checked := make([]ctrack.Entry, 0, len(entries))
	for i, e := range entries {
		right, err := hook.Entry(string(op), fmt.Sprintf("entry[%d]", i), e, purpose)
		if err != nil {
			return nil, err
		}
		checked = append(checked, right.(ctrack.Entry))
	}
	return checked, nil
}

// DeleteEntries deletes the given entries, each only if it is still the one that is meant.
func (t *Table) DeleteEntries(ctx context.Context, entries []ctrack.Entry) (ctrack.Batch, error) {
	keys, err := check(DeleteEntries, entries, hook.ToFind)
	if err != nil {
		return ctrack.Batch{}, err
	}
	return t.batch(ctx, DeleteEntries, len(keys), func(i int) outcome {
		at := t.find(keys[i])
		if at < 0 {
			return outcome{errno: syscall.ENOENT}
		}
		became, wanted := t.fault(DeleteEntries, t.entries[at])
		if !wanted || became.errno == syscall.ENOENT {
			t.entries = slices.Delete(t.entries, at, at+1)
		}
		return became
	})
}

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
