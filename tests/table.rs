//! The table at large: how full it is, its settings and counters, as `conntrack -C`, `conntrack -S` and `sysctl` show them.

mod common;

use common::c::Handle;
use common::*;
use ctrack::*;
use ctrack_c::table::{ct_setting_name, ct_stats_format};
use std::ffi::CStr;
use std::net::{IpAddr, UdpSocket};

/// What `sysctl` says of a setting; `None`: there is no such file.
fn sysctl(setting: Setting) -> Option<u32> {
    let output = std::process::Command::new("sysctl").arg("-n").arg(format!("net.netfilter.{}", setting.name())).output();
    let output = output.unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().parse().unwrap())
}

fn set_sysctl(setting: Setting, value: u32) {
    std::fs::write(format!("/proc/sys/net/netfilter/{}", setting.name()), value.to_string()).unwrap();
}

const OF_THE_MACHINE: [Setting; 3] = [Setting::Max, Setting::Buckets, Setting::ExpectMax];

#[test]
fn the_fill_is_the_count_of_the_program_and_the_maximum_that_of_sysctl() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let info = conntrack.table_info(&[]).unwrap();
        assert_eq!((info.entries, info.get(Setting::Max)), (0, sysctl(Setting::Max)));
        create(&mut conntrack, &(1..=500).map(|port| udp("10.0.0.1", port, "10.0.0.2", 53)).collect::<Vec<_>>());
        assert_eq!(conntrack.table_info(&[]).unwrap().entries, cli_count());
        assert_eq!(Handle::open().table_info(0).unwrap().entries, 500);
        // Nothing else was asked for.
        let others = Setting::ALL.iter().filter(|&&setting| setting != Setting::Max);
        assert!(others.clone().all(|&setting| info.get(setting).is_none() && !info.may_set(setting)));
    });
}

#[test]
fn every_setting_is_that_of_sysctl_and_what_the_kernel_lacks_is_not_known() {
    netns(|| {
        // Values that are nobody's default.
        for (number, &setting) in (1..).zip(Setting::ALL) {
            let is_switch = sysctl(setting).is_none_or(|value| value < 10);
            if !is_switch && !OF_THE_MACHINE.contains(&setting) {
                set_sysctl(setting, 1000 + number);
            }
        }
        let info = Conntrack::open().unwrap().table_info(Setting::ALL).unwrap();
        let c = Handle::open().table_info(u64::MAX).unwrap();
        let mut known = 0;
        for (number, &setting) in Setting::ALL.iter().enumerate() {
            assert_eq!(info.get(setting), sysctl(setting), "{setting:?}");
            known += usize::from(info.get(setting).is_some());
            assert_eq!(c.known >> number & 1 == 1, info.get(setting).is_some(), "{setting:?}");
            assert_eq!(c.value[number], info.get(setting).unwrap_or(0), "{setting:?}");
            // Root of a network namespace of its own.
            let settable = info.get(setting).is_some() && !OF_THE_MACHINE.contains(&setting);
            assert_eq!((info.may_set(setting), c.settable >> number & 1 == 1), (settable, settable), "{setting:?}");
            // SAFETY: the text is static.
            #[allow(unsafe_code)]
            let name = unsafe { CStr::from_ptr(ct_setting_name(number as u32)) };
            assert_eq!(name.to_str().unwrap(), setting.name());
        }
        // What conntrack always has, and not each protocol's timeouts.
        assert!(known >= 25, "{known} settings are known");
        // SAFETY: the text is static.
        #[allow(unsafe_code)]
        let name = unsafe { CStr::from_ptr(ct_setting_name(Setting::ALL.len() as u32)) };
        assert!(name.is_empty());
        // No file of this directory is missing here but for what is no setting of the table.
        let ours: Vec<_> = Setting::ALL.iter().map(|setting| setting.name()).collect();
        for file in std::fs::read_dir("/proc/sys/net/netfilter").unwrap() {
            let file = file.unwrap().file_name().into_string().unwrap();
            let is_another = file.contains("frag6") || !file.starts_with("nf_conntrack") || file == "nf_conntrack_count";
            assert!(is_another || ours.contains(&&*file), "{file} is no setting");
        }
    });
}

