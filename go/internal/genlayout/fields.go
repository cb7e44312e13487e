// SPDX-License-Identifier: MIT OR Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// record is one line of abi/fields.txt: a field of an entry or a filter, which bits announce it, and which calls take it.
type record struct {
	// For example "ct_entry.orig.sport".
	name         string
	offset, size int
	// The field counts if one bit of each of these is set. They have the names of the header.
	groups [][]string
	// Of entries: "key", "create" and "update".
	uses []string
}

// recorded are the structs whose fields have bits, and what the names of those begin with.
var recorded = map[string]string{"ct_entry": "CT_HAS_", "ct_filter": "CT_MATCH_"}

// parseRecords reads the record of fields. It must have every field of the recorded structs, once, and nothing else.
func (h *header) parseRecords(text string) error {
	missing := map[string]bool{}
	for name := range recorded {
		for _, leaf := range h.leaves(name, name) {
			missing[leaf.name] = true
		}
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		one, err := h.parseRecord(line)
		if err != nil {
			return fmt.Errorf("fields: %q: %w", line, err)
		}
		before := len(missing)
		for name := range missing {
			if name == one.name || strings.HasPrefix(name, one.name+".") {
				delete(missing, name)
			}
		}
		if len(missing) == before {
			return fmt.Errorf("fields: %q: the header has no such field, or it comes twice", line)
		}
		h.records = append(h.records, one)
	}
	for name := range missing {
		return fmt.Errorf("fields: %s is not there", name)
	}
	return nil
}

func (h *header) parseRecord(line string) (record, error) {
	words := strings.Split(line, " ")
	structure, _, _ := strings.Cut(words[0], ".")
	prefix, known := recorded[structure]
	if want := map[string]int{"CT_HAS_": 5, "CT_MATCH_": 4}[prefix]; !known || len(words) != want {
		return record{}, fmt.Errorf("is no line of a field")
	}
	one := record{name: words[0]}
	var err error
	if one.offset, err = strconv.Atoi(words[1]); err == nil {
		one.size, err = strconv.Atoi(words[2])
	}
	if err != nil {
		return one, err
	}
	if words[3] != "-" {
		for _, group := range strings.Split(words[3], "&") {
			var bits []string
			for _, bit := range strings.Split(group, "|") {
				if !slices.ContainsFunc(h.constants, func(c constant) bool { return c.name == prefix+bit }) {
					return one, fmt.Errorf("the header has no %s", prefix+bit)
				}
				bits = append(bits, prefix+bit)
			}
			one.groups = append(one.groups, bits)
		}
	}
	if len(words) == 5 && words[4] != "-" {
		one.uses = strings.Split(words[4], ",")
		for _, use := range one.uses {
			if !slices.Contains([]string{"key", "create", "update"}, use) {
				return one, fmt.Errorf("what is %q?", use)
			}
		}
	}
	return one, nil
}

// leaf is a field that has no fields itself.
type leaf struct {
	// For example "ct_entry.orig.sport", and "orig.sport" in Go.
	name, path string
	kind       string
	elements   int
}

// leaves are those of a struct of this name, which is known as what is before their dots.
func (h *header) leaves(name, before string) []leaf {
	var found []leaf
	for _, s := range h.structures {
		if s.name != name {
			continue
		}
		for _, f := range s.fields {
			inner := ""
			for _, other := range h.structures {
				if structName(other.name) == f.kind {
					inner = other.name
				}
			}
			if inner == "" {
				found = append(found, leaf{before + "." + f.name, fieldName(f.name), f.kind, f.elements})
				continue
			}
			for _, l := range h.leaves(inner, before+"."+f.name) {
				l.path = fieldName(f.name) + "." + l.path
				found = append(found, l)
			}
		}
	}
	return found
}

// recordOf is the record of a leaf: its own, or that of the struct that it is in.
func (h *header) recordOf(name string) record {
	at := slices.IndexFunc(h.records, func(r record) bool { return name == r.name || strings.HasPrefix(name, r.name+".") })
	return h.records[at]
}

