// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"context"
	"fmt"
	"time"
)

// Create creates entries. Each needs Orig and a Timeout. The reply tuple is the mirror image of Orig unless there is one. Status
// (StatusConfirmed is added), Mark, Zone, Labels, Helper and the states of TCP and SCTP are set where the entry has them; what
// only the kernel can know (ID, Use, counters, times) is ignored, so that an entry of List can be made again as it stands. The
// kernel drops labels silently while no firewall rule of the network namespace uses any.
//
// With StatusSrcNAT or StatusDstNAT in Status, the reply tuple says to what the kernel is to translate: addresses, ports, ICMP
// ids, keys of GRE. It makes exactly that entry, or none. Each bit must be there if the reply tuple translates that side, and only
// then; with neither of them the reply tuple is taken as it stands.
//
// Status of each: 0 created; EEXIST one of its tuples is taken; EOPNOTSUPP only the kernel can make it (expected, offloaded and
// sequence-adjusted entries, status bits and states of a later kernel), or this kernel lacks what it takes (its helper, NAT, ports of
// its protocol); ETIME its timeout is 0 (List gave it with less than a second left); EINVAL its status contradicts its reply tuple,
// or the kernel refuses a value; ENOMEM the table is full; ENOSPC its bucket is; another errno for another failure. One that fails
// does not stop the others; the error is nil if none failed, and names the first that did. A malformed entry stops all: then the
// error is EINVAL, Status is nil, and nothing was sent.
//
// In a full table (net.netfilter.nf_conntrack_max) the kernel makes room for a new entry by dropping another one of the network
// namespace that is not assured, and ENOMEM is only what it says if it finds none. Nothing tells which or how many: who makes many
// should compare Count with the limit first.
func (c *Conn) Create(ctx context.Context, entries []Entry) (Batch, error) {
	raw, err := encodeEntries("create_entries", entries)
	if err != nil {
		return Batch{}, err
	}
	return c.batch(ctx, "create_entries", raw, func(h *handle, status []int32, result *rawResult) int {
		return h.createEntries(raw, status, result)
	})
}

// Change is what to change of an entry. What is left out stays as it is.
type Change struct {
	// Key is the entry: one of List, or a key by hand. It must be as Get would find it.
	Key Entry
	// Timeout is above zero; rounded up to seconds.
	Timeout Optional[time.Duration]
	// Status: its bits are added to those that are there; none can be removed.
	Status Optional[Status]
	// Mark: see MarkIs and MarkMasked.
	Mark Optional[Mark]
	// Labels are all labels of the entry: those that are not among them are cleared.
	Labels Optional[Labels]
	// AddLabels are set, all others stay as they are. So two programs that each add a label do not undo each other.
	AddLabels Optional[Labels]
	// RemoveLabels are cleared, all others stay as they are. A Change has one of Labels, AddLabels and RemoveLabels: to set some
	// and clear others takes two.
	RemoveLabels Optional[Labels]
	// Helper is the name of the helper; "" for none.
	Helper Optional[string]
	// TCPState is the state of a TCP connection.
	TCPState Optional[TCPState]
	// TCPWindow are the window scales of a TCP connection.
	TCPWindow Optional[TCPWindow]
	// TCPFlags are the flags of a TCP connection.
	TCPFlags Optional[TCPFlagChange]
	// SCTP is what is known of an SCTP association.
	SCTP Optional[SCTPInfo]
}

// TCPWindow are the window scales of both directions of a TCP connection, 0 to 14.
type TCPWindow struct {
	Orig, Reply uint8
}

// TCPFlagChange are the flags of both directions of a TCP connection, and which of them to set; a mask of 0 means all.
type TCPFlagChange struct {
	Orig, OrigMask, Reply, ReplyMask TCPFlags
}

