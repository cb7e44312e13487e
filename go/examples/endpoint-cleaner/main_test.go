// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"ctrack/internal/nstest"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	nstest.Main(m)
}

// world is a namespace with real flows between four addresses, in both families.
func world(t *testing.T) *nstest.Netns {
	ns := nstest.New(t)
	ns.AddIPv6("fd00::7", "fd00::8")
	ns.LongTimeouts()
	// Entries are made only where something looks at them.
	ns.Feed("table inet look {\nchain out {\ntype filter hook output priority 0;\nct state new accept\n}\n}\n", "nft", "-f", "-")
	for _, line := range []string{
		"udp 127.0.0.7 4001 127.0.0.8 53 --answer", "udp 127.0.0.8 4002 127.0.0.7 53", "tcp 127.0.0.7 4003 127.0.0.9 80 --hold 600",
		"udp 127.0.0.8 4004 127.0.0.9 53 --answer", "icmp 127.0.0.9 4005 127.0.0.8", "udp fd00::7 4006 fd00::8 53 --answer",
	} {
		ns.Traffic(line)
	}
	expect(t, ns, "127.0.0.7", 3)
	expect(t, ns, "127.0.0.8", 4)
	expect(t, ns, "fd00::7", 1)
	return ns
}

// expect fails unless so many flows have the address in them.
func expect(t *testing.T, ns *nstest.Netns, address string, want int) {
	t.Helper()
	found := 0
	for _, line := range ns.Conntrack() {
		if strings.Contains(line, "="+address+" ") {
			found++
		}
	}
	if found != want {
		t.Fatalf("%d flows of %s, want %d: %v", found, address, want, ns.Conntrack())
	}
}

func inNamespace(ns *nstest.Netns) string {
	return fmt.Sprintf("/proc/self/fd/%d", ns.File.Fd())
}

func TestOnceDeletesTheFlowsOfTheListedAddressesAndNothingElse(t *testing.T) {
	ns := world(t)
	file := filepath.Join(t.TempDir(), "dead")
	if err := os.WriteFile(file, []byte("# gone\n127.0.0.7 # a pod\n\n ::ffff:127.0.0.7\nfd00::7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"-once", "-netns", inNamespace(ns), file}, nil, &out, &errs); code != 0 {
		t.Fatalf("%d: %s", code, &errs)
	}
	if want := "4 entries deleted of 127.0.0.7, fd00::7\n"; out.String() != want {
		t.Errorf("%q, want %q", &out, want)
	}
	expect(t, ns, "127.0.0.7", 0)
	expect(t, ns, "fd00::7", 0)
	expect(t, ns, "127.0.0.8", 2)

	out.Reset()
	code := run(t.Context(), []string{"-once", "-netns", inNamespace(ns)}, strings.NewReader("127.0.0.8\n"), &out, &errs)
	if code != 0 || out.String() != "2 entries deleted of 127.0.0.8\n" {
		t.Errorf("from standard input: %d, %q, %s", code, &out, &errs)
	}
	if n := ns.ConntrackCount(); n != 0 {
		t.Errorf("%d flows are left", n)
	}
}

func TestAListThatIsWrongDeletesNothing(t *testing.T) {
	ns := world(t)
	before := ns.ConntrackCount()
	for list, code := range map[string]int{"": 1, "# nobody\n": 1, "127.0.0.7\n127.0.0\n": 1, "fe80::1%lo\n": 1} {
		var out, errs bytes.Buffer
		got := run(t.Context(), []string{"-once", "-netns", inNamespace(ns), "-"}, strings.NewReader(list), &out, &errs)
		if got != code || out.Len() != 0 || errs.Len() == 0 {
			t.Errorf("%q: %d, %q, %q", list, got, &out, &errs)
		}
	}
	for _, args := range [][]string{{"a", "b"}, {"-interval", "0s", "a"}, {"-unknown"}, {"-once", "-late", "a"}} {
		if got := run(t.Context(), args, nil, io.Discard, io.Discard); got != 2 {
			t.Errorf("%v: %d", args, got)
		}
	}
	if n := ns.ConntrackCount(); n != before {
		t.Errorf("%d flows, before %d", n, before)
	}
}

// program is the running program.
type program struct {
	t      *testing.T
	lines  *bufio.Scanner
	errors *bufio.Scanner
	end    func() int
}

func start(t *testing.T, stdin io.Reader, args ...string) *program {
	ctx, cancel := context.WithCancel(t.Context())
	out, stdout := io.Pipe()
	errs, stderr := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, args, stdin, stdout, stderr)
		stdout.Close()
		stderr.Close()
	}()
	return &program{t, bufio.NewScanner(out), bufio.NewScanner(errs), func() int {
		cancel()
		return <-code
	}}
}

