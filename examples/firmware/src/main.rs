#![no_std]
#![no_main]
//! Classifies an image with a model in flash and prints the class and the number of instructions that it took.

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::{Peripherals, singleton};
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use panic_semihosting as _;
use vit::Level;
use weights::PackedFile;

/// A grey image: `P5 28 28 255` on a line, then 28 x 28 bytes.
static IMAGE: &[u8] = include_bytes!("../../sneaker.pgm");
const SIDE: usize = 28;

/// The packed file that `build.rs` made.
static MODEL: &[u8] = weights::include_aligned!(concat!(env!("OUT_DIR"), "/model.packed"));
const CLASSES: usize = 10;

/// Values of scratch memory: at least as many as the program says that a run needs, or the run is an error.
const SCRATCH: usize = 22 * 1024;

/// QEMU runs an instruction a nanosecond and the board's timer at 25 MHz.
const INSTRUCTIONS_PER_TICK: u32 = 40;
const LONGEST: u32 = 0x00ff_ffff;

#[entry]
fn main() -> ! {
    let file = PackedFile::new(MODEL).expect("a file that this version packed");
    let (model, level) = (file.model(), Level::detect());
    hprintln!("weights {} bytes, scratch {} bytes", size_of_val(file.weights()), 4 * model.scratch_len(level));

    let scratch = singleton!(: [f32; SCRATCH] = [0.0; SCRATCH]).expect("main runs once");
    let image = singleton!(: [f32; SIDE * SIDE] = [0.0; SIDE * SIDE]).expect("main runs once");
    let pixels = &IMAGE[IMAGE.len() - SIDE * SIDE..];
    let (mean, std) = file.mean(0).zip(file.std(0)).expect("a file that says how images are prepared");
    for (value, &byte) in image.iter_mut().zip(pixels) {
        *value = (f32::from(byte) / 255.0 - mean) / std;
    }

    let mut timer = Peripherals::take().expect("main runs once").SYST;
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(LONGEST);
    timer.clear_current();
    timer.enable_counter();
    let mut logits = [0.0; CLASSES];
    model.run(level, image, &mut logits, scratch).expect("buffers of the model's sizes");
    let ticks = LONGEST - cortex_m::peripheral::SYST::get_current();
    assert!(!timer.has_wrapped(), "the run took longer than the timer counts");

    let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or_default();
    let label = file.label(best).expect("a file with labels");
    hprintln!("{}, logit {}", label, logits[best]);
    hprintln!("{} instructions", u64::from(ticks) * u64::from(INSTRUCTIONS_PER_TICK));
    debug::exit(debug::EXIT_SUCCESS);
    loop {
        cortex_m::asm::nop();
    }
}
