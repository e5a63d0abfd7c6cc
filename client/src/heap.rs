//! When the allocator of the `windrow` binary gives memory back to the operating system.
//!
//! It keeps what was freed for a second, and a worker that waits longer than that for its next task pays for the same
//! pages again: touching fresh memory was measured at 1.3 GB/s. With a longer delay the heap stays warm while there
//! is work, and is still given back when there has been none for a while.

/// `mi_option_purge_delay`: milliseconds before freed memory is given back. The bindings do not name it.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
/// Its value unless the user has chosen one (`MIMALLOC_PURGE_DELAY`).
const PURGE_DELAY_DEFAULT_MS: std::ffi::c_long = 1_000;
/// Longer than a pause between two statements of a person or a script.
const PURGE_DELAY_MS: std::ffi::c_long = 10_000;

/// Call it before anything large is freed.
pub fn keep_warm() {
    // SAFETY: reads and writes one option of the allocator, which may be done at any time; that the number means the
    // delay is checked by its default.
    #[allow(unsafe_code)]
    unsafe {
        if libmimalloc_sys::mi_option_get(PURGE_DELAY) == PURGE_DELAY_DEFAULT_MS {
            libmimalloc_sys::mi_option_set(PURGE_DELAY, PURGE_DELAY_MS);
        }
    }
}

/// Gives back what the allocator keeps for the thread that calls it, and what no thread uses.
pub fn give_back() {
    // SAFETY: may be called at any time; only memory that nobody has allocated is given up.
    #[allow(unsafe_code)]
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_still_names_the_delay() {
        keep_warm();
        // SAFETY: reads one option.
        #[allow(unsafe_code)]
        let delay = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        let chosen = std::env::var("MIMALLOC_PURGE_DELAY").ok().and_then(|text| text.parse().ok());
        assert_eq!(delay, chosen.unwrap_or(PURGE_DELAY_MS));
    }
}