func (p *program) says(lines *bufio.Scanner, want string) {
	p.t.Helper()
	if !lines.Scan() || !strings.Contains(lines.Text(), want) {
		p.t.Fatalf("it says %q, want %q", lines.Text(), want)
	}
}

func TestAddressesThatLeaveTheFileLoseTheirFlows(t *testing.T) {
	ns := world(t)
	file := filepath.Join(t.TempDir(), "live")
	write := func(text string) {
		t.Helper()
		// At once: what is read in between would be a list too.
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("127.0.0.7\n127.0.0.8\nfd00::7\nfd00::8\n")
	p := start(t, nil, "-interval", "10ms", "-netns", inNamespace(ns), file)
	p.says(p.lines, "watching 4 endpoints")
	before := ns.ConntrackCount()

	// None of these is a list.
	write("127.0.0.8\nnonsense\n")
	p.says(p.errors, "line 2")
	write("")
	p.says(p.errors, "empty")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	p.says(p.errors, "no such file")
	if n := ns.ConntrackCount(); n != before {
		t.Fatalf("%d flows, before %d", n, before)
	}

	write("127.0.0.8 # the others left\nfd00::8\n")
	p.says(p.lines, "4 entries deleted of 127.0.0.7, fd00::7")
	expect(t, ns, "127.0.0.7", 0)
	expect(t, ns, "127.0.0.8", 2)
	// Back again, with a new flow, and gone again.
	ns.Traffic("udp 127.0.0.7 4010 127.0.0.8 53")
	write("127.0.0.8\n127.0.0.7\n")
	p.says(p.lines, "0 entries deleted of fd00::8")
	write("127.0.0.8\n")
	p.says(p.lines, "1 entry deleted of 127.0.0.7")
	if code := p.end(); code != 0 {
		t.Errorf("ended by the context: %d", code)
	}
}

func TestListsComeOnStandardInputToo(t *testing.T) {
	ns := world(t)
	input, stdin := io.Pipe()
	p := start(t, input, "-netns", inNamespace(ns))
	go io.WriteString(stdin, "127.0.0.7\n127.0.0.8\n\n127.0.0.8\n\n")
	p.says(p.lines, "watching 2 endpoints")
	p.says(p.lines, "3 entries deleted of 127.0.0.7")
	// Half a list is none.
	go func() {
		io.WriteString(stdin, "127.0.0.9\n")
		stdin.Close()
	}()
	p.says(p.errors, "not taken")
	if p.lines.Scan() {
		t.Errorf("it says %q", p.lines.Text())
	}
	expect(t, ns, "127.0.0.8", 2)
	if code := p.end(); code != 0 {
		t.Errorf("%d", code)
	}
}

func TestFlowsOfAddressesThatLeftAreDeletedAsTheyAppear(t *testing.T) {
	ns := world(t)
	input, stdin := io.Pipe()
	defer stdin.Close()
	p := start(t, input, "-late", "-netns", inNamespace(ns))
	go io.WriteString(stdin, "127.0.0.7\n127.0.0.8\n\n127.0.0.8\n\n")
	p.says(p.lines, "watching 2 endpoints")
	p.says(p.lines, "3 entries deleted of 127.0.0.7")
	for _, line := range []string{"udp 127.0.0.8 4020 127.0.0.9 53", "udp 127.0.0.7 4021 127.0.0.9 53", "udp 127.0.0.8 4022 127.0.0.7 53"} {
		ns.Traffic(line)
	}
	p.says(p.lines, "1 late entry deleted of 127.0.0.7")
	p.says(p.lines, "1 late entry deleted of 127.0.0.7")
	expect(t, ns, "127.0.0.7", 0)
	expect(t, ns, "127.0.0.8", 3)
	if code := p.end(); code != 0 {
		t.Errorf("%d", code)
	}
}
