//! Release of free memory to the operating system.

#![allow(unsafe_code, reason = "one call of the C library, which takes no pointer and may be made at any time")]

/// Returns free pages to the operating system. An index consists of many small allocations, and glibc otherwise keeps
/// nearly all of their pages, however many tenants were closed. Other C libraries and allocators do not need this.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it frees nothing that is held, and is safe to call from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
