//! Memory that ends where it is said to end: whoever reads or writes too far is found out.

use std::alloc::Layout;
use std::ptr::{null_mut, NonNull};

/// Bytes, all zero, that begin at a multiple of 8 and end where memory ends.
pub struct Edge {
    start: *mut u8,
    length: usize,
    kind: Kind,
}

enum Kind {
    /// Ends at a page that must not be touched, or up to 7 bytes before it. Touching it ends the program with SIGSEGV.
    Page { map: NonNull<u8>, mapped: usize },
    /// An allocation of just this length, for AddressSanitizer and Miri, which see every byte behind it.
    Heap,
}

/// One byte more where there is nothing: an allocation is never empty.
fn layout(length: usize) -> Layout {
    Layout::from_size_align(length.max(1), 8).expect("a length that memory can have")
}

impl Edge {
    pub fn new(length: usize) -> Edge {
        // Miri knows no protection of pages, and needs none.
        if cfg!(miri) {
            return Edge::on_the_heap(length);
        }
        // SAFETY: takes a number and returns one.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).expect("a page size");
        let usable = length.next_multiple_of(page).max(page);
        let mapped = usable + page;
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at a place that the kernel chooses.
        let map = unsafe { libc::mmap(null_mut(), mapped, access, kind, -1, 0) };
        assert_ne!(map, libc::MAP_FAILED);
        let map = map.cast::<u8>();
        // SAFETY: the last page of the mapping, which nobody uses.
        assert_eq!(unsafe { libc::mprotect(map.wrapping_add(usable).cast(), page, libc::PROT_NONE) }, 0);
        let start = map.wrapping_add((usable - length) & !7);
        Edge { start, length, kind: Kind::Page { map: NonNull::new(map).expect("mapped"), mapped } }
    }

    pub fn on_the_heap(length: usize) -> Edge {
        // SAFETY: the layout is never empty.
        let start = unsafe { std::alloc::alloc_zeroed(layout(length)) };
        assert!(!start.is_null());
        Edge { start, length, kind: Kind::Heap }
    }

    pub fn at<T>(&self) -> *mut T {
        self.start.cast()
    }

    /// So many bytes before memory ends, whatever that is a multiple of.
    #[cfg(test)]
    pub fn before_the_end(&self, count: usize) -> *mut u8 {
        match self.kind {
            Kind::Page { .. } => self.start.wrapping_add(self.length.next_multiple_of(8) - count),
            Kind::Heap => self.start.wrapping_add(self.length - count),
        }
    }

    /// Elements one behind the other.
    #[cfg(test)]
    pub fn of<T: Copy>(elements: &[T]) -> Edge {
        let edge = Edge::new(size_of_val(elements));
        for (at, element) in elements.iter().enumerate() {
            edge.put(at * size_of::<T>(), *element, size_of::<T>());
        }
        edge
    }

    /// A struct that has `length` bytes, of which the first are those of `known`. One that is larger than it says to be
    /// is cut off.
    #[cfg(test)]
    pub fn sized<T: Copy>(known: T, length: usize) -> Edge {
        let edge = Edge::new(length);
        edge.put(0, known, length);
        edge
    }

    /// Writes `length` bytes of a struct from `offset` on, or all that it has.
    #[cfg(test)]
    pub fn put<T: Copy>(&self, offset: usize, known: T, length: usize) {
        self.put_bytes(offset, &bytes_of(&known)[..length.min(size_of::<T>())]);
    }

    /// Writes bytes from `offset` on. What lies behind the end is left out.
    pub fn put_bytes(&self, offset: usize, bytes: &[u8]) {
        let count = bytes.len().min(self.length.saturating_sub(offset));
        // SAFETY: `count` bytes lie within both; nobody else has a reference to the memory, only pointers.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.wrapping_add(offset), count) };
    }

    /// What is there now.
    pub fn bytes(&self) -> Vec<u8> {
        // SAFETY: `length` bytes, initialised with zeros, of which nobody has a mutable reference.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }.to_vec()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        match self.kind {
            // SAFETY: the mapping that was made above.
            Kind::Page { map, mapped } => unsafe {
                libc::munmap(map.as_ptr().cast(), mapped);
            },
            // SAFETY: allocated above, with the same layout.
            Kind::Heap => unsafe { std::alloc::dealloc(self.start, layout(self.length)) },
        }
    }
}

/// The bytes of a struct of the C interface.
pub fn bytes_of<T: Copy>(value: &T) -> &[u8] {
    // SAFETY: used for structs without padding only.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}
