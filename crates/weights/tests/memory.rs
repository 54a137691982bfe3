//! What loading costs in heap: the packed model and one tensor, and nothing that a file merely claims.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{
    Builder, Tensor, aligned, checkpoint, checkpoint_of, edited, from_bytes, good, packed, raw, small, small_swin,
};
use half::f16;
use vit::{Config, VitConfig};
use weights::{LoadedModel, TensorFile, load};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// One test at a time: they run on threads, and what one builds would count in another's measurement.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(NOW.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The result, and the most bytes that were allocated at once beyond those before.
fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = work();
    (result, PEAK.load(Relaxed).saturating_sub(before))
}

/// A model of about a million weights, whose largest tensor is 192 x 768.
fn medium() -> Builder {
    let config = VitConfig { image_size: 64, patch_size: 16, in_channels: 3, num_classes: 100, dim: 192, ..small() };
    checkpoint(VitConfig { mlp_ratio: 4.0, depth: 2, heads: 3, ..config })
}

const LARGEST: usize = 384 * 768 * 4;
/// Names, shapes, the header's text and the description.
const BOOKS: usize = 64 << 10;

#[test]
fn loading_takes_the_packed_model_and_one_tensor() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let mut builder = medium();
    std::fs::write(&path, builder.bytes()).unwrap();
    let check = |what, (loaded, peak): (Result<LoadedModel, weights::Error>, usize), buffer| {
        let weights = loaded.unwrap().weight_bytes();
        assert!(peak <= weights + buffer + BOOKS, "{what}: {peak} bytes for {weights} of weights");
    };
    check("F32 from disk", peak(|| load(&path)), LARGEST);
    let bytes = builder.bytes();
    check("F32 from memory", peak(|| from_bytes(&bytes, None)), LARGEST);
    builder.tensors.iter_mut().for_each(|tensor| tensor.retype("F16", |x| f16::from_f32(x).to_bits()));
    std::fs::write(&path, builder.bytes()).unwrap();
    check("F16 from disk", peak(|| load(&path)), LARGEST);
    let mut builder = medium();
    builder.tensors.iter_mut().for_each(Tensor::widen);
    std::fs::write(&path, builder.bytes()).unwrap();
    check("F64 from disk", peak(|| load(&path)), LARGEST);
    let bytes = builder.bytes();
    check("F64 from memory", peak(|| from_bytes(&bytes, None)), LARGEST);
}

#[test]
fn aligned_singles_take_no_buffer() {
    let _turn = turn();
    let mut builder = medium();
    builder.padding = (64 - (8 + builder.header().len()) % 64) % 64;
    let bytes = aligned(&builder.bytes(), 0);
    let buffer = if cfg!(target_endian = "little") { 0 } else { LARGEST };
    let (loaded, peak) = peak(|| from_bytes(&bytes, None));
    let weights = loaded.unwrap().weight_bytes();
    assert!(peak <= weights + buffer + BOOKS, "{peak} bytes for {weights} of weights");
}

