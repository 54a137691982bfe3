//! What is wrong with an image or its preparation is said, with the file, and never by a panic.

use std::fs;
use std::path::{Path, PathBuf};

use images::{ImageError, Pixels, Problem, load, prepare};
use tempfile::TempDir;
use weights::Preparation;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn stored(name: &str) -> Vec<u8> {
    fs::read(data().join(name)).unwrap()
}

/// Every stored image, small as they are.
fn every_image() -> impl Iterator<Item = (String, Vec<u8>)> {
    let names = fs::read_dir(data()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| [".png", ".jpg"].iter().any(|end| name.ends_with(end)))
        .map(|name| (name.clone(), stored(&name)))
}

/// A file of a folder of its own, for the bytes of one test after another.
struct Scratch {
    folder: TempDir,
}

impl Scratch {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("photo.png")
    }

    fn load(&self, bytes: &[u8]) -> Result<(), ImageError> {
        fs::write(self.path(), bytes).unwrap();
        load_grey(&self.path())
    }

    /// The message, which names the file.
    fn message(&self, bytes: &[u8]) -> String {
        let message = self.load(bytes).unwrap_err().to_string();
        let rest = message.strip_prefix(&format!("{}: ", self.path().display()));
        rest.unwrap_or_else(|| panic!("{message}")).to_string()
    }
}

fn load_grey(path: &Path) -> Result<(), ImageError> {
    load(path, &Preparation::new(8, 1), &mut [0.0; 64])
}

/// `bytes` with `patch` from `at` on.
fn patched(mut bytes: Vec<u8>, at: usize, patch: &[u8]) -> Vec<u8> {
    bytes[at..at + patch.len()].copy_from_slice(patch);
    bytes
}

/// A PNG that announces this size, with its checksum made good.
fn png_announcing(width: u32, height: u32) -> Vec<u8> {
    const HEADER: std::ops::Range<usize> = 12..29;
    let bytes = patched(stored("grey8.png"), 16, &[width.to_be_bytes(), height.to_be_bytes()].concat());
    let mut checksum = flate2::Crc::new();
    checksum.update(&bytes[HEADER]);
    patched(bytes, HEADER.end, &checksum.sum().to_be_bytes())
}

#[test]
fn what_is_no_image_is_named() {
    let scratch = Scratch::new();
    let missing = load_grey(&scratch.path()).unwrap_err();
    let named = scratch.path().display().to_string();
    assert!(
        matches!(&missing, ImageError::Picture { name, problem: Problem::Read { .. } } if *name == named),
        "{missing:?}"
    );

    let folder = load_grey(scratch.folder.path()).unwrap_err().to_string();
    assert!(folder.ends_with("is a folder, expected a PNG, JPEG or WebP file; name the images inside it"), "{folder}");

    assert_eq!(scratch.message(b""), "is empty, expected PNG, JPEG or WebP; copy or download it again");
    for (bytes, expected) in [
        (
            b"GIF89a, and whatever follows".as_slice(),
            "is a GIF image, expected PNG, JPEG or WebP; convert the image first",
        ),
        (b"BM\x36\x10", "is a BMP image, expected PNG, JPEG or WebP; convert the image first"),
        (b"\0\0\0\x1cftypheic", "is a HEIC image, expected PNG, JPEG or WebP; convert the image first"),
        (b"\0\0\0\x1cftypavif", "is an AVIF image, expected PNG, JPEG or WebP; convert the image first"),
        (b"\0\0\0\x1cftypisom", "is a video, expected PNG, JPEG or WebP; extract a frame as an image first"),
        (b"PK\x03\x04....", "is a zip archive, expected PNG, JPEG or WebP; unpack it first"),
        (b"%PDF-1.7", "is a PDF document, expected PNG, JPEG or WebP; export its picture first"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n",
            "is a Git LFS pointer, expected PNG, JPEG or WebP; fetch the file itself with `git lfs pull`",
        ),
        (
            b"\n  <!DOCTYPE html><title>Not found</title>",
            "is a web page (HTML), expected PNG, JPEG or WebP; download the image itself",
        ),
        (b"\xef\xbb\xbf<HTML>", "is a web page (HTML), expected PNG, JPEG or WebP; download the image itself"),
        (b"{\"error\": 404}", "is text, expected PNG, JPEG or WebP; download the image itself"),
        (&[0; 100], "is filled with zeros, expected PNG, JPEG or WebP; download the image itself"),
        (
            &[0x89, 7, 1, 0xF1],
            "is no image that its first bytes would tell, expected PNG, JPEG or WebP; convert the image first",
        ),
    ] {
        assert_eq!(scratch.message(bytes), expected);
    }
}

/// A pipe that nobody writes to would keep its reader waiting for ever.
#[cfg(unix)]
#[test]
fn pipes_and_devices_are_refused() {
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("photo.png");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [pipe.as_path(), Path::new("/dev/zero"), Path::new("/dev/null")] {
        let message = load_grey(path).unwrap_err().to_string();
        assert!(message.contains("is no regular file but a pipe, a device or a socket; save the image"), "{message}");
    }
}