#[test]
fn a_setting_that_is_set_is_that_of_the_network_namespace_alone() {
    netns(|| {
        let (here, there) = (netns_inode(), new_netns());
        let h = Handle::open_in(&there);
        let mut conntrack = Conntrack::open_with(&OpenOptions::new().with_netns(there.try_clone().unwrap())).unwrap();
        for (setting, value) in
            [(Setting::Acct, 1), (Setting::Timestamp, 1), (Setting::Events, 1), (Setting::UdpTimeout, 77), (Setting::TcpLoose, 0)]
        {
            let before = sysctl(setting);
            assert_ne!(before, Some(value));
            conntrack.set_table(setting, value).unwrap();
            assert_eq!(inside(&there, || sysctl(setting)), Some(value), "{setting:?}");
            assert_eq!(conntrack.table_info(&[setting]).unwrap().get(setting), Some(value));
            assert_eq!(h.table_info(1 << setting as u32).unwrap().value[setting as usize], value);
            assert_eq!((sysctl(setting), netns_inode()), (before, here), "{setting:?}: nothing changes here");
            h.set_table(setting as u32, before.unwrap()).unwrap();
            assert_eq!(inside(&there, || sysctl(setting)), before, "{setting:?}");
        }
        // Entries that are made afterwards follow.
        let has_counters = |conntrack: &mut Conntrack| conntrack.list(&[]).unwrap().iter().map(|e| e.has(Has::ORIG_COUNTERS)).collect::<Vec<_>>();
        create(&mut conntrack, &[udp("10.0.0.1", 1, "10.0.0.2", 53)]);
        conntrack.set_table(Setting::Acct, 1).unwrap();
        assert_eq!(has_counters(&mut conntrack), [false]);
        conntrack.flush_all().unwrap();
        create(&mut conntrack, &[udp("10.0.0.1", 1, "10.0.0.2", 53)]);
        assert_eq!(has_counters(&mut conntrack), [true]);
    });
}

#[test]
fn a_handle_whose_thread_moved_on_knows_the_settings_of_its_own_network_namespace() {
    netns(|| {
        let h = Handle::open();
        h.set_table(Setting::UdpTimeout as u32, 77).unwrap();
        let other = new_netns();
        enter(&other);
        let value = |h: &Handle| h.table_info(1 << Setting::UdpTimeout as u32).unwrap().value[Setting::UdpTimeout as usize];
        assert_eq!((value(&h), value(&Handle::open()), sysctl(Setting::UdpTimeout)), (77, 30, Some(30)));
        h.set_table(Setting::UdpTimeout as u32, 78).unwrap();
        assert_eq!((value(&h), sysctl(Setting::UdpTimeout)), (78, Some(30)));
    });
}

#[test]
fn a_setting_of_the_machine_and_what_is_none_are_refused_and_so_is_a_value_that_the_kernel_does_not_take() {
    netns(|| {
        let h = Handle::open();
        let before = OF_THE_MACHINE.map(sysctl);
        for setting in OF_THE_MACHINE {
            assert_eq!(h.set_table(setting as u32, before[0].unwrap()), Err(-libc::EINVAL));
            assert_eq!(h.error(), "setting: belongs to the machine, and not to a network namespace; set it with sysctl");
        }
        assert_eq!(OF_THE_MACHINE.map(sysctl), before);
        for number in [Setting::ALL.len() as u32, 63, 64, u32::MAX] {
            assert_eq!(h.set_table(number, 1), Err(-libc::EINVAL));
            assert_eq!(h.error(), "setting: is no setting");
        }
        assert_eq!(h.set_table(Setting::Acct as u32, u32::MAX), Err(-libc::EINVAL));
        assert_eq!(h.error(), "set_table: nf_conntrack_acct to 4294967295: the kernel takes no such value");
        assert_eq!(sysctl(Setting::Acct), Some(0));
        if sysctl(Setting::DccpOpenTimeout).is_none() {
            assert_eq!(h.set_table(Setting::DccpOpenTimeout as u32, 1), Err(-libc::ENOENT));
            let text = "there is no such file; this kernel has no such setting, or /proc is not mounted";
            assert_eq!(h.error(), format!("set_table: nf_conntrack_dccp_timeout_open to 1: {text}"));
        }
    });
}

/// Mounts over /proc/sys, in a mount namespace of this thread's own.
fn with_proc_sys(flags: libc::c_ulong) {
    let sys = c"/proc/sys".as_ptr();
    // SAFETY: unshare() takes flags only; the strings end with NUL, and mount() reads no more.
    #[allow(unsafe_code)]
    unsafe {
        assert_eq!(libc::unshare(libc::CLONE_NEWNS), 0, "{}", std::io::Error::last_os_error());
        let private = libc::MS_REC | libc::MS_PRIVATE;
        assert_eq!(libc::mount(std::ptr::null(), c"/".as_ptr(), std::ptr::null(), private, std::ptr::null()), 0);
        let done = if flags & libc::MS_BIND != 0 {
            libc::mount(sys, sys, std::ptr::null(), libc::MS_BIND, std::ptr::null())
                | libc::mount(std::ptr::null(), sys, std::ptr::null(), flags | libc::MS_REMOUNT, std::ptr::null())
        } else {
            libc::mount(c"none".as_ptr(), sys, c"tmpfs".as_ptr(), 0, std::ptr::null())
        };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }
}

