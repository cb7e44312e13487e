// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"ctrack/internal/nstest"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// faultsLoaded is set in the process that runs with tests/faults/faults.c before the C library.
const faultsLoaded = "CTRACK_TEST_FAULTS"

// cWords are names of the C interface, which no text in Go may have: "has" as a field and "match" as a set of bits, but not the verbs.
var cWords = regexp.MustCompile(`\bct_|\bCT_|\bNULL\b|\.has\b|\bhas:|\bin has\b|has announces|\.match\b|bit in match|-E[A-Z]{3}`)

// unreachable are the kinds of errors of the library that Go cannot bring about, and why.
var unreachable = map[string]string{
	"TooNew":   "this package sends structs of its own size, whose fields the library that it asks for knows",
	"DumpOpen": "a loop has its handle to itself",
	"NoDump":   "a loop begins its dump before it reads from it",
}

// Besides these kinds the boundary has two errors of its own: ECHILD wants a child process that was forked, which Go cannot have, and
// ENOTRECOVERABLE a panic within the library.

func TestEveryKindOfErrorSpeaksTheLanguageOfGo(t *testing.T) {
	if os.Getenv(faultsLoaded) == "" {
		runWithFaults(t)
		return
	}
	source, err := os.ReadFile(filepath.Join("..", "crates", "ctrack", "src", "error.rs"))
	if err != nil {
		t.Fatal(err)
	}
	_, kinds, _ := strings.Cut(string(source), "pub enum Error {\n")
	kinds, _, _ = strings.Cut(kinds, "\n}\n")
	var missing []string
	for _, match := range regexp.MustCompile(`(?m)^    ([A-Z]\w+)\b`).FindAllStringSubmatch(kinds, -1) {
		missing = append(missing, match[1])
	}
	if len(missing) < 15 {
		t.Fatalf("crates/ctrack/src/error.rs has only %v", missing)
	}
	for kind, test := range errorKinds {
		t.Run(kind, func(t *testing.T) {
			test(&errorTest{T: t, ns: newNetns(t)})
		})
		missing = slices.DeleteFunc(missing, func(other string) bool { return other == kind })
	}
	missing = slices.DeleteFunc(missing, func(kind string) bool { return unreachable[kind] != "" })
	if len(missing) != 0 {
		t.Errorf("nothing brings about %v", missing)
	}
}

