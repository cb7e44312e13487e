//! Everything that C passes in, or has filled, once ends right at a page that must not be touched. Whoever reads or writes too
//! far ends the whole test program with SIGSEGV.

use super::edge::Edge;
use super::*;

/// What a struct says that it has; what is there of it; what comes of it.
fn sizes(v0: usize) -> Vec<(u32, usize, c_int)> {
    let mut sizes = Vec::new();
    for size in (0..v0).chain([v0 - 1]) {
        sizes.push((size as u32, size.max(4), -libc::EINVAL));
    }
    for size in (v0..v0 + 20).chain([1024, 4095, 4096, 4097, 65_535, 65_536]) {
        sizes.push((size as u32, size, 0));
    }
    // No release has such a struct: nothing behind the size is read.
    for size in [65_537, 65_544, 1 << 20, i32::MAX as u32, 1 << 31, u32::MAX] {
        sizes.push((size, 4, -libc::E2BIG));
    }
    if cfg!(miri) {
        // It takes seconds for each.
        let few = [0, 4, v0 - 1, v0, v0 + 1, v0 + 8, 1024, 65_537, u32::MAX as usize];
        sizes.retain(|(size, ..)| few.contains(&(*size as usize)));
    }
    sizes
}

/// How far apart filters lie.
fn strides() -> Vec<usize> {
    let few = [FILTER_SIZE_V0, FILTER_SIZE_V0 + 8];
    if cfg!(miri) {
        few.to_vec()
    } else {
        [few, [1024, 65_536]].concat()
    }
}

