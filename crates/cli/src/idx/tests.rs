//! IDX files: read whole, plain or compressed, and every kind of wrong one named.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::{read_images, read_labels, read_pair};

const IMAGES: &str = "t10k-images-idx3-ubyte";
const LABELS: &str = "t10k-labels-idx1-ubyte";

/// A folder for the files of one test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// What is wrong with these bytes as images.
    fn message(&self, bytes: &[u8]) -> String {
        format!("{:#}", read_images(&self.write(IMAGES, bytes)).unwrap_err())
    }

    /// What is wrong with a pair, of which this is the images file.
    fn pair_message(&self, images: &str) -> String {
        let message = format!("{:#}", read_pair(&self.0.path().join(images)).unwrap_err());
        message.replace(&format!("{}/", self.0.path().display()), "")
    }
}

/// An IDX file of type `kind` with these dimensions and bytes.
fn idx(kind: u8, shape: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, kind, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn images() -> Vec<u8> {
    idx(8, &[2, 2, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn pairs_are_read_plain_and_compressed() {
    let labels = idx(8, &[2], &[7, 0]);
    let cases = [
        ((IMAGES.to_string(), images()), (LABELS.to_string(), labels.clone())),
        ((format!("{IMAGES}.gz"), gzip(&images())), (format!("{LABELS}.gz"), gzip(&labels))),
        ((format!("{IMAGES}.gz"), gzip(&images())), (LABELS.to_string(), labels.clone())),
        ((IMAGES.to_string(), images()), (format!("{LABELS}.gz"), gzip(&labels))),
        // Unpacked by a browser that kept the name.
        ((format!("{IMAGES}.gz"), images()), (format!("{LABELS}.gz"), labels.clone())),
        // Unpacked by a program that took the last hyphen for a full stop.
        (("t10k-images.idx3-ubyte".into(), images()), ("t10k-labels.idx1-ubyte".into(), labels)),
    ];
    for ((images_name, images), (labels_name, labels)) in cases {
        let folder = Folder::new();
        folder.write(&labels_name, &labels);
        let (images, labels) = read_pair(&folder.write(&images_name, &images)).unwrap();
        assert_eq!((images.count(), images.rows, images.columns), (2, 2, 3));
        assert_eq!([images.image(0), images.image(1)], [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]]);
        assert_eq!(labels, [7, 0]);
    }
}

/// What `gzip` itself reads: several members, and zeros where a tape or a download block was filled up.
#[test]
fn gzip_may_have_members_and_padding() {
    let folder = Folder::new();
    let (start, end) = (gzip(&images()[..20]), gzip(&images()[20..]));
    let zeros = |count| vec![0; count];
    for file in [
        [start.clone(), end.clone()].concat(),
        [gzip(&images()), zeros(1)].concat(),
        [gzip(&images()), zeros(100_000)].concat(),
        [start, zeros(511), end, zeros(3)].concat(),
        [gzip(&images()), gzip(&[])].concat(),
    ] {
        let read = read_images(&folder.write(IMAGES, &file)).unwrap();
        assert_eq!(read.image(1), [7, 8, 9, 10, 11, 12]);
    }
    let message = folder.message(&[gzip(&images()), zeros(8), b"garbage".to_vec()].concat());
    assert!(message.starts_with("its gzip data is damaged"), "{message}");
}

#[test]
fn wrong_files_are_named_with_what_was_expected() {
    let folder = Folder::new();
    let expected = "expected an IDX file of images, which begins with 00 00 08 03; check that it is the right file";
    for (bytes, found) in [
        (vec![], "is empty"),
        (idx(8, &[2], &[7, 0]), "holds IDX labels"),
        (idx(8, &[1, 1, 1, 1], &[7]), "is an IDX file of 4 dimensions"),
        (idx(13, &[1, 1, 1], &[0; 4]), "is an IDX file of type 0d, not unsigned bytes"),
        (b"<html>not found</html>".to_vec(), "is a web page (HTML)"),
        (
            b"version https://git-lfs.github.com/spec/v1".to_vec(),
            "is a Git LFS pointer, which stands for a file that `git lfs pull` fetches",
        ),
        (b"PK\x03\x04".to_vec(), "is a zip archive"),
        (b"\x89PNG\r\n\x1a\n".to_vec(), "is a single image, as `classify` takes it"),
        (b"words".to_vec(), "begins with 77 6f 72 64"),
        (images()[..15].to_vec(), "ends within its header"),
    ] {
        assert_eq!(folder.message(&bytes), format!("{found}, {expected}"));
    }
    let images = folder.write(LABELS, &images());
    let message = format!("{:#}", read_labels(&images).unwrap_err());
    assert!(message.contains("holds IDX images, expected an IDX file of labels"), "{message}");
}

#[test]
#[cfg(unix)]
fn pipes_are_not_waited_for() {
    let pipe = Folder::new();
    let path = pipe.0.path().join(IMAGES);
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert!(pipe.pair_message(IMAGES).ends_with("is a pipe or device, expected an IDX file; save it as a file"));
}

#[test]
fn lengths_must_be_those_of_the_header() {
    let folder = Folder::new();
    for (bytes, found) in [
        (images()[..27].to_vec(), "only 11"),
        (images()[..16].to_vec(), "only 0"),
        ([images(), vec![0]].concat(), "more than 12"),
    ] {
        let expected =
            format!("holds {found} bytes behind the header, which announces 2 x 2 x 3 = 12; copy or download it again");
        assert_eq!(folder.message(&bytes), expected);
    }
    for (shape, text) in [([u32::MAX; 3], "4294967295 x 4294967295 x 4294967295"), ([0, 28, 28], "0 x 28 x 28")] {
        let message = folder.message(&idx(8, &shape, &[1; 100]));
        assert_eq!(message, format!("its header announces {text} bytes, expected at least 1 and at most 1073741824"));
    }
    // A gigabyte is announced, a hundred bytes are there.
    let message = folder.message(&idx(8, &[1024, 1024, 1024], &[1; 100]));
    assert!(message.starts_with("holds only 100 bytes behind the header, which announces 1024 x 1024 x 1024 ="));
}

#[test]
fn damaged_gzip_is_told_from_damaged_idx() {
    let folder = Folder::new();
    let packed = gzip(&images());
    for length in 3..packed.len() {
        let message = folder.message(&packed[..length]);
        assert!(message.starts_with("its gzip data is damaged"), "{length} of {} bytes: {message}", packed.len());
    }
}

#[test]
fn labels_must_stand_beside_the_images() {
    let folder = Folder::new();
    folder.write(IMAGES, &images());
    assert_eq!(folder.pair_message(IMAGES), format!("{IMAGES}: its labels are missing, expected them in {LABELS}"));
    folder.write(LABELS, &idx(8, &[3], &[1, 2, 3]));
    let count = format!("{LABELS}: has 3 labels for the 2 images beside it, expected one each");
    assert_eq!(folder.pair_message(IMAGES), count);

    folder.write("pictures", &images());
    let name = folder.pair_message("pictures");
    assert!(name.starts_with("pictures: its labels cannot be found") && name.contains("rename the pair"), "{name}");
    let nowhere = folder.pair_message("nowhere");
    assert!(nowhere.starts_with("nowhere: cannot be read; check the path"), "{nowhere}");
    fs::create_dir(folder.0.path().join("inside")).unwrap();
    assert!(folder.pair_message("inside").starts_with("inside: is a folder"));
}
