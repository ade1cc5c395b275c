//! The allocator, and the one option of it that is not left as it comes.

use std::ffi::c_long;

use libmimalloc_sys::{mi_option_set_default, mi_option_t};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// mimalloc's number for its option `purge_delay`.
const PURGE_DELAY: mi_option_t = 15;

/// Milliseconds until freed memory is given back to the system. Queries free and take the same
/// memory again and again; giving it back in between costs a page fault for every page.
const PURGE_DELAY_MILLIS: c_long = 30_000;

/// Sets the options; to be called before any other thread starts. The environment variable
/// `MIMALLOC_PURGE_DELAY` has precedence.
#[allow(unsafe_code)]
pub fn configure() {
    // SAFETY: the call stores a number in the allocator's table of options; it takes no pointer,
    // and an option may be set at any time.
    unsafe { mi_option_set_default(PURGE_DELAY, PURGE_DELAY_MILLIS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number is not part of the crate's interface: an upgrade may move it.
    #[test]
    #[allow(unsafe_code)]
    fn the_option_is_the_one_meant() {
        // SAFETY: the call reads a number from the allocator's table of options.
        let read = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
            assert_eq!(read(), 1000, "mimalloc's own default");
            configure();
            assert_eq!(read(), PURGE_DELAY_MILLIS);
        }
    }
}
