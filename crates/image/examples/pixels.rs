//! Decodes each image that is named and writes its pixels beside it as a `.ppm` file, or why it can't be read as `.txt`;
//! `tools/jpeg_matrix.py` compares them with Pillow's.

use std::fs;
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    for path in std::env::args_os().skip(1).map(PathBuf::from) {
        let (ppm, reason) = (path.with_extension("ppm"), path.with_extension("txt"));
        for old in [&ppm, &reason] {
            let _ = fs::remove_file(old);
        }
        match images::open(&path) {
            Ok(pixels) => {
                // P5 is grey, P6 RGB.
                let kind = if pixels.channels() == 1 { 5 } else { 6 };
                let header = format!("P{kind} {} {} 255\n", pixels.width(), pixels.height());
                fs::write(ppm, [header.as_bytes(), pixels.data()].concat())?;
            }
            Err(error) => fs::write(reason, error.to_string())?,
        }
    }
    Ok(())
}
