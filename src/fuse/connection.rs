//! What is agreed with the kernel when a mount begins (FUSE_INIT). Knows no operation.
//!
//! Sources: include/uapi/linux/fuse.h, process_init_reply() in fs/fuse/inode.c of Linux 6.18.

use fuser::{InitFlags, KernelConfig};
use log::debug;

/// Bytes of one WRITE request at most: 256 pages, the kernel's own limit unless
/// fs.fuse.max_pages_limit is raised.
pub(super) const WRITE_BYTES_MAX: u32 = 1 << 20;

/// Background requests (readahead, forced writeback) the kernel may have under way: each can
/// become a GET, so as many as keep a connection pool busy.
const BACKGROUND_REQUESTS_MAX: u16 = 64;

/// What is asked for, each where the kernel offers it:
///
/// - `ASYNC_READ`: several reads of one file at a time.
/// - `ATOMIC_O_TRUNC`: open(O_TRUNC) is one request; else a setattr comes before each.
/// - `PARALLEL_DIROPS`: lookups and listings of one directory at a time.
/// - `DO_READDIRPLUS` with `READDIRPLUS_AUTO`: `ls -l` takes its attributes from the listing,
///   plain `ls` does not ask for them.
/// - `HANDLE_KILLPRIV_V2`: no file here has set-id bits or capabilities, so there is nothing to
///   kill; without it the kernel asks for `security.capability` before every WRITE.
/// - `DIRECT_IO_ALLOW_MMAP` (since Linux 6.6): a file that is opened past the page cache
///   (`PageCache::Bypass`) can be mapped; else mmap(2) with MAP_SHARED says ENODEV.
/// - `ALLOW_IDMAP` (Linux 6.12): mounts with mapped owners. A request that makes something then
///   tells the mapped owner, any other tells none. Refused without `default_permissions`, which
///   every mount has (`mount::kernel`).
///
/// Why the others are not: ARCHITECTURE.md, "What the kernel offers".
const WANTED: [InitFlags; 8] = [
    InitFlags::FUSE_ASYNC_READ,
    InitFlags::FUSE_ATOMIC_O_TRUNC,
    InitFlags::FUSE_PARALLEL_DIROPS,
    InitFlags::FUSE_DO_READDIRPLUS,
    InitFlags::FUSE_READDIRPLUS_AUTO,
    InitFlags::FUSE_HANDLE_KILLPRIV_V2,
    InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP,
    InitFlags::FUSE_ALLOW_IDMAP,
];

/// Sets what the connection offers and may have under way.
pub(super) fn negotiate(config: &mut KernelConfig) {
    for flag in WANTED {
        if config.add_capabilities(flag).is_err() {
            debug!("the kernel does not offer {flag:?}");
        }
    }
    if config.set_max_write(WRITE_BYTES_MAX).is_err()
        || config.set_max_background(BACKGROUND_REQUESTS_MAX).is_err()
    {
        debug!("the FUSE library keeps its own bounds on requests");
    }
}
