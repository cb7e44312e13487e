// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

// Package nstest is what tests need that work on real connection-tracking tables: network namespaces of their own, traffic in them
// and the conntrack program as a witness.
package nstest

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// Set in the process that runs in a network namespace of its own.
	inside = "CTRACK_TEST_INSIDE"
	// Set to 1 where a test that cannot have its network namespace is a failure.
	required = "CTRACK_REQUIRE_NETNS"
)

// Why there is no network namespace to test in; "" if there is one.
var noNamespace string

// Main is for TestMain. It runs all tests and examples again inside a new network namespace. A Go program cannot make a user
// namespace for itself: it has many threads.
func Main(m *testing.M) {
	// A user's PATH may lack where nft and conntrack live.
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	if os.Getenv(inside) == "" {
		noNamespace = runInside()
		fmt.Fprintln(os.Stderr, "SKIPPED all tests that need a network namespace:", noNamespace)
		if os.Getenv(required) == "1" {
			os.Exit(1)
		}
		flag.Parse()
		if run := flag.Lookup("test.run"); run.Value.String() == "" {
			// Not the examples, which cannot be skipped one by one.
			run.Value.Set("^Test")
		}
	}
	code := m.Run()
	if trafficDirectory != "" {
		os.RemoveAll(trafficDirectory)
	}
	os.Exit(code)
}

// runInside does not return if it works.
func runInside() string {
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		return err.Error()
	}
	own, err := os.Executable()
	if err != nil {
		return err.Error()
	}
	reason := ""
	for _, flags := range []string{"-n", "-Urn"} {
		output, err := exec.Command(unshare, flags, "true").CombinedOutput()
		if err == nil {
			args := append([]string{unshare, flags, own}, os.Args[1:]...)
			err = syscall.Exec(unshare, args, append(os.Environ(), inside+"=1"))
		}
		reason = fmt.Sprintf("unshare %s: %v %s", flags, err, output)
	}
	return reason
}

// Need skips a test without the namespace and programs that it needs, or fails where that is not allowed.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	reason := noNamespace
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			reason = err.Error()
		}
	}
	switch {
	case reason == "":
	case os.Getenv(required) == "1":
		t.Fatal(reason)
	default:
		t.Skip(reason)
	}
}

// Netns is a new network namespace, and a thread that stays in it.
type Netns struct {
	// T is the test.
	T testing.TB
	// File is a descriptor of the namespace.
	File *os.File
	jobs chan func()
}

// New makes a network namespace, with loopback up, that lives as long as the test.
func New(t testing.TB) *Netns {
	t.Helper()
	Need(t, "conntrack", "ip")
	ns := &Netns{T: t, jobs: make(chan func())}
	started := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		if err == nil {
			ns.File, err = os.Open("/proc/thread-self/ns/net")
		}
		started <- err
		if err == nil {
			for job := range ns.jobs {
				job()
			}
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(ns.jobs)
		ns.File.Close()
	})
	ns.Run("ip", "link", "set", "lo", "up")
	return ns
}

// Do runs something on the thread that is in the namespace.
func (ns *Netns) Do(job func()) {
	done := make(chan struct{})
	ns.jobs <- func() {
		defer close(done)
		job()
	}
	<-done
}

// Run runs a program in the namespace, which must succeed, and gives its output.
func (ns *Netns) Run(program string, args ...string) string {
	ns.T.Helper()
	return ns.Feed("", program, args...)
}

// Feed is Run with something on standard input.
func (ns *Netns) Feed(input, program string, args ...string) string {
	ns.T.Helper()
	command := exec.Command(program, args...)
	command.Stdin = strings.NewReader(input)
	var output []byte
	var err error
	ns.Do(func() { output, err = command.Output() })
	if err != nil {
		text := ""
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			text = string(exit.Stderr)
		}
		ns.T.Fatalf("%v: %v\n%s", command, err, text)
	}
	return string(output)
}

// Sysctl sets net.netfilter.NAME.
func (ns *Netns) Sysctl(name, value string) {
	ns.T.Helper()
	var err error
	ns.Do(func() { err = os.WriteFile("/proc/sys/net/netfilter/"+name, []byte(value), 0) })
	if err != nil {
		ns.T.Fatal(err)
	}
}

// AddIPv6 gives loopback more addresses. The kernel makes their local routes a moment later, and until then packets are lost.
func (ns *Netns) AddIPv6(addresses ...string) {
	ns.T.Helper()
	for _, address := range addresses {
		ns.Run("ip", "addr", "add", address+"/128", "dev", "lo", "nodad")
	}
	for range 500 {
		routes := ns.Run("ip", "-6", "route", "show", "table", "local", "type", "local")
		missing := slices.ContainsFunc(addresses, func(address string) bool {
			return !strings.Contains(routes, address+" dev lo")
		})
		if !missing {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	ns.T.Fatalf("no local routes to %v", addresses)
}

// LongTimeouts keeps flows from expiring, however slow the machine is.
func (ns *Netns) LongTimeouts() {
	ns.T.Helper()
	files, err := filepath.Glob("/proc/sys/net/netfilter/*_timeout*")
	if err != nil || len(files) == 0 {
		ns.T.Fatal("no timeouts to set: ", err)
	}
	for _, file := range files {
		ns.Sysctl(filepath.Base(file), "3000")
	}
}

// Traffic makes a real flow: line is the command line of tests/traffic/traffic.c. What it keeps open ends with the test.
func (ns *Netns) Traffic(line string) {
	ns.T.Helper()
	output := ns.Run(trafficProgram(ns.T), strings.Fields(line)...)
	var pid int
	if _, err := fmt.Sscan(output, &pid); err == nil {
		ns.T.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	}
}

var trafficDirectory string

// Compiled once.
var compileTraffic = sync.OnceValues(func() (string, error) {
	var err error
	if trafficDirectory, err = os.MkdirTemp("", "ctrack-test-"); err != nil {
		return "", err
	}
	program := filepath.Join(trafficDirectory, "traffic")
	output, err := exec.Command("cc", "-std=c99", "-O1", "-o", program, source()).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, output)
	}
	return program, err
})

func trafficProgram(t testing.TB) string {
	t.Helper()
	Need(t, "cc")
	program, err := compileTraffic()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// source is traffic.c, which is somewhere above the directory of the package that is tested.
func source() string {
	directory := ".."
	for range 6 {
		file := filepath.Join(directory, "tests", "traffic", "traffic.c")
		if _, err := os.Stat(file); err == nil {
			return file
		}
		directory = filepath.Join(directory, "..")
	}
	return "tests/traffic/traffic.c"
}

// Conntrack gives the lines of `conntrack -L` with these options, of both families.
func (ns *Netns) Conntrack(options ...string) []string {
	ns.T.Helper()
	var lines []string
	for _, family := range []string{"ipv4", "ipv6"} {
		output := ns.Run("conntrack", append([]string{"-L", "-f", family}, options...)...)
		for line := range strings.Lines(output) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// ConntrackCount is the kernel's count as the conntrack program reads it.
func (ns *Netns) ConntrackCount() int {
	ns.T.Helper()
	count, err := strconv.Atoi(strings.TrimSpace(ns.Run("conntrack", "-C")))
	if err != nil {
		ns.T.Fatal(err)
	}
	return count
}
