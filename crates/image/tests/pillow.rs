//! Images against what Pillow and torchvision made of the same files (`tools/pillow_goldens.py`).

use std::fs;
use std::path::{Path, PathBuf};

use images::{Pixels, load, prepare};
use safetensors::{Dtype, SafeTensors};
use weights::Preparation;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// One stored expectation: `source|interpolation|resize|size|channels`.
struct Case<'a> {
    name: &'a str,
    source: &'a str,
    preparation: Preparation,
}

impl<'a> Case<'a> {
    fn parse(name: &'a str) -> Self {
        let parts: Vec<&str> = name.split('|').collect();
        let [source, interpolation, resize, size, channels] = parts[..] else { panic!("{name}") };
        let mut preparation = Preparation::new(size.parse().unwrap(), channels.parse().unwrap());
        preparation.interpolation = interpolation.parse().unwrap();
        preparation.resize = resize.parse().unwrap();
        Self { name, source, preparation }
    }

    fn run(&self) -> Vec<f32> {
        let mut out = vec![f32::NAN; self.preparation.mean.len() * self.preparation.image_size.pow(2)];
        let result = match self.source.strip_prefix("pattern-") {
            Some(shape) => {
                let sides: Vec<usize> = shape.split('x').map(|side| side.parse().unwrap()).collect();
                let painted = pattern(sides[0], sides[1], sides[2]);
                prepare(&Pixels::new(sides[0], sides[1], sides[2], &painted).unwrap(), &self.preparation, &mut out)
            }
            None => load(data(self.source), &self.preparation, &mut out),
        };
        result.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        out
    }

    /// The bytes behind the values, interleaved as Pillow stores them.
    fn bytes(mut self) -> Vec<u8> {
        self.preparation.mean.fill(0.0);
        self.preparation.std.fill(1.0);
        let planes = self.run();
        let area = planes.len() / self.preparation.mean.len();
        let byte = |i: usize| (planes[i] * 255.0).round() as u8;
        (0..area).flat_map(|pixel| (pixel..planes.len()).step_by(area).map(byte)).collect()
    }
}

/// The generator's `pattern`.
fn pattern(width: usize, height: usize, channels: usize) -> Vec<u8> {
    let sample = |x: usize, y: usize, c: usize| (3 * x * x + 5 * y * y + x * y / 7 + 31 * c * x) as u8;
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    pixels.flat_map(|(x, y)| (0..channels).map(move |c| sample(x, y, c))).collect()
}

/// Runs `check` on every stored expectation of the given type, and returns how many there were.
fn each_case(dtype: Dtype, mut check: impl FnMut(Case<'_>, &[u8])) -> usize {
    let file = fs::read(data("expected.safetensors")).unwrap();
    let stored = SafeTensors::deserialize(&file).unwrap();
    let mut count = 0;
    for (name, tensor) in stored.iter().filter(|(_, tensor)| tensor.dtype() == dtype) {
        check(Case::parse(name), tensor.data());
        count += 1;
    }
    count
}

#[test]
fn every_byte_is_pillows() {
    let mut wrong = Vec::new();
    let count = each_case(Dtype::U8, |case, expected| {
        let name = case.name;
        let differing = case.bytes().iter().zip(expected).filter(|(a, b)| a != b).count();
        if differing > 0 {
            wrong.push(format!("{name}: {differing} of {} bytes", expected.len()));
        }
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(count, 139);
}

#[test]
fn normalised_values_have_torchs_bits() {
    let count = each_case(Dtype::F32, |case, expected| {
        let expected: Vec<u32> = expected.as_chunks().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect();
        let found: Vec<u32> = case.run().into_iter().map(f32::to_bits).collect();
        assert!(found == expected, "{}", case.name);
    });
    assert_eq!(count, 2);
}
