// SPDX-License-Identifier: MIT OR Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"ctrack"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

type cleaner struct {
	conn           ctrack.Deleter
	stdout, stderr io.Writer
	allowEmpty     bool

	// Held while a list is taken, and while a late entry is.
	mu sync.Mutex
	// The endpoints that live, once there was a list.
	live  map[netip.Addr]bool
	known bool
	// Endpoints that left, whose entries could not be deleted yet.
	dead map[netip.Addr]bool
	// All endpoints that left and did not come back.
	gone map[netip.Addr]bool
	// What was said last of what is still wrong, so that it is said once.
	said string
}

// complain says what is wrong, unless it said just that.
func (c *cleaner) complain(text string) {
	if text != c.said {
		c.said = text
		fmt.Fprintln(c.stderr, "endpoint-cleaner:", text)
	}
}

// locked does something that a late entry must not disturb.
func (c *cleaner) locked(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
}

// forget makes that what is still wrong is said again.
func (c *cleaner) forget() {
	c.locked(func() { c.said = "" })
}

// count is a number of things.
func count(number int, one, more string) string {
	if number == 1 {
		return "1 " + one
	}
	return fmt.Sprint(number, " ", more)
}

var errEmpty = errors.New("the list is empty; -allow-empty if that is meant")

// parse reads a list. Addresses are taken as the table has them: IPv4 ones that are mapped into IPv6 as IPv4.
func parse(text io.Reader) (map[netip.Addr]bool, error) {
	list := map[netip.Addr]bool{}
	lines := bufio.NewScanner(text)
	for number := 1; lines.Scan(); number++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		address, err := netip.ParseAddr(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if address.Zone() != "" {
			return nil, fmt.Errorf("line %d: %v: an address with an interface, which the table does not know", number, address)
		}
		list[address.Unmap()] = true
	}
	return list, lines.Err()
}

// clean deletes the entries of these addresses in one call.
func (c *cleaner) clean(ctx context.Context, dead map[netip.Addr]bool) error {
	addresses := make([]netip.Addr, 0, len(dead))
	for address := range dead {
		addresses = append(addresses, address)
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	result, err := c.conn.Delete(ctx, ctrack.DeadEndpoint(addresses...)...)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s deleted of %s\n", count(result.Done, "entry", "entries"), join(addresses))
	return nil
}

// join names a few addresses, and says how many more there are.
func join(addresses []netip.Addr) string {
	const most = 8
	var names []string
	for _, address := range addresses[:min(len(addresses), most)] {
		names = append(names, address.String())
	}
	if more := len(addresses) - most; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// take takes a new list: what left it is dead. What could not be deleted is tried again with the next list.
func (c *cleaner) take(ctx context.Context, list map[netip.Addr]bool) error {
	if len(list) == 0 && !c.allowEmpty {
		return errEmpty
	}
	if c.dead == nil {
		c.dead, c.gone = map[netip.Addr]bool{}, map[netip.Addr]bool{}
	}
	for address := range c.live {
		if !list[address] {
			c.dead[address], c.gone[address] = true, true
		}
	}
	for address := range list {
		// It came back, perhaps before its entries were deleted.
		delete(c.dead, address)
		delete(c.gone, address)
	}
	if !c.known {
		fmt.Fprintf(c.stdout, "watching %s\n", count(len(list), "endpoint", "endpoints"))
	}
	c.live, c.known = list, true
	if len(c.dead) == 0 {
		return nil
	}
	if err := c.clean(ctx, c.dead); err != nil {
		return err
	}
	clear(c.dead)
	return nil
}

// once takes a list of dead endpoints.
func (c *cleaner) once(ctx context.Context, text io.Reader) error {
	list, err := parse(text)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		if !c.allowEmpty {
			return errEmpty
		}
		fmt.Fprintln(c.stdout, "0 entries deleted: no endpoint is dead")
		return nil
	}
	return c.clean(ctx, list)
}

func (c *cleaner) onceFile(ctx context.Context, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return c.once(ctx, bytes.NewReader(text))
}

// watchStream takes lists that are ended by empty lines.
func (c *cleaner) watchStream(ctx context.Context, input io.Reader) error {
	lists := make(chan string)
	failed := make(chan error, 1)
	// A read cannot be interrupted: this goroutine is left behind when the program ends by a signal.
	go func() {
		defer close(lists)
		var list strings.Builder
		lines := bufio.NewScanner(input)
		for lines.Scan() {
			if strings.TrimSpace(lines.Text()) != "" {
				list.WriteString(lines.Text() + "\n")
				continue
			}
			select {
			case lists <- list.String():
			case <-ctx.Done():
				return
			}
			list.Reset()
		}
		// A list without its end may be half a list.
		if list.Len() != 0 {
			fmt.Fprintln(c.stderr, "endpoint-cleaner: the last list has no empty line at its end, and is not taken")
		}
		failed <- lines.Err()
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case list, more := <-lists:
			if !more {
				select {
				case err := <-failed:
					return err
				default:
					return nil
				}
			}
			c.forget()
			c.takeText(ctx, list)
		}
	}
}

// watchFile reads the file in intervals, until the context ends.
func (c *cleaner) watchFile(ctx context.Context, path string, interval time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	last, read, taken := "", false, false
	for {
		bytes, err := os.ReadFile(path)
		text := string(bytes)
		switch {
		case err != nil:
			// Being replaced, perhaps.
			c.locked(func() { c.complain(err.Error()) })
			read = false
		case !read || text != last:
			last, read, taken = text, true, false
			c.forget()
		case !taken:
			// An error of the kernel is to be tried again; a list that is wrong stays so until it changes.
			taken = c.takeText(ctx, text)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		// Where both are so, select takes either: a program that was told to end must not begin another delete.
		if ctx.Err() != nil {
			return nil
		}
	}
}

// takeText takes a list, or says on stderr what is wrong. False: it should be tried again as it is.
func (c *cleaner) takeText(ctx context.Context, text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	list, err := parse(strings.NewReader(text))
	if err != nil {
		c.complain("the list is not taken: " + err.Error())
		return true
	}
	err = c.take(ctx, list)
	if err != nil && ctx.Err() == nil {
		c.complain(err.Error())
	}
	return err == nil || errors.Is(err, errEmpty)
}
