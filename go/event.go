// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"math"
	"time"
)

// Event is what happened: to an entry, or to the watch. Since 0.2.
type Event struct {
	// Kind is what happened: New, Update, Destroy, Lost or Synced. Later releases may have more.
	Kind EventKind
	// Flags are Initial, Found, Entered and Left.
	Flags EventFlags
	// Number counts the events of a watch, from 1, without gaps.
	Number uint64
	// Lost, of Lost: how many events are missing. Without WatchOptions.Sync it is exact; with it at least so many, since while the table
	// is listed anew nobody counts. Not set: it is not known how many.
	Lost Optional[uint64]
	// Received is when it was read.
	Received time.Time
	// Time is when it happened, as the kernel says. Zero: it does not (before 6.14, or the sysctl net.netfilter.nf_conntrack_timestamp is
	// off).
	Time time.Time
	// PortID is the netlink port of the socket that caused it. 0: traffic or a timeout did, or it was found. It is no process id: only
	// the first socket of a process has that number. Your own: Conn.PortIDs.
	PortID uint32
	// NsID is the network namespace, with WatchOptions.AllNsid: its id in that of the watch (`ip netns list-id`), and 0 is an id. Not
	// set: the watch's own.
	NsID Optional[int32]
	// Entry, of New, Update and Destroy. Has says what the kernel sent: counters and times come with Destroy alone, Labels and Helper with
	// New and with the Update that changes them.
	Entry Entry
}

// ofEntry says whether an event of this kind has an entry.
func (k EventKind) ofEntry() bool {
	return k == New || k == Update || k == Destroy
}

// decodeEvent makes an Event of what the library gave.
func decodeEvent(e *Event, raw *rawEvent, names *helperNames) {
	e.Kind, e.Flags, e.Number, e.PortID = EventKind(raw.type_), EventFlags(raw.flags), raw.number, raw.portid
	e.Received, e.Time = timeOf(raw.receivedNs), time.Time{}
	e.Lost, e.NsID = Optional[uint64]{}, Optional[int32]{}
	if raw.timeNs != 0 {
		e.Time = timeOf(raw.timeNs)
	}
	if e.Kind == Lost && raw.lost != math.MaxUint64 {
		e.Lost = Is(raw.lost)
	}
	if raw.nsid >= 0 {
		e.NsID = Is(raw.nsid)
	}
	if e.Kind.ofEntry() {
		decode(&e.Entry, &raw.entry, names)
	} else {
		e.Entry = Entry{}
	}
}

// encodeEvent makes what the library writes of an Event.
func encodeEvent(raw *rawEvent, e *Event) *fault {
	*raw = rawEvent{type_: uint32(e.Kind), flags: uint32(e.Flags), number: e.Number, portid: e.PortID, nsid: -1}
	if id, set := e.NsID.Get(); set {
		if id < 0 {
			return &fault{"nsid", "is negative"}
		}
		raw.nsid = id
	}
	if e.Kind == Lost {
		raw.lost = math.MaxUint64
		if count, set := e.Lost.Get(); set {
			raw.lost = count
		}
	}
	for _, at := range []struct {
		field string
		time  time.Time
		ns    *uint64
	}{{"received", e.Received, &raw.receivedNs}, {"time", e.Time, &raw.timeNs}} {
		if at.time.IsZero() {
			continue
		}
		seconds := at.time.Unix()
		if seconds < 0 || uint64(seconds) > math.MaxUint64/nanos-1 {
			return &fault{at.field, at.time.String() + " is out of range"}
		}
		*at.ns = uint64(seconds)*nanos + uint64(at.time.Nanosecond())
	}
	if !e.Kind.ofEntry() {
		return nil
	}
	if wrong := encode(&raw.entry, &e.Entry); wrong != nil {
		return &fault{"entry." + wrong.field, wrong.reason}
	}
	return nil
}
