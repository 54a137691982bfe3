//! Buffers of the wrong size: an error with both numbers, never a panic.

mod common;

use std::convert::Infallible;

use common::{Seeded, configs, images, packed};
use vit::{Level, Model, PackError, TensorName, Tensors, pack, packed_len};

#[test]
fn runs_name_the_buffer_that_does_not_fit() {
    let config = configs()[0];
    let packed = packed(&config);
    let model = Model::new(&config, &packed).unwrap();
    let level = Level::detect();
    let images = images(&config, 1);
    let (mut logits, mut scratch) = ([0.0; 7], vec![0.0; model.scratch_len(level)]);

    let short_image = model.run(level, &images[1..], &mut logits, &mut scratch).unwrap_err().to_string();
    assert_eq!(short_image, "the images hold 1599 values, expected a multiple of 1600 (1x40x40)");
    let short_logits = model.run(level, &images, &mut logits[1..], &mut scratch).unwrap_err().to_string();
    assert_eq!(short_logits, "the buffer for outputs holds 6 values, expected 7");
    let short_scratch = model.run(level, &images, &mut logits, &mut scratch[1..]).unwrap_err().to_string();
    assert!(short_scratch.contains("the scratch holds") && short_scratch.contains("at least"), "{short_scratch}");
}

#[test]
fn packing_names_what_does_not_fit() {
    /// One value too few in one tensor.
    struct Short(Vec<f32>);
    impl Tensors for Short {
        type Error = Infallible;
        fn tensor(&mut self, name: TensorName, shape: &[usize]) -> Result<&[f32], Infallible> {
            let missing = usize::from(name == TensorName::Block(1, "mlp.fc1.bias"));
            self.0.resize(shape.iter().product::<usize>() - missing, 0.0);
            self.0.truncate(shape.iter().product::<usize>() - missing);
            Ok(&self.0)
        }
    }
    let config = configs()[0];
    let len = packed_len(&config);
    let error = pack(&config, &mut Short(Vec::new()), &mut vec![0.0; len]).unwrap_err().to_string();
    assert_eq!(error, "tensor blocks.1.mlp.fc1.bias has 95 values, expected 96");
    let buffer = pack(&config, &mut Short(Vec::new()), &mut vec![0.0; len - 1]);
    assert_eq!(buffer, Err(PackError::Buffer { expected: len, found: len - 1 }));
    assert!(Model::new(&config, &vec![0.0; len + 1]).is_err());
}

#[test]
fn every_tensor_that_is_listed_is_asked_for_and_no_other() {
    /// Notes the names and shapes that packing asks for.
    struct Noting(Seeded, Vec<(String, Vec<usize>)>);
    impl Tensors for Noting {
        type Error = Infallible;
        fn tensor(&mut self, name: TensorName, shape: &[usize]) -> Result<&[f32], Infallible> {
            self.1.push((name.to_string(), shape.to_vec()));
            self.0.tensor(name, shape)
        }
    }
    for config in configs() {
        let mut noting = Noting(Seeded::new(), Vec::new());
        pack(&config, &mut noting, &mut vec![0.0; packed_len(&config)]).unwrap();
        let mut listed = Vec::new();
        config.visit_tensors(&mut |name, shape| listed.push((name.to_string(), shape.to_vec())));
        listed.sort();
        noting.1.sort();
        assert_eq!(noting.1, listed, "{config:?}");
    }
}