// writeSums writes what sets of constants come to, so that nobody has to know which is the last of them.
func writeSums(out *bytes.Buffer, h header) {
	all := func(prefix string) []string {
		var names []string
		for _, c := range h.constants {
			if strings.HasPrefix(c.name, prefix) {
				names = append(names, constantName(c.name))
			}
		}
		return names
	}
	used := func(takes func(uses []string) bool) []string {
		var names []string
		for _, r := range h.records {
			for _, bit := range slices.Concat(r.groups...) {
				if name := constantName(bit); takes(r.uses) && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
		return names
	}
	for _, sum := range []struct {
		name, comment string
		bits          []string
	}{
		{"ctHasAll", "are all bits of has", all("CT_HAS_")},
		{"ctHasKey", "are the bits of what says which entry is meant", used(func(uses []string) bool { return slices.Contains(uses, "key") })},
		{"ctHasUpdate", "are the bits of what an update can change", used(func(uses []string) bool { return slices.Contains(uses, "update") })},
		{"ctHasUpdateOnly", "are those of what nothing but an update knows", used(func(uses []string) bool { return slices.Equal(uses, []string{"update"}) })},
		{"ctStatusAll", "are all bits of status", all("CT_STATUS_")},
	} {
		if len(sum.bits) == 0 {
			continue
		}
		fmt.Fprintf(out, "\n// %s %s.\nconst %s = ", sum.name, sum.comment, sum.name)
		for i, bit := range sum.bits {
			switch {
			case i == 0:
			case i%6 == 0:
				fmt.Fprintf(out, " |\n\t")
			default:
				fmt.Fprintf(out, " | ")
			}
			fmt.Fprint(out, bit)
		}
		fmt.Fprintln(out)
	}
	if states := all("CT_TCP_STATE_"); len(states) > 0 {
		fmt.Fprintf(out, "\n// ctTcpStateLast is the largest state of TCP.\nconst ctTcpStateLast = %s\n", states[len(states)-1])
	}
}

// goGroups are the bits in Go: one of each must be set.
func (r record) goGroups() string {
	var groups []string
	for _, bits := range r.groups {
		var names []string
		for _, bit := range bits {
			names = append(names, constantName(bit))
		}
		groups = append(groups, strings.Join(names, " | "))
	}
	return "[]uint64{" + strings.Join(groups, ", ") + "}"
}

// writeAnnounced writes which fields of an entry are set, and which bits must say so.
func writeAnnounced(out *bytes.Buffer, h header) {
	fmt.Fprintf(out, "\n// announced are the fields of an entry that bits of has announce, in the order of abi/fields.txt.\n")
	fmt.Fprintf(out, "func (e *rawEntry) announced() []announcedField {\nreturn []announcedField{\n")
	leaves := h.leaves("ct_entry", "ct_entry")
	for _, r := range h.records {
		if r.groups == nil || !strings.HasPrefix(r.name, "ct_entry.") {
			continue
		}
		var set []string
		for _, l := range leaves {
			switch {
			case l.name != r.name && !strings.HasPrefix(l.name, r.name+"."):
			case l.elements > 0:
				set = append(set, fmt.Sprintf("e.%s != [%d]%s{}", l.path, l.elements, l.kind))
			default:
				set = append(set, fmt.Sprintf("e.%s != 0", l.path))
			}
		}
		fmt.Fprintf(out, "{%q, %s, %s},\n", strings.TrimPrefix(r.name, "ct_entry."), strings.Join(set, " || "), r.goGroups())
	}
	fmt.Fprintf(out, "}\n}\n")
}

// writeLeaves writes every field of the recorded structs, for tests that walk over them.
func writeLeaves(out *bytes.Buffer, h header) {
	fmt.Fprintf(out, "\n// layoutLeaf is a field that has no fields itself.\ntype layoutLeaf struct {\n")
	fmt.Fprintf(out, "offset, size uintptr\n// It is a name, and not numbers.\ntext bool\n// It counts if a bit of each is set.\ngroups []uint64\n")
	fmt.Fprintf(out, "key, create, update bool\n}\n\n// layoutLeaves are the fields of entries and filters, as abi/fields.txt has them.\n")
	fmt.Fprintf(out, "var layoutLeaves = map[string]layoutLeaf{\n")
	for _, s := range h.structures {
		if _, is := recorded[s.name]; !is {
			continue
		}
		for _, l := range h.leaves(s.name, s.name) {
			r := h.recordOf(l.name)
			at := structName(s.name) + "{}"
			offset := ""
			for i, part := range strings.Split(l.path, ".") {
				if i > 0 {
					offset += " + "
				}
				at += "." + part
				offset += fmt.Sprintf("unsafe.Offsetof(%s)", at)
			}
			fmt.Fprintf(out, "%q: {%s, unsafe.Sizeof(%s), %t, %s, %t, %t, %t},\n", l.name, offset, at, l.kind == "byte", r.goGroups(),
				slices.Contains(r.uses, "key"), slices.Contains(r.uses, "create"), slices.Contains(r.uses, "update"))
		}
	}
	fmt.Fprintf(out, "}\n\n// layoutRecords are the offsets and sizes that abi/fields.txt says.\nvar layoutRecords = map[string][2]uintptr{\n")
	for _, r := range h.records {
		fmt.Fprintf(out, "%q: {%d, %d},\n", r.name, r.offset, r.size)
	}
	fmt.Fprintf(out, "}\n")
}
