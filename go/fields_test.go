// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"ctrack/internal/fieldtest"
	"ctrack/internal/hook"
	"encoding/binary"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// These tests walk over the fields and constants that the header and abi/fields.txt have, and over the fields of the structs of this
// package. Each names the place that was forgotten when one was added.

// fieldValues are values for fields of types that have none of their own. They agree: a filter of them matches an entry of them.
var fieldValues = []any{
	Is(IPv6), Is(TCP), Is[uint8](1), Is[uint16](1), Is[uint32](1), Is[uint64](1), Is("a"), Is(time.Second), Is(StatusSeenReply),
	Is(someLabels.Bits), Is(Mark{1, 1}), Is(PortRange{1, 1}), Is(TCPStates(1 << 1)), Is(LabelMatch{someLabels, someLabels}), Is(someLabels),
	Is(TCPSynSent), Is(TCPWindow{1, 1}), Is(TCPFlagChange{1, 1, 1, 1}), Is(SCTPInfo{1, 1, 1}), StatusSeenReply, TCP, IPv6, ZoneOrig,
}

var someLabels = Labels{Bits: [16]byte{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}}

// bytesOf are the bytes of a struct of layout.go.
func bytesOf[T any](raw *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(raw)), unsafe.Sizeof(*raw))
}

// differing are the fields in which two structs differ, by their names in the header.
func differing[T any](structure string, one, other *T) []string {
	return slices.DeleteFunc(fieldsOf(structure), func(name string) bool {
		at := layoutFields[name]
		if leaf, is := layoutLeaves[name]; is {
			at = [2]uintptr{leaf.offset, leaf.size}
		}
		return string(bytesOf(one)[at[0]:][:at[1]]) == string(bytesOf(other)[at[0]:][:at[1]])
	})
}

// fieldsOf are the fields of a struct, and those of structs in it.
func fieldsOf(structure string) []string {
	names := slices.Concat(slices.Collect(maps.Keys(layoutFields)), slices.Collect(maps.Keys(layoutLeaves)))
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return !strings.HasPrefix(name, structure+".") })
}

func TestTheRecordOfFieldsHasTheOffsetsAndSizesOfTheHeader(t *testing.T) {
	for name, want := range layoutRecords {
		found, there := layoutFields[name]
		if leaf, is := layoutLeaves[name]; is {
			found, there = [2]uintptr{leaf.offset, leaf.size}, true
		}
		if !there || found != want {
			t.Errorf("%s: abi/fields.txt says %v, and it is %v", name, want, found)
		}
	}
}

// leavesOf are the fields of an entry that an Entry has: what the kernel sends, and what says which entry is meant.
func leavesOf(t *testing.T) []string {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(layoutLeaves)), func(name string) bool {
		leaf := layoutLeaves[name]
		if !strings.HasPrefix(name, "ct_entry.") || len(leaf.groups) == 0 && !leaf.key {
			return true
		}
		return slices.ContainsFunc(leaf.groups, func(bits uint64) bool { return bits&uint64(hasKnown) == 0 })
	})
	if len(names) < 40 {
		t.Fatalf("only %d fields", len(names))
	}
	return names
}

// setLeaf gives a field of an entry a value that any such field can have.
func setLeaf(raw *rawEntry, name string) {
	leaf := layoutLeaves[name]
	to := bytesOf(raw)[leaf.offset:][:leaf.size]
	switch {
	case name == "ct_entry.family":
		to[0] = ctFamilyIpv4
	case strings.HasSuffix(name, "zone"):
		binary.NativeEndian.PutUint32(to, 0x0101)
	case leaf.text:
		copy(to[:len(to)-1], strings.Repeat("a", len(to)))
	default:
		copy(to, strings.Repeat("\x01", len(to)))
	}
}