type Filtering = (&'static str, fn(&Handle, *const ct_filter, usize) -> c_int);

/// Every call that takes many filters.
const FILTERING: [Filtering; 3] = [
    ("ct_list", |h, f, n| {
        let (mut entries, mut count) = (null_mut(), 0);
        let returned = unsafe { ct_list(h.0, f, n, &mut entries, &mut count) };
        unsafe { ct_entries_free(entries) };
        returned
    }),
    ("ct_dump_start", |h, f, n| {
        let returned = unsafe { ct_dump_start(h.0, f, n) };
        // What went wrong stays to be read.
        if returned == 0 {
            assert_eq!(unsafe { ct_dump_end(h.0) }, 0);
        }
        returned
    }),
    ("ct_delete", |h, f, n| unsafe { ct_delete(h.0, f, n, 0, &mut result()) }),
];

#[test]
fn a_filter_of_any_size_is_read_up_to_its_end_and_no_further() {
    let (h, _, _) = on(&[]);
    for (size, length, expected) in sizes(FILTER_SIZE_V0) {
        let f = Edge::sized(ct_filter { size, ..ipv4() }, length);
        for (name, call) in FILTERING {
            assert_eq!(call(&h, f.at(), 1), expected, "{name}, size {size}");
        }
        assert_eq!(unsafe { ct_flush(h.0, f.at(), 0) }, expected, "ct_flush, size {size}");
        if expected == 0 && length > size_of::<ct_filter>() {
            f.put(length - 1, 1u8, 1);
            for (name, call) in FILTERING {
                assert_eq!(call(&h, f.at(), 1), -libc::E2BIG, "{name}, size {size}, with a last byte");
            }
            assert_eq!(unsafe { ct_flush(h.0, f.at(), 0) }, -libc::E2BIG, "ct_flush, size {size}, with a last byte");
        }
    }
}

#[test]
fn the_size_of_a_later_filter_is_compared_before_anything_behind_it_is_read() {
    let (h, script, _) = on(&[udp(1)]);
    for stride in strides() {
        for wrong in 1..if cfg!(miri) { 2 } else { 3 } {
            let mut garbage: Vec<u32> = sizes(FILTER_SIZE_V0).iter().map(|(size, ..)| *size).collect();
            garbage.retain(|size| *size as usize != stride);
            for size in garbage {
                // Once with room for the whole filter, and once with nothing behind its size.
                for last in [stride, 4] {
                    let filters = Edge::new(wrong * stride + last);
                    for at in 0..wrong {
                        filters.put(at * stride, ct_filter { size: stride as u32, ..ipv4() }, stride);
                    }
                    filters.put(wrong * stride, ct_filter { size, ..ipv4() }, last);
                    for (name, call) in FILTERING {
                        let returned = call(&h, filters.at(), wrong + 1);
                        assert_eq!(returned, -libc::EINVAL, "{name}, filter {wrong} says {size}, the first {stride}");
                        assert_eq!(
                            h.error(),
                            format!("filter[{wrong}].size: differs from that of filter[0]"),
                            "{name}"
                        );
                    }
                }
            }
        }
    }
    assert_eq!(script.requests(), []);
}

#[test]
fn filters_in_a_row_are_read_up_to_the_end_of_the_last() {
    let (h, _, _) = on(&[]);
    for stride in strides() {
        let filters = Edge::new(3 * stride);
        for at in 0..3 {
            filters.put(at * stride, ct_filter { size: stride as u32, ..ipv4() }, stride);
        }
        for (name, call) in FILTERING {
            assert_eq!(call(&h, filters.at(), 3), 0, "{name}, {stride} bytes each: {}", h.error());
        }
    }
}

#[test]
fn a_result_of_any_size_is_filled_up_to_the_end_of_the_first_releases() {
    let (h, _, _) = on(&[]);
    for (size, length, expected) in sizes(RESULT_SIZE_V0) {
        for call in 0..4 {
            let r = Edge::sized(ct_result { size, ..result() }, length);
            let returned = unsafe {
                match call {
                    0 => ct_delete(h.0, &ipv4(), 1, 0, r.at()),
                    1 => ct_delete_entries(h.0, &udp(1), 1, &mut 0, r.at()),
                    2 => ct_create_entries(h.0, null(), 0, null_mut(), r.at()),
                    _ => ct_update_entries(h.0, &change(1), 1, &mut 0, r.at()),
                }
            };
            assert_eq!(returned, expected, "call {call}, size {size}");
            if expected == 0 {
                let gone = [0, 1, 0, 1][call];
                // Field by field: the smallest ends before the last one.
                let filled: *mut ct_result = r.at();
                let (own, matched, seen) = unsafe { ((*filled).size, (*filled).matched, (*filled).gone) };
                assert_eq!((own, matched, seen), (size, gone, gone), "call {call}");
            }
        }
    }
}

#[test]
fn a_result_that_has_no_room_for_spared_entries_leaves_them_out_of_the_matched_ones_too() {
    for has_spared in [true, false] {
        let table = Table::new(&[Entry { mark: 1, ..udp(1) }, Entry { mark: 1, ..udp(2) }]);
        let kernel = table.clone();
        let script = Script::new(move |_, requests| {
            let answers = kernel.answer(requests);
            if requests[0].flags & kernel::F_DUMP == kernel::F_DUMP {
                kernel.change(|entries| entries[0].mark = 2);
            }
            answers
        });
        let h = Handle::over(&script);
        let filter = ct_filter { r#match: CT_MATCH_MARK, mark: 1, mark_mask: !0, ..filter() };
        let size = if has_spared { size_of::<ct_result>() as u32 } else { RESULT_SIZE_V0 as u32 };
        let mut r = ct_result { size, ..result() };
        assert_eq!(unsafe { ct_delete(h.0, &filter, 1, 0, &mut r) }, 0, "{}", h.error());
        assert_eq!((r.matched, r.done, r.spared), if has_spared { (2, 1, 1) } else { (1, 1, 0) });
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn given_entries_and_their_statuses_are_used_up_to_the_last() {
    for count in [1, 2, 31, 32, 33, 255, 256, 257, 600] {
        let (h, _, table) = on(&[]);
        let with = |make: fn(u16) -> Entry| Edge::of(&(1..=count).map(make).collect::<Vec<Entry>>());
        let statuses = || Edge::of(&vec![12_345; usize::from(count)]);
        let run = |call: super::statuses::Change, entries: &Edge| {
            let (status, r) = (statuses(), Edge::of(&[result()]));
            let returned = unsafe { call(h.0, entries.at(), count.into(), status.at(), r.at()) };
            let status = unsafe { std::slice::from_raw_parts(status.at::<i32>(), count.into()) };
            (returned, status.to_vec())
        };
        let all = |status| vec![status; usize::from(count)];
        assert_eq!(run(ct_create_entries, &with(change)), (0, all(0)));
        assert_eq!(table.entries().len(), count.into());
        assert_eq!(run(ct_update_entries, &with(change)), (0, all(0)));
        assert_eq!(run(ct_delete_entries, &with(key)), (0, all(0)));
        assert_eq!(run(ct_delete_entries, &with(key)), (0, all(-libc::ENOENT)));
        assert_eq!(table.entries(), []);
    }
}

#[test]
fn single_entries_and_results_are_used_up_to_their_end() {
    let (h, _, _) = on(&[udp(1), udp(2)]);
    let (asked, found) = (Edge::of(&[key(1)]), Edge::of(&[Entry::EMPTY]));
    assert_eq!(unsafe { ct_get(h.0, asked.at(), found.at()) }, 0);
    assert!(unsafe { found.at::<Entry>().read() } == udp(1));
    assert_eq!(unsafe { ct_get(h.0, asked.at(), asked.at()) }, 0);

    let (count, zone) = (Edge::of(&[0u64]), Edge::of(&[7u32]));
    assert_eq!(unsafe { ct_count(h.0, count.at()) }, 0);
    assert_eq!(unsafe { ct_zone_find_free(h.0, 3, 9, zone.at()) }, 0);
    assert_eq!(unsafe { (count.at::<u64>().read(), zone.at::<u32>().read()) }, (2, 3));

    let (array, count) = (Edge::of(&[null_mut::<Entry>()]), Edge::of(&[0usize]));
    assert_eq!(unsafe { ct_list(h.0, null(), 0, array.at(), count.at()) }, 0);
    assert_eq!(unsafe { count.at::<usize>().read() }, 2);
    unsafe { ct_entries_free(array.at::<*mut Entry>().read()) };
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn a_batch_of_a_dump_is_filled_up_to_its_end() {
    let entries: Vec<Entry> = (1..=300).map(udp).collect();
    for cap in [1, 2, 63, 64, 299, 300, 301] {
        let (h, _, _) = on(&entries);
        let buffer = Edge::of(&vec![Entry::EMPTY; cap]);
        assert_eq!(unsafe { ct_dump_start(h.0, null(), 0) }, 0);
        let mut seen = 0;
        loop {
            let filled = unsafe { ct_dump_next(h.0, buffer.at(), cap) };
            assert!(filled >= 0, "{}", h.error());
            if filled == 0 {
                break;
            }
            seen += filled;
        }
        assert_eq!(seen, 300);
    }
}

#[test]
fn text_is_written_up_to_the_end_of_its_buffer() {
    let entry = Edge::of(&[udp(1)]);
    for format in [CT_FORMAT_LINE, CT_FORMAT_JSON] {
        let whole = unsafe { ct_entry_format(entry.at(), format, null_mut(), 0) };
        for length in (0..whole as usize + 10).step_by(if cfg!(miri) { 50 } else { 1 }) {
            let buffer = Edge::new(length);
            // Text may begin anywhere: so it ends exactly at the edge.
            let start = if length == 0 { null_mut() } else { buffer.before_the_end(length) };
            assert_eq!(unsafe { ct_entry_format(entry.at(), format, start.cast(), length) }, whole);
            if length > 0 {
                let written = unsafe { CStr::from_ptr(start.cast()) }.to_bytes().len();
                assert_eq!(written, (length - 1).min(whole as usize));
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "has no netlink sockets")]
fn open_options_of_any_size_are_read_up_to_their_end() {
    for (size, length, expected) in sizes(OPEN_OPTS_SIZE_V0) {
        let opts = Edge::sized(ct_open_opts { size, ..opts() }, length);
        let handle = Edge::of(&[null_mut::<ct_handle>()]);
        assert_eq!(unsafe { ct_handle_open(handle.at(), opts.at()) }, expected, "size {size}");
        drop(Handle(unsafe { handle.at::<*mut ct_handle>().read() }));
    }
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn a_result_of_each_release_is_filled_to_its_end_and_no_further() {
    let (h, ..) = on(&[]);
    let mut releases = 0;
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/abi")).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap();
        if !name.starts_with("ctrack-") {
            continue;
        }
        let header = std::fs::read_to_string(&file).unwrap();
        let (_, rest) = header.split_once("\nstruct ct_result {\n").unwrap();
        let (fields, _) = rest.split_once("\n};\n").unwrap();
        let bytes = |line: &str| match line.trim().split_once(' ') {
            Some(("uint32_t" | "int32_t", _)) => 4,
            Some(("uint64_t", _)) => 8,
            _ => 0,
        };
        let size: usize = fields.lines().map(bytes).sum();
        assert!((RESULT_SIZE_V0..=size_of::<ct_result>()).contains(&size), "{name}: {size}");

        let mut r = ct_result { size: size as u32, ..result() };
        let result = &raw mut r;
        let word = |at: usize| result.cast::<u64>().wrapping_add(at / 8);
        let later = || (RESULT_SIZE_V0..size_of::<ct_result>()).step_by(8);
        later().for_each(|at| unsafe { word(at).write(99) });
        assert_eq!(unsafe { ct_delete_entries(h.0, null(), 0, null_mut(), result) }, 0);
        let next = include_str!("../../abi/layout.txt")
            .lines()
            .find(|line| line.starts_with("ct_result.") && line.split(' ').nth(1) == Some(&size.to_string()));
        for at in later() {
            assert_eq!(
                unsafe { word(at).read() } != 99,
                at < size,
                "{name}: a ct_result of {size} bytes, at {at}: does RESULT_SIZES have that size? Next in it is {next:?}"
            );
        }
        releases += 1;
    }
    assert!(releases >= 2);
}