// Update changes entries. Each is looked up first, and left alone if it is not the one that is meant.
//
// Status of each: 0 the entry is now as asked, ENOENT it was gone, ErrHidden it cannot be reached, EBUSY or EPERM the kernel does not
// let this change, ETIME a timeout of 0, which would delete it, EOPNOTSUPP no helper can be assigned, or a state that the library does
// not know, another errno for another failure. One that fails does not stop the others; the error is nil if none failed, and names the
// first that did. A malformed change stops all: then the error is EINVAL, Status is nil, and nothing was sent.
func (c *Conn) Update(ctx context.Context, changes []Change) (Batch, error) {
	raw := make([]rawEntry, len(changes))
	for i := range changes {
		if wrong := changes[i].encode(&raw[i]); wrong != nil {
			return Batch{}, wrong.in("update_entries", entryName(i))
		}
	}
	return c.batch(ctx, "update_entries", raw, func(h *handle, status []int32, result *rawResult) int {
		return h.updateEntries(raw, status, result)
	})
}

// key is the entry reduced to what says which one it is.
func (e *Entry) key() (Entry, *fault) {
	derived, wrong := e.withBits()
	if wrong != nil {
		return Entry{}, wrong
	}
	key := Entry{
		Has: derived.Has & ctHasKey, Family: derived.Family, Proto: derived.Proto, Orig: derived.Orig, Reply: derived.Reply,
		Zone: derived.Zone, ZoneDir: derived.ZoneDir, ID: derived.ID, Start: derived.Start,
	}
	if key.Has == 0 {
		return Entry{}, &fault{"orig", "has no address: no tuple says which entry"}
	}
	return key, nil
}

func (change *Change) encode(raw *rawEntry) *fault {
	key, wrong := change.Key.key()
	if wrong != nil {
		return wrong
	}
	var mask uint32
	key.Timeout = take(&key, change.Timeout, HasTimeout)
	key.Status = take(&key, change.Status, HasStatus)
	labels, how, wrong := change.labels()
	if wrong != nil {
		return wrong
	}
	key.Labels = take(&key, labels, HasLabels)
	key.Helper = take(&key, change.Helper, HasHelper)
	key.TCP.State = take(&key, change.TCPState, HasTCPState)
	key.SCTP = take(&key, change.SCTP, HasSCTP)
	window := take(&key, change.TCPWindow, HasTCPWindow)
	key.TCP.OrigWindowScale, key.TCP.ReplyWindowScale = window.Orig, window.Reply
	flags := take(&key, change.TCPFlags, HasTCPFlags)
	key.TCP.OrigFlags, key.TCP.ReplyFlags = flags.Orig, flags.Reply
	key.TCP.OrigFlagsMask, key.TCP.ReplyFlagsMask = flags.OrigMask, flags.ReplyMask
	if mark := take(&key, change.Mark, HasMark); key.Has.All(HasMark) {
		if mark.Value&^mark.Mask != 0 {
			return &fault{"mark", fmt.Sprintf("%#x has bits outside the mask %#x", mark.Value, mark.Mask)}
		}
		key.Mark, mask = mark.Value, mark.Mask
	}
	if wrong := encode(raw, &key); wrong != nil {
		return wrong
	}
	raw.has |= how
	if key.Has.All(HasMark) {
		raw.has |= ctHasMarkMask
		raw.markMask = uint32(mask)
	}
	return nil
}

// labels are those of the change, and the bit that says what to do with them.
func (change *Change) labels() (Optional[Labels], uint64, *fault) {
	var chosen Optional[Labels]
	var how uint64
	given := 0
	for _, way := range []struct {
		labels Optional[Labels]
		how    uint64
	}{{change.Labels, 0}, {change.AddLabels, ctHasLabelsAdd}, {change.RemoveLabels, ctHasLabelsRemove}} {
		if _, set := way.labels.Get(); set {
			chosen, how = way.labels, way.how
			given++
		}
	}
	if given > 1 {
		return chosen, 0, &fault{"labels", "more than one of Labels, AddLabels and RemoveLabels is given"}
	}
	return chosen, how, nil
}

// take gives the value of an Optional, and announces it in the entry.
func take[T any](e *Entry, optional Optional[T], bit Has) T {
	value, set := optional.Get()
	if set {
		e.Has |= bit
	}
	return value
}