#[test]
fn lies_cost_nothing() {
    let _turn = turn();
    let mut wide = good();
    wide.edit_config(r#""in_channels":1"#, r#""in_channels":1048576"#);
    wide.edit_config(r#""mean":[0.5],"std":[0.5]"#, r#""name":null"#);
    let mut deep = good();
    deep.edit_config(r#""depth":1"#, r#""depth":1024"#);
    let mut large = good();
    large.edit_config(r#""dim":4"#, r#""dim":1048576"#);
    large.edit_config(r#""mlp_ratio":2.0"#, r#""mlp_ratio":1.0"#);
    let mut many = good();
    many.edit_config(r#""num_classes":3"#, r#""num_classes":1048576"#);
    let mut stages = checkpoint_of(Config::new(small_swin()).unwrap());
    stages.edit_config(r#""depths":[2,2],"heads":[1,2]"#, r#""depths":[1024,1024],"heads":[1,2]"#);
    let huge = |offset: u64| {
        raw(&format!(r#"{{"x":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{offset}]}}}}"#, offset / 4), &[0; 4])
    };
    let header = [&(1u64 << 62).to_le_bytes()[..], b"{}"].concat();
    let named = Builder { config: None, ..good() };
    let packed = edited(&packed(Config::new(small()).unwrap()), 0, |header, _| {
        let config = header["__metadata__"]["config"].as_str().unwrap();
        let config =
            config.replace("\"num_classes\":3", "\"num_classes\":1048576").replace("\"dim\":4", "\"dim\":4096");
        header["__metadata__"]["config"] = config.into();
    });
    for (what, bytes, arch) in [
        ("channels", wide.bytes(), None),
        ("depth", deep.bytes(), None),
        ("dim", large.bytes(), None),
        ("stages", stages.bytes(), None),
        ("classes", many.bytes(), None),
        ("offsets", huge(1 << 40), None),
        ("offsets near the top", huge(u64::MAX - 3), None),
        ("header length", header, None),
        ("another model", named.bytes(), Some("deit_small")),
        ("packed weights", packed, None),
    ] {
        let (loaded, peak) = peak(|| from_bytes(&bytes, arch));
        assert!(loaded.is_err(), "{what}");
        assert!(peak <= BOOKS, "{what}: {peak} bytes for a file of {}", bytes.len());
    }
}

#[test]
fn a_header_costs_a_small_multiple_of_its_length() {
    let _turn = turn();
    let tensors: Vec<String> =
        (0..20_000).map(|i| format!(r#""{i}":{{"dtype":"U8","shape":[],"data_offsets":[{i},{}]}}"#, i + 1)).collect();
    let junk: String = (0..200_000).map(|i| format!(r#""{i}":0,"#)).collect::<String>() + r#""x":0"#;
    for header in
        [format!("{{{}}}", tensors.join(",")), format!("{{{junk}}}"), format!(r#"{{"x":[{}0]}}"#, "0,".repeat(500_000))]
    {
        let bytes = raw(&header, &[0; 20_000]);
        let (_, peak) = peak(|| drop(TensorFile::from_bytes(&bytes)));
        assert!(peak <= 5 * bytes.len() + BOOKS, "{peak} bytes for a file of {}", bytes.len());
    }
}

/// Read, a packed model takes its size; borrowed or mapped, nothing.
#[test]
#[cfg(target_endian = "little")]
fn a_packed_file_takes_its_size_or_nothing() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.packed");
    weights::save_packed(&path, &from_bytes(&medium().bytes(), None).unwrap()).unwrap();
    let (read, peak_read) = peak(|| load(&path).unwrap());
    let size = read.weight_bytes();
    assert!((size..size + BOOKS).contains(&peak_read), "{peak_read} bytes for a read file");
    let file = std::fs::read(&path).unwrap();
    let [on_a_line, off_it] = [0, 1].map(|shift| aligned(&file, shift));
    let (_borrowed, peak_borrowed) = peak(|| from_bytes(&on_a_line, None).unwrap());
    assert!(peak_borrowed <= BOOKS, "{peak_borrowed} bytes for a borrowed file");
    let (_copied, peak_copied) = peak(|| from_bytes(&off_it, None).unwrap());
    assert!((size..size + BOOKS).contains(&peak_copied), "{peak_copied} bytes for a copied file");
    #[cfg(feature = "mmap")]
    {
        // SAFETY: nobody else knows the folder, and nothing writes to the file while it is mapped.
        let (_mapped, peak_mapped) = peak(|| unsafe { weights::Loader::new().load_mmap(&path) }.unwrap());
        assert!(peak_mapped <= BOOKS, "{peak_mapped} bytes for a mapped file");
    }
}

#[test]
#[cfg(target_endian = "little")]
fn a_packed_file_in_flash_takes_no_heap() {
    let _turn = turn();
    let bytes = aligned(&packed(Config::new(small_swin()).unwrap()), 0);
    let (_, peak) = peak(|| {
        let file = weights::PackedFile::new(&bytes).unwrap();
        file.verify().unwrap();
        (file.model().config().outputs(), file.label(0), file.mean(0))
    });
    assert_eq!(peak, 0);
}
