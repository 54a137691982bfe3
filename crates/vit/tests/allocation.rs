//! `run` on one thread makes no heap allocation.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::{configs, images, packed};
use vit::{Level, Model};

/// The system's allocator, counting what this thread asks of it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: hands everything to the system's allocator unchanged; the counter is a thread-local without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> usize {
    ALLOCATIONS.with(Cell::get)
}

#[test]
fn a_run_allocates_nothing() {
    let before = allocations();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(allocations(), before + 1, "the counter counts");

    for config in configs() {
        let packed = packed(&config);
        for level in Level::available() {
            let images = images(&config, 2);
            let scratch_len = Model::new(&config, &packed).unwrap().scratch_len(level);
            let (mut logits, mut scratch) = (vec![0.0; 2 * config.outputs()], vec![0.0; scratch_len]);
            let before = allocations();
            let model = Model::new(&config, &packed).unwrap();
            model.run(level, &images, &mut logits, &mut scratch).unwrap();
            assert_eq!(allocations(), before, "{level} {config:?}");
        }
    }
}
