//! An allocator that counts: what the process has, and how often it has asked for more.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicI64 = AtomicI64::new(0);

/// The system's allocator, counted.
#[derive(Debug)]
pub struct Counting;

/// How often memory was asked for, so far.
pub fn calls() -> u64 {
    CALLS.load(Relaxed)
}

/// Bytes that are held.
pub fn bytes() -> i64 {
    BYTES.load(Relaxed)
}

fn note(taken: usize, given: usize) {
    if taken > 0 {
        CALLS.fetch_add(1, Relaxed);
    }
    // A layout is smaller than half of the address space.
    BYTES.fetch_add(taken as i64 - given as i64, Relaxed);
}

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe to write, and a bench counts by none other"
)]
// SAFETY: all that is done is done by the system's allocator with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        // SAFETY: the caller's promises are those that this asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
