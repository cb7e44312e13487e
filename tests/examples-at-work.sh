#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# examples-at-work.sh WORK NAME COMMAND...: one of the examples that watch, at its real work: real flows in this network namespace,
# which must be one of its own. WORK has the program traffic. Says on stdout what must be the same each time; exits with 1, and says why, if it
# does not come to that in a minute.

set -eu
work=$1
name=$2
shift 2
trap 'kill "$watcher" 2>/dev/null || true' EXIT
watcher=

# until_so TEXT COMMAND...
until_so() {
	what=$1
	shift
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		if [ "$tries" -ge 600 ]; then
			echo "not in a minute: $what" >&2
			cat "$work/$name.said" >&2
			exit 1
		fi
		sleep 0.1
	done
}

# Whoever listens to groups of netfilter (protocol 12) is in this list.
is_listening() {
	awk '$2 == 12 && $4 !~ /^0+$/ { found = 1 } END { exit !found }' /proc/net/netlink
}

has_said() {
	grep -q "$1" "$work/$name.said"
}

# Each flow of UDP: 72 bytes there and 72 back.
flow() {
	"$work/traffic" udp 127.0.0.1 "$1" 127.0.0.53 "$2" --answer --bytes 44 >/dev/null
}

ends_by_signal() {
	kill -INT "$watcher"
	wait "$watcher"
	watcher=
}

ip link set lo up
nft -f - <<'RULES'
table ip examples {
	chain zones {
		type filter hook output priority -300;
		tcp dport 9153 notrack
		tcp sport 9153 notrack
		udp dport 5353 ct zone set 7
		udp sport 5353 ct zone set 7
	}
	chain track {
		type filter hook output priority 0;
		ct state new accept
	}
}
RULES
: >"$work/$name.said"

case $name in
destroyed)
	for keeps in acct timestamp; do
		echo 1 >"/proc/sys/net/netfilter/nf_conntrack_$keeps"
	done
	"$@" watch >"$work/$name.said" &
	watcher=$!
	until_so 'it listens' is_listening
	flow 40001 53
	flow 40002 5353
	conntrack -D -s 127.0.0.1 >/dev/null 2>&1
	until_so 'it tells the end of both flows' has_said 40001
	until_so 'it tells the end of both flows' has_said 40002
	ends_by_signal
	sort "$work/$name.said" | sed 's/[0-9]*\.[0-9]* s$/N s/'
	;;
react)
	flow 40001 53
	"$@" watch >"$work/$name.said" &
	watcher=$!
	until_so 'it finds the flow that was there' has_said '40001 was there, mark 0: marked'
	flow 40002 53
	flow 40003 5353
	until_so 'it marks a new flow' has_said '40002 is new, mark 0: marked'
	until_so 'it knows its own change' has_said '40002 has mark 53 now: that was me'
	ends_by_signal
	conntrack -L -p udp 2>/dev/null | sed -n 's/.*sport=\(4000.\).*\(mark=[0-9]*\).*/\1 \2/p' | sort
	;;
readme)
	flow 40001 53
	"$@" >"$work/$name.said" &
	watcher=$!
	until_so 'it has listed the table' has_said '\[SYNCED\]'
	flow 40002 53
	conntrack -D -p udp --sport 40002 >/dev/null 2>&1
	until_so 'it tells the end of a flow' has_said '\[DESTROY\]'
	kill "$watcher"
	watcher=
	# Whether the answer was an event of its own is up to the time.
	grep -v UPDATE "$work/$name.said" | sed 's/17 .* dst=\([^ ]* sport=4[^ ]* dport=[0-9]*\) .*/\1/; s/udp  */udp /'
	;;
exporter)
	flow 40001 53
	flow 40002 5353
	"$@" 127.0.0.1:9153 &
	watcher=$!
	scrape() {
		python3 -c 'import urllib.request as r; print(r.urlopen("http://127.0.0.1:9153/metrics", timeout=5).read().decode(), end="")' \
			>"$work/$name.said"
	}
	is_synced() {
		scrape && has_said '^conntrack_watch_synced 1$'
	}
	until_so 'it has listed the table' is_synced
	cat "$work/$name.said"
	flow 40003 5353
	two_in_zone_7() {
		scrape && has_said '^conntrack_entries{zone="7"} 2$'
	}
	until_so 'it counts a new flow' two_in_zone_7
	;;
mirror)
	mkfifo "$work/lists"
	"$@" 127.0.0.53:53 <"$work/lists" >"$work/$name.said" &
	watcher=$!
	exec 3>"$work/lists"
	until_so 'it listens' is_listening
	flow 40001 53
	flow 40002 5353
	echo '127.0.0.53:53' >&3
	until_so 'it takes the list' has_said 'live: 127.0.0.53:53'
	echo '127.0.0.54:53 [::1]:53' >&3
	until_so 'it deletes what is stale' has_said 'stale: 1 of 1; deleted 1, gone already 0, failed 0'
	exec 3>&-
	wait "$watcher"
	watcher=
	grep '^live' "$work/$name.said"
	conntrack -L -p udp 2>/dev/null | sed -n 's/.*sport=\(4000.\).*/\1/p'
	;;
esac
