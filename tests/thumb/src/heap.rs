//! A heap that only grows: what one verification needs, and nothing is given back.
//!
//! Apart because it holds this program's `unsafe` code. A real terminal brings an allocator of its own.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait over raw memory")]

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    ptr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Bytes of heap: a value update of 512 bytes, a few times over.
const SIZE: usize = 8 * 1024;
/// Greatest alignment served, in bytes.
const ALIGNMENT: usize = 8;

#[repr(align(8))]
struct Bytes(UnsafeCell<[u8; SIZE]>);

/// The bytes and how many are given away.
struct Heap {
    bytes: Bytes,
    used: AtomicUsize,
}

// SAFETY: the bytes are reached through `alloc` alone, which gives each of them away once, by an atomic update.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap { bytes: Bytes(UnsafeCell::new([0; SIZE])), used: AtomicUsize::new(0) };

// SAFETY: every block lies within `bytes`, is aligned, overlaps no other and stays valid for good; nothing here panics.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > ALIGNMENT {
            return ptr::null_mut();
        }
        let mut start = 0;
        let taken = self.used.try_update(Relaxed, Relaxed, |used| {
            start = used.checked_next_multiple_of(layout.align())?;
            start.checked_add(layout.size()).filter(|end| *end <= SIZE)
        });
        match taken {
            // SAFETY: `start` is within the array, for its end is.
            Ok(_) => unsafe { self.bytes.0.get().cast::<u8>().add(start) },
            Err(_) => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
