# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Turns the rows (work|operation|operation of the floor|budget) and the result lines of all rounds into a Markdown
# table. Fails if a result is wrong: then its time means nothing.

function sort(values, n,    i, j, value) {
    for (i = 2; i <= n; i++) {
        value = values[i]
        for (j = i - 1; j >= 1 && values[j] > value; j--)
            values[j + 1] = values[j]
        values[j + 1] = value
    }
}

# Of sorted values; between two of them where need be.
function quantile(values, n, part,    at, low) {
    at = 1 + (n - 1) * part
    low = int(at)
    return low >= n ? values[n] : values[low] + (at - low) * (values[low + 1] - values[low])
}

# Of one operation over all rounds, by entry (or call): the slowest peers are given fewer calls.
function median_of(table, what,    i, values) {
    for (i = 1; i <= rounds; i++)
        values[i] = table[i, what] / entries[what]
    sort(values, rounds)
    return quantile(values, rounds, 0.5)
}

function wrong(text) {
    print "benches: " text > "/dev/stderr"
    failed = 1
}

function check(    what) {
    what = field["peer"] " " field["op"]
    if (field["op"] ~ /^empty/ ? field["check"] != 0 : field["check"] == 0)
        wrong(what " counted " field["check"])
    # These count bytes and entries of the table; all others what they were meant to find.
    if (field["op"] ~ /^(dump|count)$/) {
        if ((field["op"] in same_check) && same_check[field["op"]] != field["check"])
            wrong("results of " field["op"] " differ: " same_check[field["op"]] " and " field["check"])
        same_check[field["op"]] = field["check"]
    } else if (field["op"] !~ /^empty/ && field["check"] != field["n"])
        wrong(what " did " field["check"] " of " field["n"])
    if (field["sum"] == 0)
        return
    if ((field["op"] in same_sum) && same_sum[field["op"]] != field["sum"])
        wrong("what was read by " field["op"] " differs: " same_sum[field["op"]] " and " field["sum"])
    same_sum[field["op"]] = field["sum"]
}

FNR == NR {
    split($0, part, "|")
    order[++row_count] = part[2]
    title[part[2]] = part[1]
    floor_of[part[2]] = part[3]
    budget[part[2]] = part[4]
    next
}

{
    for (i = 1; i <= NF; i++) {
        split($i, pair, "=")
        field[pair[1]] = pair[2]
    }
    check()
    what = field["peer"] " " field["op"]
    if (field["round"] > rounds)
        rounds = field["round"]
    wall[field["round"], what] = field["wall_ns"]
    cpu[field["round"], what] = field["user_ns"] + field["sys_ns"]
    entries[what] = field["n"]
    user[what] += field["user_ns"] / field["n"]
    kernel[what] += field["sys_ns"] / field["n"]
    if (field["peak_kb"] > peak[what])
        peak[what] = field["peak_kb"]
    # Nothing here sleeps: the kernel answers before send() returns. So time off the processor was taken by others.
    measurements++
    if (field["wall_ns"] > 3000000 && field["user_ns"] + field["sys_ns"] < 0.95 * field["wall_ns"])
        disturbed++
}

# By the middle half of the rounds. Nothing if that is too wide.
function verdict(limit, ratios,    low, high) {
    low = quantile(ratios, rounds, 0.25)
    high = quantile(ratios, rounds, 0.75)
    if (high - low > 0.1 * quantile(ratios, rounds, 0.5))
        return ""
    if (high <= limit)
        return "met"
    return low > limit ? "missed" : "unclear"
}

# By time; where others took too much of that, by processor time.
function judge(limit, ratios, cpu_ratios,    result) {
    result = verdict(limit, ratios)
    if (result == "") {
        result = verdict(limit, cpu_ratios)
        result = result == "" ? "spread too large" : result " in CPU time"
    }
    return limit == "" && result != "spread too large" ? "" : result
}

# The only budget that is no ratio: microseconds for each call.
function judge_time(limit, what,    i, times, cpu_times) {
    for (i = 1; i <= rounds; i++) {
        times[i] = wall[i, what] / entries[what] / 1000
        cpu_times[i] = cpu[i, what] / entries[what] / 1000
    }
    sort(times, rounds)
    sort(cpu_times, rounds)
    return judge(limit, times, cpu_times) sprintf(": %.1f us", quantile(times, rounds, 0.5))
}

function line(work, peer, op, base, limit,    what, floor, i, ratios, cpu_ratios, ratio, judgement) {
    what = peer " " op
    floor = "raw " base
    ratio = median_of(wall, what) / median_of(wall, floor)
    for (i = 1; i <= rounds; i++) {
        ratios[i] = wall[i, what] / entries[what]
        # The floor beside its own median: how steady the machine was.
        ratios[i] /= what == floor ? median_of(wall, floor) : wall[i, floor] / entries[floor]
        # Of a short operation the kernel may have seen no processor time at all.
        cpu_ratios[i] = cpu[i, floor] ? (cpu[i, what] / entries[what]) / (cpu[i, floor] / entries[floor]) : 0
    }
    sort(ratios, rounds)
    sort(cpu_ratios, rounds)
    judgement = what == floor ? "" : limit ~ / us$/ ? judge_time(limit + 0, what) : judge(limit, ratios, cpu_ratios)
    printf "| %s | %s | %.3f | %.3f to %.3f | %.3f | %s | %s | %.0f | %.0f | %.1f |\n", work, what, ratio, ratios[1],
        ratios[rounds], quantile(cpu_ratios, rounds, 0.5), limit == "" ? "" : "<= " limit,
        judgement, user[what] / rounds, kernel[what] / rounds,
        peak[what] / 1024
}

END {
    if (failed)
        exit 1
    peer_count = split("raw ctrack lnfct conntrack", peers, " ")
    print "| work | peer | of the floor | by round | CPU time | budget | | user ns/entry | kernel ns/entry | peak MB |"
    print "|---|---|---|---|---|---|---|---|---|---|"
    for (r = 1; r <= row_count; r++) {
        op = order[r]
        for (p = 1; p <= peer_count; p++)
            if ((peers[p] " " op) in entries)
                line(title[op], peers[p], op, floor_of[op], peers[p] == "ctrack" ? budget[op] : "")
    }
    if (disturbed)
        printf "\n%d of %d measurements had to wait for a processor: something else is running here, and the " \
            "ratios of CPU time say more than those of time.\n", disturbed, measurements
}