// runWithFaults runs this test again with a kernel that misbehaves when it is told to.
func runWithFaults(t *testing.T) {
	nstest.Need(t, "cc")
	library := filepath.Join(t.TempDir(), "faults.so")
	source := filepath.Join("..", "tests", "faults", "faults.c")
	if output, err := exec.Command("cc", "-std=gnu99", "-O1", "-shared", "-fPIC", "-o", library, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	command := exec.Command("/proc/self/exe", "-test.run", "^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), "LD_PRELOAD="+library, faultsLoaded+"=1")
	output, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "\n--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, output)
	}
	if testing.Verbose() {
		t.Logf("%s", output)
	}
}

type errorTest struct {
	*testing.T
	ns *netns
}

// says fails unless the error has this errno and no word of C; with a part that its text must have.
func (t *errorTest) says(what string, err error, errno syscall.Errno, part string) {
	t.Helper()
	t.Log(what, ": ", err)
	var details *ctrack.Error
	if strings.Contains(err.Error(), "dump: ") || strings.Count(err.Error(), "count: ") > 1 {
		t.Errorf("%s: %q names an operation that was not asked for", what, err)
	}
	if !errors.As(err, &details) || details.Errno != errno || !strings.Contains(details.Text, part) {
		t.Errorf("%s: %#v, want %v and %q", what, err, errno, part)
		return
	}
	if word := cWords.FindString(err.Error()); word != "" {
		t.Errorf("%s: %q has %q", what, err, word)
	}
}

func (t *errorTest) open(options ctrack.Options) *ctrack.Conn {
	t.Helper()
	c := t.ns.open(options)
	return c
}

// fault sets the fault for what is done, and takes it away again.
func (t *errorTest) fault(fault string, do func()) {
	t.Helper()
	// With cgo it is set for C too.
	os.Setenv("CTRACK_FAULT", fault)
	defer os.Unsetenv("CTRACK_FAULT")
	do()
}

// calls are all calls that ask the kernel, on a table that has this entry.
func callsOf(c *ctrack.Conn, e ctrack.Entry) map[string]func() error {
	other := e
	other.Orig.SrcPort++
	return map[string]func() error{
		"List":            func() error { _, err := c.List(ctx, zone(0)); return err },
		"List all":        func() error { _, err := c.List(ctx); return err },
		"Get":             func() error { _, err := c.Get(ctx, e); return err },
		"Count":           func() error { _, err := c.Count(ctx); return err },
		"FreeZone":        func() error { _, err := c.FreeZone(ctx, 1, 2); return err },
		"Delete":          func() error { _, err := c.Delete(ctx, zone(0)); return err },
		"DeleteUncounted": func() error { _, err := c.DeleteUncounted(ctx, zone(0)); return err },
		"DeleteEntries":   func() error { _, err := c.DeleteEntries(ctx, []ctrack.Entry{e}); return err },
		"Create":          func() error { _, err := c.Create(ctx, []ctrack.Entry{other}); return err },
		"Update":          func() error { _, err := c.Update(ctx, []ctrack.Change{{Key: e, Mark: ctrack.MarkIs(1)}}); return err },
		"Flush":           func() error { return c.Flush(ctx, ctrack.Scope{Zone: ctrack.Is[uint16](0)}) },
		"FlushAll":        func() error { return c.FlushAll(ctx) },
		"All": func() error {
			var last error
			for _, err := range c.All(ctx) {
				last = err
			}
			return last
		},
	}
}

// every makes each of these calls fail by a fault; without names all of them. The table is as it was before each.
func (t *errorTest) every(fault string, errno syscall.Errno, part string, names ...string) {
	t.Helper()
	c := t.open(ctrack.Options{Timeout: 200 * time.Millisecond})
	e := udp("10.0.0.7:1", "10.0.0.8:53")
	calls := callsOf(c, e)
	if names == nil {
		names = slices.Sorted(maps.Keys(calls))
	}
	for _, name := range names {
		if err := c.FlushAll(ctx); err != nil {
			t.Fatal(err)
		}
		create(t, c, e)
		t.fault(fault, func() { t.says(fault+", "+name, calls[name](), errno, part) })
	}
	// The Conn is as good as new.
	if _, err := c.List(ctx); err != nil {
		t.Error(err)
	}
}

// errorKinds bring about each kind of error of crates/ctrack/src/error.rs.
var errorKinds = map[string]func(*errorTest){
	"Permission": func(t *errorTest) { t.every("eperm", syscall.EPERM, "CAP_NET_ADMIN") },
	"Kernel": func(t *errorTest) {
		t.every("enospc", syscall.ENOSPC, "refused by a test", "List", "List all", "Count", "FlushAll", "Create", "All")
		t.every("refuse=16", syscall.EBUSY, "in use, or not changeable", "List", "Count", "Create", "DeleteEntries", "Flush", "Get")
		t.every("refuse=12", syscall.ENOMEM, "out of memory, or the table is full", "Create", "List")
		t.every("refuse=17", syscall.EEXIST, "entry exists", "Create")
		c := t.open(ctrack.Options{})
		_, err := c.Get(ctx, udp("9.9.9.9:1", "9.9.9.9:2"))
		t.says("nothing there", err, syscall.ENOENT, "no such entry")
	},
	"System": func(t *errorTest) {
		t.every("send-eio", syscall.EIO, "send: input/output error")
		t.every("receive=5", syscall.EIO, "receive: input/output error")
		t.fault("socket=24", func() {
			_, err := ctrack.Open(ctrack.Options{})
			t.says("no descriptors", err, syscall.EMFILE, "too many open files")
		})
		t.fault("socket=93", func() {
			_, err := ctrack.Open(ctrack.Options{})
			t.says("no netfilter", err, syscall.EPROTONOSUPPORT, "no netfilter netlink")
		})
		_, err := ctrack.Open(ctrack.Options{Namespace: ctrack.NamespacePath("/proc/self/ns/uts")})
		t.says("no network namespace", err, syscall.EINVAL, "")
	},
	"Timeout": func(t *errorTest) {
		t.every("silence", syscall.ETIMEDOUT, "no reply from the kernel within 200 ms")
		t.every("drop", syscall.ETIMEDOUT, "no reply", "List", "Create", "Count")
	},
	"Interrupted": func(t *errorTest) {
		t.every("intr", syscall.EAGAIN, "the dump was interrupted", "List", "List all", "All", "FreeZone", "Delete")
	},
	"Overrun":   func(t *errorTest) { t.every("overrun", syscall.ENOBUFS, "replies were lost") },
	"Truncated": func(t *errorTest) { t.every("truncated", syscall.EMSGSIZE, "was truncated") },
	"Malformed": func(t *errorTest) {
		t.every("malformed", syscall.EBADMSG, "malformed netlink message")
		t.every("malformed-attribute", syscall.EBADMSG, "malformed attribute", "List", "All", "Count", "Get")
	},
	"NoMemory": func(t *errorTest) {
		t.every("nomem", syscall.ENOMEM, "out of memory")
		t.fault("nomem", func() {
			_, err := ctrack.Open(ctrack.Options{})
			t.says("Open", err, syscall.ENOMEM, "")
		})
	},
	"Hidden": func(t *errorTest) {
		c := t.open(ctrack.Options{})
		target := udp("1.1.1.1:1000", "2.2.2.2:53")
		target.Mark = 42
		reversed := udp("7.7.7.7:7", "7.7.7.8:7").InZone(9, ctrack.ZoneOrig)
		reversed.Reply = target.Orig
		create(t, c, target, udp("2.2.2.2:53", "1.1.1.1:1000").InZone(7, ctrack.ZoneReply), reversed)
		listed := list(t, c, ctrack.Filter{Mark: ctrack.MarkIs(42)})
		_, err := c.DeleteEntries(ctx, listed)
		t.says("DeleteEntries", err, ctrack.ErrHidden, "cannot be reached")
		_, err = c.Delete(ctx, ctrack.Filter{Mark: ctrack.MarkIs(42)})
		t.says("Delete", err, ctrack.ErrHidden, "cannot be reached")
		_, err = c.Update(ctx, []ctrack.Change{{Key: listed[0], Mark: ctrack.MarkIs(43)}})
		t.says("Update", err, ctrack.ErrHidden, "cannot be reached")
	},
	"Impossible": func(t *errorTest) {
		c := t.open(ctrack.Options{})
		e := tcp("10.0.0.7:1", "10.0.0.8:80")
		create(t, c, e)
		with := func(change func(e *ctrack.Entry)) ctrack.Entry {
			other := tcp("10.0.0.7:2", "10.0.0.8:80")
			change(&other)
			return other
		}
		for what, other := range map[string]ctrack.Entry{
			"its status":                 with(func(e *ctrack.Entry) { e.Status = ctrack.StatusExpected }),
			"one of a later kernel":      with(func(e *ctrack.Entry) { e.TCP.State = 15 }),
			"window scale":               with(func(e *ctrack.Entry) { e.TCP.OrigWindowScale = 15 }),
			"SRC_NAT":                    with(func(e *ctrack.Entry) { *e = translated(*e, "", "10.0.0.9:1"); e.Status |= ctrack.StatusSrcNAT }),
			"translates the source":      with(func(e *ctrack.Entry) { *e = translated(*e, "10.0.0.9:1", ""); e.Status = ctrack.StatusDstNAT }),
			"translates the destination": with(func(e *ctrack.Entry) { *e = translated(*e, "", "10.0.0.9:1"); e.Status = ctrack.StatusSrcNAT }),
		} {
			_, err := c.Create(ctx, []ctrack.Entry{other})
			var details *ctrack.Error
			errors.As(err, &details)
			t.says(what, err, details.Errno, what)
		}
		for what, change := range map[string]ctrack.Change{
			"would delete the entry": {Timeout: ctrack.Is[time.Duration](0)}, "can be added": {Status: ctrack.Is(ctrack.StatusDstNAT)},
			"WINDOW_SCALE": {TCPWindow: ctrack.Is(ctrack.TCPWindow{Orig: 1})}, "a later kernel": {TCPState: ctrack.Is(ctrack.TCPState(12))},
		} {
			change.Key = e
			_, err := c.Update(ctx, []ctrack.Change{change})
			var details *ctrack.Error
			errors.As(err, &details)
			t.says(what, err, details.Errno, what)
		}
	},
	"Full": func(t *errorTest) {
		create(t, t.open(ctrack.Options{}), udp("10.0.0.7:1", "10.0.0.8:53"), udp("10.0.0.7:2", "10.0.0.8:53"), udp("10.0.0.7:3", "10.0.0.8:53"))
		w := t.ns.watch(ctrack.WatchOptions{Sync: true, MaxEntries: 2})
		for {
			if _, err := w.Next(patient(t.T), make([]ctrack.Event, 8)); err != nil {
				t.says("Next", err, syscall.ENOSPC, "there are more than 2 entries")
				return
			}
		}
	},
	"NoFreeZone": func(t *errorTest) {
		c := t.open(ctrack.Options{})
		create(t, c, inZone(5, udp("10.0.0.7:1", "10.0.0.8:53"))...)
		_, err := c.FreeZone(ctx, 5, 5)
		t.says("FreeZone", err, syscall.ENOSPC, "no free zone from 5 to 5")
	},
	"Invalid": func(t *errorTest) {
		c := t.open(ctrack.Options{})
		for what, wrong := range wrongFilters() {
			_, err := c.List(ctx, wrong.filter)
			t.says(what, err, syscall.EINVAL, "filter[0]")
		}
		for what, filters := range map[string][]ctrack.Filter{
			"none": nil, "everything": {{}}, "excludes everything": {zone(7), {Exclude: true}}, "an id": {{ID: ctrack.Is[uint32](1)}},
			"dead endpoint": ctrack.DeadEndpoint(), "service": ctrack.ChangedService(ctrack.UDP, addrPort("0.0.0.0:53")),
			"rule": ctrack.Rule{Direction: ctrack.Ingress, CIDR: prefix("10.0.0.0/8")}.Filters(),
		} {
			_, err := c.Delete(ctx, filters...)
			t.says(what, err, syscall.EINVAL, "filter")
		}
		t.says("no scope", c.Flush(ctx, ctrack.Scope{}), syscall.EINVAL, "use FlushAll")
		t.says("scope", c.Flush(ctx, ctrack.Scope{Family: ctrack.Is(ctrack.Family(3))}), syscall.EINVAL, "scope.family")
		_, err := c.FreeZone(ctx, 2, 1)
		t.says("FreeZone", err, syscall.EINVAL, "upside down")
		entries := map[string]ctrack.Entry{"nothing": {}}
		// Every bit of Has alone, and all but one, with every field set or none.
		full := tcp("10.0.0.7:1", "10.0.0.8:80")
		full.Family, full.Zone, full.Status, full.Mark, full.ID, full.Use, full.Helper, full.Labels = ctrack.IPv4, 7, 1, 1, 1, 1, "ftp", ctrack.LabelSet(1)
		full.Reply, full.Start, full.Stop, full.SCTP.State, full.DCCP.State = full.Orig, time.Unix(1, 0), time.Unix(2, 0), 1, 1
		full.OrigCounters.Bytes, full.ReplyCounters.Packets, full.TCP.OrigWindowScale, full.TCP.ReplyFlags = 1, 1, 1, 1
		bare := ctrack.Entry{Family: ctrack.IPv4, Proto: ctrack.UDP, Orig: full.Orig}
		for bit := range 30 {
			for name, e := range map[string]ctrack.Entry{"full": full, "bare": bare} {
				e.Has = 1 << bit
				entries[fmt.Sprintf("%s, only bit %d", name, bit)] = e
				e.Has = (1<<27 - 1) &^ (1 << bit)
				entries[fmt.Sprintf("%s, all but bit %d", name, bit)] = e
			}
		}
		for _, proto := range []ctrack.Proto{ctrack.ICMP, ctrack.UDP, 253} {
			for _, has := range []ctrack.Has{ctrack.HasOrig, ctrack.HasOrig | ctrack.HasPorts, ctrack.HasOrig | ctrack.HasICMP} {
				e := ctrack.Entry{Has: has, Family: ctrack.IPv4, Proto: proto, Orig: ctrack.Tuple{Src: addr("10.0.0.7"), Dst: addr("10.0.0.8")}}
				entries[fmt.Sprintf("%v with %v", proto, has)] = e
			}
		}
		refused := 0
		for what, e := range entries {
			for _, call := range []func() error{
				func() error { _, err := c.Get(ctx, e); return err },
				func() error { _, err := c.DeleteEntries(ctx, []ctrack.Entry{e}); return err },
				func() error { _, err := c.Create(ctx, []ctrack.Entry{e}); return err },
				func() error { _, err := c.Update(ctx, []ctrack.Change{{Key: e}}); return err },
			} {
				if err := call(); errors.Is(err, syscall.EINVAL) {
					refused++
					t.says(what, err, syscall.EINVAL, "")
				}
			}
		}
		if refused < 200 {
			t.Errorf("only %d of the wrong entries are refused", refused)
		}
		_, err = ctrack.Open(ctrack.Options{Timeout: -1})
		t.says("options", err, syscall.EINVAL, "options.Timeout")
		_, err = ctrack.Open(ctrack.Options{Namespace: ctrack.NamespacePath("/dev/null")})
		t.says("namespace", err, syscall.EINVAL, "network namespace")
	},
	"all handles in use": func(t *errorTest) {
		c := t.open(ctrack.Options{MaxHandles: 1, Timeout: 100 * time.Millisecond})
		create(t, c, udp("10.0.0.7:1", "10.0.0.8:53"))
		for _, err := range c.All(ctx) {
			if err == nil {
				_, err = c.Count(ctx)
				t.says("Count", err, syscall.EBUSY, "Options.MaxHandles")
			}
		}
	},
	"closed": func(t *errorTest) {
		c := t.open(ctrack.Options{})
		c.Close()
		for name, call := range callsOf(c, udp("10.0.0.7:1", "10.0.0.8:53")) {
			if err := call(); !errors.Is(err, ctrack.ErrClosed) || cWords.MatchString(err.Error()) {
				t.Errorf("%s: %v", name, err)
			}
		}
	},
}
