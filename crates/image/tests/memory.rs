//! Memory: no more than documented, and an error instead of an abort where there is less.
//!
//! Each test starts this program again, so that what other tests take does not count.
#![cfg(target_os = "linux")]

use std::io::Write;
use std::process::Command;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use images::{ImageError, Problem};

/// Set where the program runs again, with little memory or alone.
const CHILD: &str = "IMAGES_TEST_CHILD";

/// A PNG of zeros; the header's last bytes are depth and colour type.
fn png((width, height): (u32, u32), depth: u8, colour: u8, row_bytes: usize, palette: &[u8]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |name: &[u8; 4], contents: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(name);
        crc.update(contents);
        file.extend((contents.len() as u32).to_be_bytes());
        file.extend([name, contents, &crc.sum().to_be_bytes()].concat());
    };
    chunk(b"IHDR", &[&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, colour, 0, 0, 0]].concat());
    if !palette.is_empty() {
        chunk(b"PLTE", palette);
    }
    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::fast());
    let row = vec![0; 1 + row_bytes];
    (0..height).for_each(|_| pixels.write_all(&row).unwrap());
    chunk(b"IDAT", &pixels.finish().unwrap());
    chunk(b"IEND", &[]);
    file
}

/// Runs one test of this program alone, under a limit of KiB of address space if there is one.
fn again(test: &str, limit: Option<usize>) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return false;
    }
    let limit = limit.map_or_else(String::new, |kib| format!("ulimit -v {kib} && "));
    let mut child = Command::new("sh");
    child.args(["-c", &format!("{limit}exec \"$0\" --exact {test} --test-threads 1 --nocapture")]);
    // More arenas would take address space for nothing.
    child.arg(std::env::current_exe().unwrap()).env(CHILD, "1").env("MALLOC_ARENA_MAX", "1");
    let done = child.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("1 passed"), "{}: {said}", done.status);
    true
}

/// The most memory that this process has had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[test]
fn a_deep_png_takes_three_bytes_a_pixel() {
    if again("a_deep_png_takes_three_bytes_a_pixel", None) {
        return;
    }
    let side = 2000;
    let file = png((side, side), 16, 6, 8 * side as usize, &[]);
    let before = peak();
    let pixels = images::decode(&file).unwrap();
    let bytes = peak() - before;
    assert_eq!(pixels.data().len(), 12_000_000);
    assert!(bytes < 14_000_000, "{bytes} bytes");
}

#[test]
fn less_memory_than_pixels_is_an_error() {
    const MIB: usize = 1 << 10;
    if again("less_memory_than_pixels_is_an_error", Some(180 * MIB)) {
        return;
    }
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/");
    let large = |name: &str| {
        let mut jpeg = std::fs::read(format!("{data}{name}")).unwrap();
        let frame = jpeg.windows(2).position(|pair| matches!(pair, [0xFF, 0xC0 | 0xC2])).unwrap();
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0x32, 0xC8, 0x32, 0xC8]);
        // So many pixels need not be too many for the file's length.
        jpeg.resize(jpeg.len() + 200_000, 0);
        jpeg
    };
    let palette = png((13_000, 13_000), 1, 3, 13_000 / 8, &[1, 2, 3]);
    for file in [palette, large("colour420.jpg"), large("colour444.jpg"), large("progressive.jpg")] {
        let error = images::decode(&file).unwrap_err();
        assert!(matches!(error, ImageError::Picture { problem: Problem::Memory { .. }, .. }), "{error}");
        assert!(error.to_string().contains("MiB more than there are"), "{error}");
    }
    // Whatever fits is read all the same.
    images::open(format!("{data}colour420.jpg")).unwrap();
}
