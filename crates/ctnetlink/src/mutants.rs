//! Mistakes on demand, to see whether the tests would notice them: `mutant!("name", right, wrong)` is `right`.
//!
//! Only in a build with `--cfg ctrack_mutants`, which `scripts/test-mutants.sh` makes and nobody else, a process is `wrong` in the
//! place whose name is in its environment: CTRACK_MUTANT=name, or several with commas. In every other build the macro leaves nothing
//! behind, neither the other expression nor the name.

#[cfg(not(ctrack_mutants))]
#[doc(hidden)]
#[macro_export]
macro_rules! mutant {
    ($name:literal, $right:expr, $wrong:expr $(,)?) => {
        $right
    };
}

#[cfg(ctrack_mutants)]
#[doc(hidden)]
#[macro_export]
macro_rules! mutant {
    ($name:literal, $right:expr, $wrong:expr $(,)?) => {
        if $crate::mutants::is_chosen($name) {
            $wrong
        } else {
            $right
        }
    };
}

/// Whether this process is to be wrong here.
#[cfg(ctrack_mutants)]
pub fn is_chosen(name: &'static str) -> bool {
    use std::string::String;
    use std::sync::LazyLock;
    use std::vec::Vec;
    static CHOSEN: LazyLock<Vec<String>> = LazyLock::new(|| {
        let chosen = std::env::var("CTRACK_MUTANT").unwrap_or_default();
        chosen.split(',').filter(|name| !name.is_empty()).map(String::from).collect()
    });
    CHOSEN.iter().any(|chosen| chosen == name)
}