// entriesWith are an entry that has this field and announces it, and the same with zero in its place. The protocol is the first of
// which the field is read; false: it is read of none.
func entriesWith(name string) (with, without rawEntry, read bool) {
	leaf := layoutLeaves[name]
	for _, proto := range []Proto{0, TCP, SCTP, DCCP} {
		with = rawEntry{has: ctHasOrig, family: ctFamilyIpv6, proto: uint8(proto)}
		for _, bits := range leaf.groups {
			with.has |= bits
		}
		// A zone is in two places, or in three.
		switch name {
		case "ct_entry.zone":
			with.has = ctHasOrig | ctHasZone
			setLeaf(&with, "ct_entry.orig.zone")
			setLeaf(&with, "ct_entry.reply.zone")
		case "ct_entry.orig.zone":
			with.has = ctHasOrig | ctHasOrigZone
			setLeaf(&with, "ct_entry.zone")
		case "ct_entry.reply.zone":
			with.has = ctHasOrig | ctHasReplyZone
			setLeaf(&with, "ct_entry.zone")
		}
		without = with
		setLeaf(&with, name)
		if strings.HasPrefix(name, "ct_entry.") && strings.HasSuffix(name, "zone") {
			without = rawEntry{has: ctHasOrig, family: ctFamilyIpv6, proto: uint8(proto)}
		}
		if decoded(&with) != decoded(&without) {
			return with, without, true
		}
	}
	return with, without, false
}

func TestEveryFieldOfTheLibrarysEntryIsInAnEntryAndComesBack(t *testing.T) {
	for _, name := range leavesOf(t) {
		raw, _, read := entriesWith(name)
		if !read {
			t.Errorf("%s: no field of an Entry has it: see Entry in entry.go, and decode in entry_convert.go", name)
			continue
		}
		var back rawEntry
		e := decoded(&raw)
		if wrong := encode(&back, &e); wrong != nil {
			t.Fatalf("%s: %v", name, wrong.in("encode", "entry"))
		}
		if lost := differing("ct_entry", &back, &raw); len(lost) > 0 {
			t.Errorf("%s: an Entry has it, but %v are not written as they were read: see encode in entry_convert.go", name, lost)
		}
	}
}

func TestEveryFieldOfAnEntryIsInTheLibrarysEntry(t *testing.T) {
	address := netip.MustParseAddr("fd00::2")
	ends := Tuple{Src: address, Dst: address}
	fieldtest.Each(t, fieldValues, func(name string, set func(*Entry)) {
		base := Entry{Has: hasKnown &^ hasAnyZone, Family: IPv6, Proto: UDP, Orig: ends, Reply: ends}
		e := base
		switch set(&e); name {
		case "Has", "Family", "ZoneDir":
			// They say what others are: the test before this one sets them.
			return
		case "Zone":
			e.Has |= HasZone
		}
		var raw, without rawEntry
		if wrong := encode(&raw, &e); wrong != nil {
			t.Fatalf("%s: %v", name, wrong.in("encode", "entry"))
		}
		if wrong := encode(&without, &base); wrong != nil {
			t.Fatal(wrong.in("encode", "entry"))
		}
		if raw.has = without.has; raw == without {
			t.Errorf("Entry.%s: it is not written: see encode in entry_convert.go", name)
		}
	})
}

func TestAnEntryByHandAnnouncesEveryFieldThatIsSet(t *testing.T) {
	for _, name := range leavesOf(t) {
		raw, _, _ := entriesWith(name)
		byHand := decoded(&raw)
		byHand.Has = 0
		derived, wrong := byHand.withBits()
		if wrong != nil {
			t.Fatalf("%s: %v", name, wrong.in("derive", "entry"))
		}
		for _, bits := range layoutLeaves[name].groups {
			if uint64(derived.Has)&bits == 0 {
				t.Errorf("%s: it does not set %v: see Entry.withBits in entry.go", name, Has(bits))
			}
		}
	}
}

func TestAFieldThatIsSetAndNotAnnouncedIsRefusedByName(t *testing.T) {
	for name, leaf := range layoutLeaves {
		for i := range leaf.groups {
			if !strings.HasPrefix(name, "ct_entry.") {
				continue
			}
			raw := rawEntry{family: ctFamilyIpv6}
			for j, bits := range leaf.groups {
				if j != i {
					raw.has |= bits
				}
			}
			setLeaf(&raw, name)
			wrong := checkEntry(&raw, hook.ToFind)
			if wrong == nil || wrong.reason != "is set, but not announced" || !strings.HasPrefix(name, "ct_entry."+wrong.field) {
				t.Errorf("%s without %v: %v", name, Has(leaf.groups[i]), wrong)
			}
			raw.has |= leaf.groups[i]
			if wrong := checkAnnounced(&raw, hook.ToFind); wrong != nil {
				t.Errorf("%s: %v", name, wrong.in("check", "entry"))
			}
		}
	}
}

