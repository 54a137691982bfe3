//! Each kind of file that decoders get wrong: the pixels are Pillow's, or the file is refused as what it is.

use std::path::Path;

use images::{ImageError, Problem};

#[test]
fn pixels_are_pillows_or_the_file_is_unsupported() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kinds");
    let table = std::fs::read_to_string(folder.join("pillow.tsv")).unwrap();
    let wrong: Vec<_> = table.lines().filter_map(|line| check(&folder, line).err()).collect();
    assert!(table.lines().count() > 100);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(folder: &Path, line: &str) -> Result<(), String> {
    let (name, expected) = line.split_once('\t').unwrap();
    let found = match images::open(folder.join(name)) {
        Ok(pixels) => {
            let rgb = match pixels.channels() {
                1 => pixels.data().iter().flat_map(|&grey| [grey; 3]).collect(),
                _ => pixels.data().to_vec(),
            };
            format!("{}\t{}\t{:08x}", pixels.width(), pixels.height(), crc(&rgb))
        }
        Err(ImageError::Picture { problem: Problem::Unsupported { .. }, .. }) => "unsupported".into(),
        Err(ImageError::Picture { problem: Problem::Damaged { .. }, .. }) => "damaged".into(),
        Err(error) => error.to_string(),
    };
    if found == expected { Ok(()) } else { Err(format!("{name}: expected {expected}, found {found}")) }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
