//! How full the table is, and its settings.

use super::count::fill;
use crate::error::{Call, Error};
use crate::setting::{Setting, TableInfo};
use crate::socket::link::Link;

/// The count, the maximum, and these settings.
pub(crate) fn info(link: &mut Link, settings: &[Setting]) -> Result<TableInfo, Error> {
    let (entries, most) = fill(link)?;
    let mut info = TableInfo::new(entries);
    if !settings.is_empty() {
        // What cannot be read is not known, and nothing else goes wrong for that.
        let _ = link.in_netns(&mut || {
            for &setting in settings {
                if let Some(value) = setting.read() {
                    info.know(setting, value, setting.may_be_set());
                }
            }
        });
    }
    if let Some(most) = most {
        // The kernel's own word, with or without /proc.
        info.know(Setting::Max, most, false);
    }
    Ok(info)
}

/// Sets one of the network namespace.
pub(crate) fn set(link: &mut Link, setting: Setting, value: u32) -> Result<(), Error> {
    if mutant!("machines-settings", setting.is_of_the_machine(), false) {
        return Err(Error::invalid("setting", "belongs to the machine, and not to a network namespace; set it with sysctl"));
    }
    let mut result = Ok(());
    link.in_netns(&mut || result = setting.write(value)).map_err(|error| Error::system(Call::Other("setns"), &error))?;
    result
}