func TestEveryFieldThatAnUpdateChangesIsInAChangeAndComesThrough(t *testing.T) {
	key := Key(TCP, netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:2"))
	nothing := Change{Key: key}
	var without rawEntry
	if wrong := nothing.encode(&without); wrong != nil {
		t.Fatal(wrong.in("encode", "change"))
	}
	changed, bits := map[string]bool{}, uint64(0)
	fieldtest.Each(t, append(fieldValues, key), func(name string, set func(*Change)) {
		if name == "Key" {
			return
		}
		change, raw := nothing, rawEntry{}
		set(&change)
		if wrong := change.encode(&raw); wrong != nil {
			t.Fatalf("%s: %v", name, wrong.in("encode", "change"))
		}
		touched := differing("ct_entry", &raw, &without)
		if len(touched) < 2 || raw.has == without.has {
			t.Errorf("Change.%s: it is not written, or not announced: see Change.encode in change.go", name)
		}
		for _, field := range touched {
			changed[field] = true
		}
		bits |= raw.has
	})
	for name, leaf := range layoutLeaves {
		if leaf.update && !changed[name] {
			t.Errorf("%s: no field of a Change is for it: see Change and Change.encode in change.go", name)
		}
	}
	// Those that only updates know say what to do.
	for name, bit := range layoutConstants {
		if strings.HasPrefix(name, "CT_HAS_") && bit&uint64(hasKnown) == 0 && bits&bit == 0 {
			t.Errorf("%s: no field of a Change sets it: see Change.encode in change.go, and hasKnown in constants.go", name)
		}
	}
}

func TestEveryFieldOfAFilterComesThrough(t *testing.T) {
	encoded := func(name string, f Filter) rawFilter {
		var raw rawFilter
		if wrong := encodeFilter(&raw, &f); wrong != nil {
			t.Fatalf("%s: %v", name, wrong.in("encode", "filter"))
		}
		return raw
	}
	without := encoded("nothing", Filter{})
	written, bits := map[string]bool{}, uint64(0)
	fieldtest.Each(t, fieldValues, func(name string, set func(*Filter)) {
		var f Filter
		set(&f)
		raw := encoded(name, f)
		bits |= raw.match
		touched := differing("ct_filter", &raw, &without)
		if len(touched) == 0 {
			t.Errorf("Filter.%s: it is not written: see encodeFilter in filter_convert.go", name)
		}
		announced := uint64(0)
		for _, field := range touched {
			written[field] = true
			for _, group := range layoutLeaves[field].groups {
				if announced |= group; raw.match&group == 0 {
					t.Errorf("Filter.%s: it writes %s without its bit of match: see encodeFilter in filter_convert.go", name, field)
				}
			}
		}
		if raw.match != announced {
			t.Errorf("Filter.%s: it sets bits %#x of match, and what it writes has %#x", name, raw.match, announced)
		}
	})
	for name, leaf := range layoutLeaves {
		if strings.HasPrefix(name, "ct_filter.") && len(leaf.groups) > 0 && !written[name] {
			t.Errorf("%s: no field of a Filter is for it: see Filter in filter.go, and encodeFilter in filter_convert.go", name)
		}
	}
	for name, bit := range layoutConstants {
		if strings.HasPrefix(name, "CT_MATCH_") && bits&bit == 0 {
			t.Errorf("%s: no field of a Filter sets it: see encodeFilter in filter_convert.go", name)
		}
	}
}

func TestEveryFieldOfAFilterIsComparedWithWhatAnEntryHas(t *testing.T) {
	full := fieldtest.Full[Entry](t, fieldValues)
	full.Has, full.ZoneDir = 0, ZoneBoth
	fieldtest.Each(t, fieldValues, func(name string, set func(*Filter)) {
		if name == "Exclude" {
			return
		}
		for _, proto := range []Optional[Proto]{{}, Is(TCP), Is(ICMPv6)} {
			f := Filter{Proto: proto}
			if set(&f); f.Check() != nil {
				continue
			}
			// All values are zero, though announced.
			empty := Entry{Has: hasKnown &^ (HasOrigZone | HasReplyZone), Family: IPv4, Proto: f.Proto.value}
			has := full
			if proto.set {
				has.Proto = proto.value
			}
			switch name {
			case "Proto":
				empty.Proto++
			case "StatusClear":
				empty.Status, has.Status = f.StatusClear, 0
			}
			if f.Matches(empty) {
				t.Errorf("Filter.%s: it matches what is not so: see matcher.matches in match.go", name)
			}
			if !f.Matches(has) {
				t.Errorf("Filter.%s: it does not match what is so: see matcher.matches and plainEntry in match.go", name)
			}
			return
		}
		t.Errorf("Filter.%s: it is refused with every protocol", name)
	})
}

func TestAFieldOfAFilterThatIsZeroMatchesNoEntryThatLacksIt(t *testing.T) {
	zero := []any{
		Is(IPv6), Is[uint8](0), Is[uint16](0), Is[uint32](0), Is[uint64](0), Is("a"), Port(0), TCPStateIn(TCPNone), MarkIs(0),
		Is(LabelMatch{Labels{}, someLabels}), Is(Proto(0)), netip.MustParsePrefix("::/0"), Status(0),
	}
	// An entry always has them; or what it lacks is zero, as the library says.
	zeros := []string{
		"Exclude", "Family", "Proto", "OrigSrc", "OrigDst", "ReplySrc", "ReplyDst", "Zone", "OrigZone", "ReplyZone", "Mark", "StatusSet",
		"StatusClear", "Labels",
	}
	fieldtest.Each(t, zero, func(name string, set func(*Filter)) {
		for _, proto := range []Optional[Proto]{{}, Is(TCP), Is(ICMPv6)} {
			f := Filter{Proto: proto}
			if set(&f); f.Check() != nil {
				continue
			}
			// Nothing but that it is an entry.
			bare := Entry{Has: HasSecctx, Family: IPv6, Proto: f.Proto.value}
			if f.Matches(bare) != slices.Contains(zeros, name) {
				t.Errorf("Filter.%s: it matches what an entry without it has: see what sets matcher.needs in match.go", name)
			}
			return
		}
		if name != "Exclude" {
			t.Errorf("Filter.%s: it is refused with every protocol", name)
		}
	})
}

func TestEveryFieldOfAScopeLimitsIt(t *testing.T) {
	fieldtest.Each(t, fieldValues, func(name string, set func(*Scope)) {
		var scope Scope
		set(&scope)
		if filter := scope.filter(); filter.String() == "any" {
			t.Errorf("Scope.%s: it limits nothing: see Scope.filter in flush.go", name)
		}
	})
}

func TestEveryFieldOfTheLibrarysResultIsInAResultAndInItsText(t *testing.T) {
	ones := map[string]uint64{}
	for name, bit := range layoutConstants {
		if strings.HasPrefix(name, "CT_RESULT_") {
			ones[name] = bit
		}
	}
	if len(ones) < 2 {
		t.Fatalf("flags are %v", ones)
	}
	for _, name := range fieldsOf("ct_result") {
		switch name {
		case "ct_result.size", "ct_result.flags", "ct_result.pad0":
		default:
			ones[name] = 0
		}
	}
	for name, bit := range ones {
		raw := rawResult{flags: uint32(bit)}
		if at, is := layoutFields[name]; is {
			bytesOf(&raw)[at[0]] = 1
			bytesOf(&raw)[at[0]+at[1]-1] = 1
		}
		if resultOf(&raw) == (Result{}) {
			t.Errorf("%s: no field of a Result has it: see Result and resultOf in result.go", name)
		}
	}
	fieldtest.Each(t, fieldValues, func(name string, set func(*Result)) {
		var r Result
		if set(&r); r.String() == (Result{}).String() {
			t.Errorf("Result.%s: it is not in its text: see Result.String in result.go", name)
		}
	})
}

func TestEveryFieldOfTheLibrarysOptionsIsOneOfOptions(t *testing.T) {
	opts := func(o Options) rawOpenOpts {
		raw, err := o.check()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	without := opts(Options{})
	written, flags := map[string]bool{
		// Open has them from Options.Namespace.
		"ct_open_opts.netns_fd": true,
		"ct_open_opts.size":     true, "ct_open_opts.pad0": true,
	}, uint32(ctOpenNetns)
	fieldtest.Each(t, append(fieldValues, Namespace{}), func(name string, set func(*Options)) {
		var o Options
		set(&o)
		raw := opts(o)
		flags |= raw.flags
		touched := differing("ct_open_opts", &raw, &without)
		// They are for the pool.
		if len(touched) == 0 && name != "Namespace" && name != "MaxHandles" {
			t.Errorf("Options.%s: it is not written: see Options.check in open.go", name)
		}
		for _, field := range touched {
			written[field] = true
		}
	})
	for _, name := range fieldsOf("ct_open_opts") {
		if !written[name] {
			t.Errorf("%s: no field of Options is for it: see Options and Options.check in open.go", name)
		}
	}
	for name, bit := range layoutConstants {
		if strings.HasPrefix(name, "CT_OPEN_") && uint64(flags)&bit == 0 {
			t.Errorf("%s: no field of Options sets it: see Options.check in open.go", name)
		}
	}
}

func TestEveryFieldOfTheLibrarysWatchOptionsIsOneOfWatchOptions(t *testing.T) {
	written, flags, events := map[string]bool{
		// OpenWatch has it from WatchOptions.Namespace.
		"ct_watch_opts.netns_fd": true, "ct_watch_opts.size": true,
	}, uint32(ctWatchNetns), uint32(0)
	values := []any{Namespace{}, []EventKind{New, Update, Destroy}, time.Second}
	fieldtest.Each(t, append(values, fieldValues...), func(name string, set func(*WatchOptions)) {
		without := WatchOptions{Sync: name != "Reliable" && name != "AllNsid"}
		if name == "Sync" {
			without.Sync = false
		}
		with := without
		set(&with)
		before, err := without.check()
		raw, err2 := with.check()
		if err != nil || err2 != nil {
			t.Fatal(name, err, err2)
		}
		flags, events = flags|raw.flags, events|raw.events
		touched := differing("ct_watch_opts", &raw, &before)
		if len(touched) == 0 && name != "Namespace" {
			t.Errorf("WatchOptions.%s: it is not written: see WatchOptions.check in watch.go", name)
		}
		for _, field := range touched {
			written[field] = true
		}
	})
	for _, name := range fieldsOf("ct_watch_opts") {
		if !written[name] {
			t.Errorf("%s: no field of WatchOptions is for it: see WatchOptions and WatchOptions.check in watch.go", name)
		}
	}
	for name, bit := range layoutConstants {
		of := uint64(flags)
		switch name {
		case "CT_WATCH_IS_SYNCED", "CT_WATCH_MAY_BE_SILENT":
			continue
		case "CT_WATCH_NEW", "CT_WATCH_UPDATE", "CT_WATCH_DESTROY":
			of = uint64(events)
		}
		if strings.HasPrefix(name, "CT_WATCH_") && of&bit == 0 {
			t.Errorf("%s: no field of WatchOptions sets it: see WatchOptions.check in watch.go", name)
		}
	}
}

func TestEveryFieldOfTheLibrarysInfoOfAWatchIsInWatchInfo(t *testing.T) {
	for _, name := range fieldsOf("ct_watch_info") {
		if name == "ct_watch_info.size" || name == "ct_watch_info.pad0" {
			continue
		}
		var raw rawWatchInfo
		at, size := layoutFields[name][0], layoutFields[name][1]
		for i := range size {
			// Both flags, in either byte order.
			bytesOf(&raw)[at+i] = 3
		}
		if infoOf(&raw) == (WatchInfo{}) {
			t.Errorf("%s: it is not in WatchInfo: see infoOf in watch.go", name)
		}
	}
}

func TestEveryFieldOfTheLibrarysEventIsInAnEventAndComesBack(t *testing.T) {
	var names helperNames
	for _, name := range fieldsOf("ct_event") {
		if name == "ct_event.reserved" || name == "ct_event.entry" {
			continue
		}
		raw := rawEvent{type_: ctEventSynced, nsid: -1}
		if name == "ct_event.lost" {
			raw.type_ = ctEventLost
		}
		bytesOf(&raw)[layoutFields[name][0]] = 1
		if name == "ct_event.nsid" {
			raw.nsid = 1
		}
		var e Event
		decodeEvent(&e, &raw, &names)
		var back rawEvent
		if wrong := encodeEvent(&back, &e); wrong != nil && name != "ct_event.type" || wrong == nil && back != raw {
			t.Errorf("%s: %+v comes back as %+v (%v): see decodeEvent and encodeEvent in event.go", name, raw, back, wrong)
		}
	}
}

// layoutNamesOfKinds are the events that are kinds, and no flags.
var layoutNamesOfKinds = map[string]bool{"NEW": true, "UPDATE": true, "DESTROY": true, "LOST": true, "SYNCED": true}

func TestEveryConstantWithANameInCHasItInGo(t *testing.T) {
	named := 0
	for name, value := range layoutConstants {
		var text, want string
		if rest, is := strings.CutPrefix(name, "CT_HAS_"); is && value&uint64(hasKnown) != 0 {
			text, want = Has(value).String(), strings.ToLower(strings.ReplaceAll(rest, "_", "-"))
			want = strings.Replace(want, "tcp-wscale", "tcp-window", 1)
		} else if rest, is := strings.CutPrefix(name, "CT_STATUS_"); is {
			text, want = Status(value).String(), rest
		} else if rest, is := strings.CutPrefix(name, "CT_TCP_STATE_"); is {
			text, want = TCPState(value).String(), rest
		} else if rest, is := strings.CutPrefix(name, "CT_PROTO_"); is {
			text, want = Proto(value).String(), strings.ToLower(rest)
		} else if rest, is := strings.CutPrefix(name, "CT_FAMILY_"); is {
			text, want = Family(value).String(), strings.ToLower(rest)
		} else if rest, is := strings.CutPrefix(name, "CT_EVENT_"); is && layoutNamesOfKinds[rest] {
			text, want = EventKind(value).String(), strings.ToLower(rest)
		} else if is {
			text, want = EventFlags(value).String(), strings.ToLower(rest)
		} else {
			continue
		}
		if named++; text != want {
			t.Errorf("%s: its String is %q, not %q: see constants.go", name, text, want)
		}
	}
	if named < 60 {
		t.Errorf("only %d have names", named)
	}
}

func TestEveryConstantOfTheHeaderIsUsedWhereItMatters(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 40 {
		t.Fatalf("%v, %v", files, err)
	}
	// The names that are used, and in which files.
	used := map[string]map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || file == "layout.go" {
			continue
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(syntax, func(node ast.Node) bool {
			if name, is := node.(*ast.Ident); is {
				if used[name.Name] == nil {
					used[name.Name] = map[string]bool{}
				}
				used[name.Name][file] = true
			}
			return true
		})
	}
	// Where those of a kind must be; all others anywhere.
	places := map[string]string{
		"CT_HAS_": "constants.go", "CT_STATUS_": "constants.go", "CT_TCP_STATE_": "constants.go", "CT_PROTO_": "constants.go",
		"CT_FAMILY_": "constants.go", "CT_MATCH_": "filter_convert.go", "CT_RESULT_": "result.go", "CT_FORMAT_": "text.go",
		"CT_EVENT_": "constants.go", "CT_WATCH_": "watch.go",
	}
	for _, name := range slices.Sorted(maps.Keys(layoutConstants)) {
		if strings.HasPrefix(name, "CT_VERSION_") {
			continue
		}
		inGo, place := layoutNames[name], "this package"
		there := len(used[inGo]) > 0
		for prefix, file := range places {
			// A Has has no names for what only updates know.
			if name == "CT_WATCH_NETNS" {
				continue
			}
			if strings.HasPrefix(name, prefix) && (prefix != "CT_HAS_" || layoutConstants[name]&uint64(hasKnown) != 0) {
				there, place = used[inGo][file], file
			}
		}
		if !there {
			t.Errorf("%s: nothing in %s uses it: it is %s here", name, place, inGo)
		}
	}
}
