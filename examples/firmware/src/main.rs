#![no_std]
#![no_main]
//! Classifies an image with a model in flash and prints the class and the number of instructions that it took.

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::{Peripherals, singleton};
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use panic_semihosting as _;
use vit::{Config, Level, Model, VitConfig};

/// A grey image: `P5 28 28 255` on a line, then 28 x 28 bytes.
static IMAGE: &[u8] = include_bytes!("../../sneaker.pgm");
const SIDE: usize = 28;
/// As the model was trained: what is subtracted from a value in 0..=1, and what then divides it.
const MEAN: f32 = 0.286;
const STD: f32 = 0.353;

const CONFIG: VitConfig = include!(concat!(env!("OUT_DIR"), "/config.rs"));

#[repr(C, align(4))]
struct Aligned<Bytes: ?Sized>(Bytes);

static WEIGHTS: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/packed.f32")));

/// Values of scratch memory, which this model's runs need.
const SCRATCH: usize = 64 * 1024;

/// QEMU runs an instruction a nanosecond and the board's timer at 25 MHz.
const INSTRUCTIONS_PER_TICK: u32 = 40;
const LONGEST: u32 = 0x00ff_ffff;

#[entry]
fn main() -> ! {
    let config = Config::new(CONFIG).expect("the configuration that the weights were packed for");
    let weights = bytemuck::cast_slice(&WEIGHTS.0);
    let model = Model::new(&config, weights).expect("weights that fit their description");
    let level = Level::detect();
    hprintln!("weights {} bytes, scratch {} bytes", weights.len() * 4, 4 * model.scratch_len(level));

    let scratch = singleton!(: [f32; SCRATCH] = [0.0; SCRATCH]).expect("main runs once");
    let image = singleton!(: [f32; SIDE * SIDE] = [0.0; SIDE * SIDE]).expect("main runs once");
    let pixels = &IMAGE[IMAGE.len() - SIDE * SIDE..];
    for (value, &byte) in image.iter_mut().zip(pixels) {
        *value = (f32::from(byte) / 255.0 - MEAN) / STD;
    }

    let mut timer = Peripherals::take().expect("main runs once").SYST;
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(LONGEST);
    timer.clear_current();
    timer.enable_counter();
    let mut logits = [0.0; CONFIG.num_classes];
    model.run(level, image, &mut logits, scratch).expect("buffers of the model's sizes");
    let ticks = LONGEST - cortex_m::peripheral::SYST::get_current();
    assert!(!timer.has_wrapped(), "the run took longer than the timer counts");

    let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or_default();
    hprintln!("class {}, logit {}", best, logits[best]);
    hprintln!("{} instructions", u64::from(ticks) * u64::from(INSTRUCTIONS_PER_TICK));
    debug::exit(debug::EXIT_SUCCESS);
    loop {
        cortex_m::asm::nop();
    }
}
