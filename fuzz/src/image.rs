//! Bytes as an image file: pixels as many as its size says, the same from a stream, and finite values for a model; or an error
//! that a terminal can show.

use weights::Preparation;

/// The side of the model's input.
const SIZE: usize = 8;

/// Decodes the bytes, and prepares what comes of them.
pub fn run(data: &[u8]) {
    let decoded = images::decode(data);
    let streamed = images::read("the image", data);
    assert_eq!(decoded, streamed);
    match decoded {
        Ok(pixels) => {
            assert_eq!(pixels.data().len(), pixels.width() * pixels.height() * pixels.channels());
            let mut input = [f32::NAN; 3 * SIZE * SIZE];
            images::prepare(&pixels, &Preparation::new(SIZE, 3), &mut input).unwrap();
            assert!(input.iter().all(|value| value.is_finite()));
        }
        Err(error) => {
            let message = error.to_string();
            assert!(message.starts_with("the image: ") && !message.chars().any(char::is_control), "{message:?}");
        }
    }
}