#[test]
fn streams_and_bytes_are_read_as_files_are() {
    let file = stored("rgb8.png");
    let expected = images::open(data().join("rgb8.png")).unwrap();
    assert_eq!(images::decode(&file).unwrap(), expected);
    assert_eq!(images::read("standard input", &file[..]).unwrap(), expected);
    let message = images::read("standard input", &b""[..]).unwrap_err().to_string();
    assert_eq!(message, "standard input: is empty, expected PNG, JPEG or WebP; copy or download it again");
}

/// The name is no argument: a JPEG called photo.png is a JPEG.
#[test]
fn the_format_is_told_by_the_content() {
    Scratch::new().load(&stored("grey.jpg")).unwrap();
}

#[test]
fn no_part_of_a_file_passes_for_the_whole() {
    let scratch = Scratch::new();
    for (name, bytes) in every_image() {
        // Of a PNG the pixels are complete before its last chunks and checksums.
        let needed = if name.ends_with(".jpg") { bytes.len() } else { pixels_end(&bytes) };
        for length in (0..needed).step_by(1 + needed / 20).chain([needed - 1]) {
            assert!(scratch.load(&bytes[..length]).is_err(), "{name}: {length} of {} bytes", bytes.len());
        }
    }
    let jpeg = stored("colour420.jpg");
    assert_eq!(
        scratch.message(&jpeg[..jpeg.len() - 2]),
        "is a damaged JPEG file: it ends before its end-of-image marker; copy, download or export it again"
    );
}

/// Where the deflated pixels of a PNG's last IDAT chunk end, without the code that says so (15 bits at most) and the Adler
/// checksum (4 bytes).
fn pixels_end(png: &[u8]) -> usize {
    let at = png.windows(4).rposition(|name| name == b"IDAT").unwrap();
    let length = u32::from_be_bytes(png[at - 4..at].try_into().unwrap()) as usize;
    at + 4 + length - 4 - 2
}

#[test]
fn a_wrong_byte_anywhere_is_survived() {
    let scratch = Scratch::new();
    for (_, bytes) in every_image() {
        for at in (0..bytes.len()).step_by(1 + bytes.len() / 20) {
            for wrong in [0x01, 0xFF] {
                // An image or an error, either will do.
                let _ = scratch.load(&patched(bytes.clone(), at, &[bytes[at] ^ wrong]));
            }
        }
    }
}

#[test]
fn headers_cannot_ask_for_much_memory() {
    let scratch = Scratch::new();
    let length = stored("grey8.png").len();
    assert_eq!(
        scratch.message(&png_announcing(13_000, 13_000)),
        format!(
            "is a damaged PNG file: its header says 13000x13000 pixels, more than {length} bytes can hold; copy, \
             download or export it again"
        )
    );
    assert!(scratch.load(&png_announcing(u32::MAX, u32::MAX)).is_err());
    assert!(scratch.load(&png_announcing(0, 5)).is_err());

    let jpeg = stored("grey.jpg");
    let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    let announcing = patched(jpeg, frame + 5, &[0xFF; 4]);
    let message = scratch.message(&announcing);
    assert!(message.starts_with("is 65535x65535 pixels, expected at most 65535 a side and 178956970"), "{message}");
    assert!(scratch.message(&png_announcing(70_000, 1)).starts_with("is 70000x1 pixels"));
}

#[test]
fn impossible_preparations_are_refused_before_the_file_is_read() {
    let nowhere = Path::new("nowhere.png");
    let error = |preparation: &Preparation, length| load(nowhere, preparation, &mut vec![0.0; length]).unwrap_err();
    assert_eq!(error(&Preparation::new(8, 4), 256), ImageError::Channels { channels: 4 });
    let output = ImageError::Output { channels: 3, size: 8, expected: 192, found: 191 };
    assert_eq!(error(&Preparation::new(8, 3), 191), output);
    let flat = Preparation { std: vec![0.0], resize: 0, ..Preparation::new(8, 1) };
    assert_eq!(
        error(&flat, 64).to_string(),
        "the model's image preparation is impossible: resize is 0, expected 1 to 1048576, std holds 0, expected finite \
         values above 0; correct its configuration"
    );
}

#[test]
fn rasters_must_have_their_shape() {
    assert!(Pixels::new(4, 3, 1, &[0; 12]).is_ok());
    for (width, height, channels, bytes) in
        [(4, 3, 1, 11), (4, 3, 2, 24), (0, 3, 1, 0), (usize::MAX, usize::MAX, 3, 3), (1, 1, 4, 4)]
    {
        let error = Pixels::new(width, height, channels, &vec![0; bytes]).unwrap_err();
        assert_eq!(error, ImageError::Raster { width, height, channels, found: bytes });
    }
}

/// A sliver resized to the usual size would have sixteen million columns; only those of the crop are computed.
#[test]
fn slivers_cost_no_more_than_their_crop() {
    let line = vec![200; 65_535];
    for (width, height) in [(65_535, 1), (1, 65_535)] {
        let mut out = vec![0.0; 224 * 224];
        prepare(&Pixels::new(width, height, 1, &line).unwrap(), &Preparation::new(224, 1), &mut out).unwrap();
        assert!(out.iter().all(|&value| value == (200.0 / 255.0 - 0.5) / 0.5));
    }
}