#[test]
fn where_proc_sys_is_read_only_settings_are_known_and_none_may_be_set() {
    alone_in_netns(|| {
        with_proc_sys(libc::MS_BIND | libc::MS_RDONLY);
        for h in [Handle::open(), Handle::open_in(&new_netns())] {
            let info = h.table_info(u64::MAX).unwrap();
            assert!(info.known.count_ones() >= 25 && info.settable == 0, "{info:?}");
            assert_eq!(h.set_table(Setting::Acct as u32, 1), Err(-libc::EROFS));
            let text = "/proc/sys is read-only here, as in most containers; set it from outside";
            assert_eq!(h.error(), format!("set_table: nf_conntrack_acct to 1: {text}"));
        }
    });
}

#[test]
fn where_proc_sys_is_hidden_the_fill_and_the_maximum_are_known_alone() {
    alone_in_netns(|| {
        let most = sysctl(Setting::Max);
        with_proc_sys(0);
        for h in [Handle::open(), Handle::open_in(&new_netns())] {
            let info = h.table_info(u64::MAX).unwrap();
            assert_eq!((info.known, info.settable), (1 << Setting::Max as u32, 0));
            assert_eq!((info.entries, Some(info.value[Setting::Max as usize])), (0, most));
            assert_eq!(h.set_table(Setting::Acct as u32, 1), Err(-libc::ENOENT));
        }
    });
}

/// The lines of `conntrack -S`.
fn cli_stats(table: &[&str]) -> Vec<String> {
    cli(&[&["-S"], table].concat()).lines().map(str::to_owned).collect()
}

#[test]
fn the_counters_of_each_processor_are_those_of_the_program_to_the_last_byte() {
    netns(|| {
        loopback_up();
        nft("table inet t {\n chain o { type filter hook output priority 0;\n ct state new accept;\n }\n}\n");
        let mut conntrack = Conntrack::open().unwrap();
        let entries: Vec<_> = (1..=40).map(|port| udp("10.0.0.1", port, "10.0.0.2", 53)).collect();
        create(&mut conntrack, &entries);
        // Those that are there already: they fail, and are counted.
        let again = conntrack.create_entries(&entries[..7]).unwrap();
        assert_eq!(again.outcome.failed, 7);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for port in 1..=20 {
            let _ = socket.send_to(b"x", (IpAddr::from([127, 0, 0, 1]), port));
        }
        let stats = conntrack.cpu_stats().unwrap();
        assert_eq!(stats.iter().map(|cpu| stats_line(cpu, Counted::Entries)).collect::<Vec<_>>(), cli_stats(&[]));
        let sum = |stat: Stat| stats.iter().filter_map(|cpu| cpu.get(stat)).sum::<u32>();
        assert!(sum(Stat::INSERT) >= 40, "{stats:?}");
        assert!(stats.iter().zip(0..).all(|(cpu, number)| cpu.cpu == number), "{stats:?}");
        // Kernels of this decade send none of these.
        assert!(stats.iter().all(|cpu| cpu.get(Stat::SEARCHED).is_none()), "{stats:?}");
    });
}

#[test]
fn the_counters_of_expectations_are_those_of_the_program_to_the_last_byte() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let stats = conntrack.expect_stats().unwrap();
        let lines: Vec<_> = stats.iter().map(|cpu| stats_line(cpu, Counted::Expectations)).collect();
        assert_eq!(lines, cli_stats(&["expect"]));
        assert_eq!(stats[0].get(ExpectStat::CREATE), Some(0));
    });
}

#[test]
fn counters_for_which_there_is_no_room_are_not_handed_over_in_part() {
    netns(|| {
        let h = Handle::open();
        let all = h.stats(false, 4096).unwrap();
        for expect in [false, true] {
            assert_eq!(h.stats(expect, 0).unwrap_err(), (-libc::ENOSPC, all.len()));
            if all.len() > 1 {
                assert_eq!(h.stats(expect, all.len() - 1).unwrap_err(), (-libc::ENOSPC, all.len()));
                assert_eq!(h.error(), format!("stats: there are {}, and no room for so many", all.len()));
            }
            assert_eq!(h.stats(expect, all.len()).unwrap().len(), all.len());
        }
        let mut text = [0; 1024];
        // SAFETY: the struct is there, and the text has this size.
        #[allow(unsafe_code)]
        let length = unsafe { ct_stats_format(&all[0], 0, text.as_mut_ptr(), text.len()) };
        let text: Vec<u8> = text.iter().map(|&byte| byte as u8).take(length as usize).collect();
        assert_eq!(String::from_utf8(text).unwrap(), cli_stats(&[])[0]);
        // SAFETY: as above.
        #[allow(unsafe_code)]
        let refused = unsafe { ct_stats_format(&all[0], 2, std::ptr::null_mut(), 0) };
        assert_eq!(refused, -libc::EINVAL);
    });
}
