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
