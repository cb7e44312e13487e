//! The result of a call on many entries, in a struct of the caller's that may be an older one.

use super::extend;
use ctrack::seams::text;
use ctrack::{Error, Failure, Outcome};
use std::ffi::c_int;

/// ct_result.flags: the kernel deleted by itself; what it deleted is not in the sums.
pub const CT_RESULT_UNCOUNTED: u32 = 1u32 << 0;

/// ct_result.flags: start times were to be compared (CT_OPEN_COMPARE_START), but at least one deleted entry has none, since the
/// kernel kept none when it was made. It was told apart by its tuples, zone and id alone. Since 0.2.
pub const CT_RESULT_START_UNKNOWN: u32 = 1u32 << 1;

/// What a call did. Set size and zero the rest once; it can be used for call after call. Filled whenever the call got as far as reading it, on failure too.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ct_result {
    /// sizeof(struct ct_result).
    pub size: u32,
    /// Zero; the library sets CT_RESULT_ bits.
    pub flags: u32,
    /// Entries that were selected or given: always done + gone + failed + spared.
    pub matched: u64,
    /// Entries that were deleted, created or updated.
    pub done: u64,
    /// Entries that were no longer there (or no longer the same one) when their turn came. Not a failure.
    pub gone: u64,
    /// Entries for which the kernel refused, or that are impossible to make or to change, or whose fate is not known since the kernel
    /// fell silent, or which are there but cannot be reached (-ENOTUNIQ).
    pub failed: u64,
    /// Negative errno of the first of the failed ones, or 0. ct_handle_error() names it and says how many more there are.
    pub first_error: i32,
    /// Zero.
    pub pad0: u32,
    /// Entries that were selected, but changed before their turn came so that they are not any more: they stay. Where size
    /// does not cover this field, they are not in matched either. Since 0.2.
    pub spared: u64,
}

/// Size of `ct_result` in the first release.
pub(crate) const RESULT_SIZE_V0: usize = 48;

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<ct_result>() == RESULT_SIZE_V0 + 8);
    assert!(offset_of!(ct_result, spared) == RESULT_SIZE_V0);
};

/// The sizes that the struct has had, the present one last: of a caller's struct, what the largest of them that it covers has is
/// filled. A field is never filled in part.
const RESULT_SIZES: [usize; 2] = [RESULT_SIZE_V0, size_of::<ct_result>()];

/// A ct_result of at least this size has room for `spared`.
const RESULT_SIZE_WITH_SPARED: usize = std::mem::offset_of!(ct_result, spared) + size_of::<u64>();

/// The caller's ct_result, checked and emptied.
pub(super) struct ResultOut {
    pointer: *mut ct_result,
    /// How many bytes of it are filled.
    covered: usize,
}

impl ResultOut {
    /// # Safety
    /// `pointer` is NULL or points to a ct_result as the header describes it.
    pub unsafe fn new(pointer: *mut ct_result) -> Result<ResultOut, Error> {
        // SAFETY: the caller's promise.
        let given =
            unsafe { extend::read(pointer, RESULT_SIZE_V0, &|field| text("result", format_args!("result{field}"))) }?;
        if given.flags & !(CT_RESULT_UNCOUNTED | CT_RESULT_START_UNKNOWN) != 0 || given.pad0 != 0 {
            return Err(Error::invalid("result.flags", "unknown bits, or padding that is not zero"));
        }
        let size = given.size as usize;
        let fits = |known: &usize| mutant!("result-room", *known <= size, true);
        let covered = RESULT_SIZES.into_iter().rfind(fits).unwrap_or(RESULT_SIZE_V0);
        let result = ResultOut { pointer, covered };
        result.write(&Outcome::default());
        Ok(result)
    }

    fn write(&self, outcome: &Outcome) {
        let flag = |set: bool, flag| if set { flag } else { 0 };
        let has_spared = self.covered >= RESULT_SIZE_WITH_SPARED;
        // Without "..": a field that is forgotten here does not compile.
        let result = ct_result {
            size: 0,
            flags: flag(outcome.uncounted, CT_RESULT_UNCOUNTED) | flag(outcome.start_unknown, CT_RESULT_START_UNKNOWN),
            matched: outcome.matched - if mutant!("spared-left-out", has_spared, true) { 0 } else { outcome.spared },
            done: outcome.done,
            gone: outcome.gone,
            failed: outcome.failed,
            first_error: outcome.error.as_ref().map_or(0, |error| -error.errno()),
            pad0: 0,
            spared: outcome.spared,
        };
        // SAFETY: `new` checked that the caller's struct has `covered` bytes; its size field, which is the first, stays as it is.
        unsafe { extend::write(&result, self.pointer, size_of::<u32>()..self.covered) };
    }

    /// Runs an operation, fills the result in any case, and says whether all went well.
    pub fn fill(&self, operation: &mut dyn FnMut(&mut Outcome) -> Result<(), Error>) -> Result<c_int, Failure> {
        let mut outcome = Outcome::default();
        let done = operation(&mut outcome);
        self.write(&outcome);
        done?;
        outcome.into_failure().map_or(Ok(0), Err)
    }
}
